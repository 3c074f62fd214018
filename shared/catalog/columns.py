"""Column types that mean the same on SQLite and Postgres."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Dialect, Integer
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy import Text as SqlText
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC, to the microsecond; SQLite has no zones, so its text holds UTC."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants and hand UTC to the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive instant has no meaning in the catalog")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return aware UTC whatever the session's time zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Text(TypeDecorator[str]):
    """Text without what a database cannot hold: names of a SQL_ASCII source may carry bytes that are no UTF-8."""

    impl = SqlText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write lone surrogates and NUL as escapes."""
        return None if value is None else clean_text(value)


# SQLite gives row numbers by itself only to a column declared exactly INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")


def clean_text(text: str) -> str:
    r"""Return text that UTF-8 and both databases can hold; NUL and lone surrogates become `\x00`, `\udc80`."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
