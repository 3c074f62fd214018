"""Run a source's own checks on a restored database, as a role that can read everything and change nothing.

The role is made for the checks and dropped after them; it reads every table, bypasses row security and cannot log in.
Each check is one query inside another one, in a READ ONLY transaction, with a time limit: it can neither hold a second
statement nor change data. A result that leaves this module is a count, an age or a yes or no, never a value of a row.
"""

import secrets
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

import psycopg
from psycopg import errors, sql

from shared.domain.comparison import qualified
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.domain.source_checks import (
    ExpectedValue,
    Freshness,
    RowMinimum,
    RowSecurity,
    SourceChecks,
    ZeroRows,
    parse_checks,
)
from shared.errors import ConfigInvalid, GoldcopyError
from shared.postgres.connection import DatabaseAddress
from shared.postgres.names import Name
from shared.postgres.restore_messages import without_data
from shared.units import format_duration

_HINT = "Look at the source itself: either it is damaged, or the check asks for too much."
_ROLE_PREFIX = "goldcopy_checks_"
_Connection = psycopg.Connection[tuple[object, ...]]


def load_checks(path: Path) -> SourceChecks:
    """Read a check file.

    Raises:
        ConfigInvalid: It is not there, no TOML, or has wrong keys or values.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigInvalid(
            f"the check file {path} cannot be read: {reason}",
            hint="The format is described in docs/restore-checks.md.",
        ) from error
    return parse_checks(document, str(path))


@dataclass(slots=True)
class CheckResults:
    """What the checks found."""

    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)


def run_checks(
    address: DatabaseAddress,
    checks: SourceChecks,
    *,
    recovery_point_at: datetime,
    on_check: Callable[[int], None] = lambda _done: None,
) -> CheckResults:
    """Run all checks of a source.

    Args:
        address: The restored database, as a superuser of a scratch server.
        checks: What to check.
        recovery_point_at: The backup's instant; ages count back from it, not from today.
        on_check: Told how many checks are done.

    Returns:
        Findings of checks that failed; a check that could not run is not measured.
    """
    results = CheckResults()
    if not checks.count:
        return results
    # A database may be read-only by its own setting; the role for the checks has to be made all the same.
    writable = DatabaseAddress({**address.parameters, "options": "-c default_transaction_read_only=off"})
    try:
        with closing(writable.connect()) as owner, _reading_role(owner) as role:
            owner.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(role))
            try:
                _Run(owner, checks, recovery_point_at, results).all(on_check)
            finally:
                owner.execute("RESET SESSION AUTHORIZATION")
    except (psycopg.Error, GoldcopyError) as error:
        reason = f"the read-only role of the checks could not be used: {_reason(error)}"
        results.not_measured.append(NotMeasured(check="source-checks", object=address.database, reason=reason))
    return results


@contextmanager
def _reading_role(owner: _Connection) -> Iterator[sql.Identifier]:
    """Make a role that reads everything, for as long as the checks run."""
    role = sql.Identifier(f"{_ROLE_PREFIX}{secrets.token_hex(6)}")
    owner.execute(sql.SQL("CREATE ROLE {} NOLOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE").format(role))
    try:
        _grant_reading(owner, role)
        yield role
    finally:
        if owner.info.server_version < 140000:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
        owner.execute(sql.SQL("DROP ROLE {}").format(role))


def _grant_reading(owner: _Connection, role: sql.Identifier) -> None:
    if owner.info.server_version >= 140000:
        owner.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(role))
        return
    schemas = owner.execute("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    for (schema,) in schemas:
        place = Name(str(schema))
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(place, role))
        owner.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(place, role))


class _Run:
    """One pass over the checks of a source."""

    def __init__(
        self, connection: _Connection, checks: SourceChecks, recovery_point_at: datetime, results: CheckResults
    ) -> None:
        self._connection = connection
        self._checks = checks
        self._recovery_point_at = recovery_point_at
        self._results = results

    def all(self, on_check: Callable[[int], None]) -> None:
        for done, (check, about, ask) in enumerate(self._questions(), 1):
            self._run(check, about, ask)
            on_check(done)

    def _questions(self) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
        checks = self._checks
        for rows in checks.rows:
            yield "check-rows", qualified(*rows.table), partial(self._row_minimum, rows)
        for zero in checks.zero_rows:
            yield "check-zero-rows", zero.label, partial(self._zero_rows, zero)
        for security in checks.row_security:
            yield "check-row-security", qualified(*security.table), partial(self._row_security, security)
        for fresh in checks.freshness:
            yield "check-freshness", qualified(*fresh.column), partial(self._freshness, fresh)
        for expected in checks.expected:
            yield "check-value", expected.label, partial(self._expected, expected)

    def _run(self, check: str, about: str, ask: Callable[[], str | None]) -> None:
        """Ask one question; a complaint becomes a finding, a question that fails is not measured."""
        try:
            complaint = ask()
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            self._results.not_measured.append(NotMeasured(check=check, object=about, reason=_reason(error)))
            return
        if complaint:
            finding = Finding(check=check, severity=Severity.ERROR, object=about, message=complaint, hint=_HINT)
            self._results.findings.append(finding)

    def _row_minimum(self, check: RowMinimum) -> str | None:
        found = cast(int, self._value(sql.SQL("SELECT count(*) FROM {}").format(Name(*check.table))))
        return None if found >= check.minimum else f"{found} rows, and at least {check.minimum} are expected"

    def _zero_rows(self, check: ZeroRows) -> str | None:
        found = cast(int, self._value(sql.SQL("SELECT count(*) FROM ({}\n) AS found").format(_own(check.query))))
        return f"the query finds {found} rows, and none is expected" if found else None

    def _row_security(self, check: RowSecurity) -> str | None:
        schema, table = check.table
        row = self._row(
            sql.SQL(
                "SELECT c.relrowsecurity, c.relforcerowsecurity FROM pg_catalog.pg_class c"
                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p')"
            ).format(schema, table)
        )
        if row is None:
            return "there is no such table"
        is_enabled, is_forced = row
        if not is_enabled:
            return "row security is not enabled"
        return "row security is not forced for the owner" if check.is_forced and not is_forced else None

    def _freshness(self, check: Freshness) -> str | None:
        schema, table, column = check.column
        query = sql.SQL("SELECT extract(epoch FROM {}::timestamptz - max({})::timestamptz)::float8 FROM {}")
        age = self._value(query.format(self._recovery_point_at.isoformat(), Name(column), Name(schema, table)))
        if age is None:
            return "it holds no value at all"
        seconds, allowed = cast(float, age), check.max_age.total_seconds()
        if seconds <= allowed:
            return None
        return (
            f"its newest value is {format_duration(seconds)} older than the recovery point, "
            f"and {format_duration(allowed)} are allowed"
        )

    def _expected(self, check: ExpectedValue) -> str | None:
        query = sql.SQL("SELECT (found.value)::text FROM ({}\n) AS found (value) LIMIT 2")
        rows = self._rows(query.format(_own(check.query)))
        if len(rows) != 1:
            return "the query gives no row" if not rows else "the query gives more than one row"
        return None if rows[0][0] == check.value else "the query gives another value than expected"

    def _value(self, query: sql.Composed) -> object:
        row = self._row(query)
        return row[0] if row else None

    def _row(self, query: sql.Composed) -> tuple[object, ...] | None:
        rows = self._rows(query)
        return rows[0] if rows else None

    def _rows(self, query: sql.Composed) -> list[tuple[object, ...]]:
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION READ ONLY")
            self._connection.execute("SET LOCAL search_path = public")
            limit = sql.SQL("SET LOCAL statement_timeout = {}").format(int(self._checks.timeout.total_seconds() * 1000))
            self._connection.execute(limit)
            # A binary result means libpq's extended protocol, in which a second statement after a semicolon is refused.
            return self._connection.execute(query, binary=True).fetchall()


def _own(query: str) -> sql.SQL:
    """Take a query of the source's owner into one of ours."""
    return sql.SQL(query)


def _reason(error: psycopg.Error | GoldcopyError) -> str:
    if isinstance(error, GoldcopyError):
        return error.message
    if isinstance(error, errors.QueryCanceled):
        return "it took longer than its time limit"
    return without_data((error.diag.message_primary or str(error)).splitlines()[0])
