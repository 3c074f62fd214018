"""A source's own checks: what must be true of its data after every restore. Pure: a parsed file in, checks out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from shared.domain.comparison import parse_qualified
from shared.errors import ConfigInvalid
from shared.units import parse_duration

_Item = TypeVar("_Item")
_DEFAULT_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMinimum:
    """A table that must hold at least so many rows."""

    table: tuple[str, ...]
    minimum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroRows:
    """A query that must find nothing, such as one for orphans."""

    label: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSecurity:
    """A table on which row security must be enabled, and forced where `is_forced`."""

    table: tuple[str, ...]
    is_forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A column of instants whose newest value must not be older than `max_age` at the recovery point."""

    column: tuple[str, ...]
    max_age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedValue:
    """A query whose one value, as text, must equal `value`."""

    label: str
    query: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChecks:
    """All checks of one source."""

    rows: tuple[RowMinimum, ...] = ()
    zero_rows: tuple[ZeroRows, ...] = ()
    row_security: tuple[RowSecurity, ...] = ()
    freshness: tuple[Freshness, ...] = ()
    expected: tuple[ExpectedValue, ...] = ()
    timeout: timedelta = _DEFAULT_TIMEOUT

    @property
    def count(self) -> int:
        """How many checks there are."""
        return sum(map(len, (self.rows, self.zero_rows, self.row_security, self.freshness, self.expected)))


def parse_checks(document: Mapping[str, object], origin: str) -> SourceChecks:
    """Read a parsed check file; the format is described in docs/restore-checks.md.

    Args:
        document: What the TOML file holds.
        origin: Its path, for messages.

    Raises:
        ConfigInvalid: Unknown keys or wrong values, all of them at once.
    """
    reader = _Reader(origin)
    known = {"timeout", "rows", "zero_rows", "row_security", "freshness", "expect"}
    for name in document.keys() - known:
        reader.problem(name, f"is not known; known are {', '.join(sorted(known))}")
    checks = SourceChecks(
        rows=reader.each(document, "rows", _row_minimum),
        zero_rows=reader.each(document, "zero_rows", _zero_rows),
        row_security=reader.row_security(document),
        freshness=reader.each(document, "freshness", _freshness),
        expected=reader.each(document, "expect", _expected),
        timeout=reader.timeout(document.get("timeout")),
    )
    reader.raise_problems()
    return checks


class _Reader:
    """Collects every problem of one file."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._problems: list[str] = []

    def problem(self, key: str, text: str) -> None:
        self._problems.append(f"{self._origin}: {key}: {text}")

    def raise_problems(self) -> None:
        if self._problems:
            raise ConfigInvalid("; ".join(self._problems), hint="The format is described in docs/restore-checks.md.")

    def each(
        self, document: Mapping[str, object], section: str, make: Callable[[str, object], _Item]
    ) -> tuple[_Item, ...]:
        items = []
        for key, value in self._table(document, section).items():
            try:
                items.append(make(key, value))
            except ValueError as error:
                self.problem(f"{section}.{key}", str(error))
        return tuple(items)

    def row_security(self, document: Mapping[str, object]) -> tuple[RowSecurity, ...]:
        found = []
        for key, value in self._table(document, "row_security").items():
            if key not in {"enabled", "forced"} or not isinstance(value, list):
                self.problem(f"row_security.{key}", 'must be `enabled` or `forced` with a list of "schema.table"')
                continue
            for name in value:
                try:
                    found.append(RowSecurity(table=parse_qualified(str(name)), is_forced=key == "forced"))
                except ValueError as error:
                    self.problem(f"row_security.{key}", str(error))
        return tuple(found)

    def timeout(self, value: object) -> timedelta:
        try:
            return _DEFAULT_TIMEOUT if value is None else parse_duration(_text(value))
        except ValueError as error:
            self.problem("timeout", str(error))
            return _DEFAULT_TIMEOUT

    def _table(self, document: Mapping[str, object], section: str) -> Mapping[str, object]:
        value = document.get(section, {})
        if isinstance(value, dict):
            return value
        self.problem(section, "must be a table")
        return {}


def _row_minimum(key: str, value: object) -> RowMinimum:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a number of rows, 0 or more")
    return RowMinimum(table=parse_qualified(key), minimum=value)


def _zero_rows(key: str, value: object) -> ZeroRows:
    return ZeroRows(label=key, query=_query(value))


def _freshness(key: str, value: object) -> Freshness:
    return Freshness(column=parse_qualified(key, parts=3), max_age=parse_duration(_text(value)))


def _expected(key: str, value: object) -> ExpectedValue:
    if not isinstance(value, dict) or value.keys() != {"query", "value"}:
        raise ValueError("must be a table with exactly `query` and `value`")
    return ExpectedValue(label=key, query=_query(value["query"]), value=_value(value["value"]))


def _query(value: object) -> str:
    query = _text(value).strip().rstrip(";").strip()
    if not query:
        raise ValueError("must be a query")
    return query


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    raise ValueError("`value` must be a text, a number or true/false")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - every problem of the file is a ValueError here
    return value
