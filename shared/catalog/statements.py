"""Small statements that several writers share."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.catalog.models import SOURCE
from shared.errors import GoldcopyError, Interrupted

MAXIMUM_TEXT = 2000
# SQLite allows 32,766 variables in a statement, Postgres 65,535.
_CHUNK = 5000

Item = TypeVar("Item")


def lock_source(connection: Connection, source: str, now: datetime, *, kind: str | None = None) -> None:
    """Take the source's row, made if it is not there, so that all writers about one source queue.

    Every writer takes this lock first and the audit trail's last; so no two can wait for each other.
    """
    values = {"name": source, "kind": kind or "", "registered_at": now}
    upsert(connection, SOURCE, values, keys=("name",), update={"kind": kind} if kind else {})
    connection.execute(select(SOURCE.c.name).where(SOURCE.c.name == source).with_for_update())


def upsert(
    connection: Connection,
    table: Table,
    values: Mapping[str, Any],
    *,
    keys: Sequence[str],
    update: Mapping[str, Any] | None = None,
) -> None:
    """Insert a row, or change the one with the same keys.

    Args:
        connection: Of a writing transaction.
        table: Where.
        values: The whole row.
        keys: Columns of the primary key.
        update: What to set in an existing row; the whole row unless given, nothing when empty.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values)
    changes = {name: value for name, value in values.items() if name not in keys} if update is None else update
    if changes:
        connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=dict(changes)))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(keys)))


def chunked(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut a list into pieces that fit into one statement."""
    for begin in range(0, len(items), _CHUNK):
        yield items[begin : begin + _CHUNK]


def cut(text: str) -> str:
    """Shorten a message to a sane length."""
    return text if len(text) <= MAXIMUM_TEXT else f"{text[: MAXIMUM_TEXT - 2]} …"


def error_facts(error: BaseException) -> dict[str, Any]:
    """Return the columns that record an error; an unexpected one only by its class, for its text may hold anything."""
    if isinstance(error, GoldcopyError):
        return {"error_code": error.code, "error_message": cut(str(error))}
    if isinstance(error, Exception):
        words = f"unexpected {type(error).__name__}; the log of the run has the details"
        return {"error_code": GoldcopyError.code, "error_message": words}
    return {"error_code": Interrupted.code, "error_message": f"interrupted ({type(error).__name__})"}
