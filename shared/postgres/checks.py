"""Run a source's own checks on a restored database, as a role that can read everything and change nothing.

The role is made for the checks and dropped after them. It logs in itself, so no statement of a check can step back to a
superuser; each check is one query inside another one, in a READ ONLY transaction, with a time limit. A result that
leaves this module is a count, an age or a yes or no, never a value of a row.
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
    try:
        with _reading_role(address) as reader, closing(reader.connect(read_only=True)) as connection:
            _Run(connection, checks, recovery_point_at, results).all(on_check)
    except (psycopg.Error, GoldcopyError) as error:
        reason = f"the read-only role of the checks could not be used: {_reason(error)}"
        results.not_measured.append(NotMeasured(check="source-checks", object=address.database, reason=reason))
    return results


@contextmanager
def _reading_role(address: DatabaseAddress) -> Iterator[DatabaseAddress]:
    """Make a role that reads everything, for as long as the checks run."""
    name, password = f"{_ROLE_PREFIX}{secrets.token_hex(6)}", secrets.token_urlsafe(24)
    role = sql.Identifier(name)
    with closing(address.connect()) as owner:
        verifier = owner.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        owner.execute(
            sql.SQL("CREATE ROLE {} LOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(role, verifier)
        )
        try:
            _grant_reading(owner, role, address.database)
            yield DatabaseAddress({**address.parameters, "user": name, "password": password})
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
            owner.execute(sql.SQL("DROP ROLE {}").format(role))


def _grant_reading(owner: _Connection, role: sql.Identifier, database: str) -> None:
    owner.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), role))
    if owner.info.server_version >= 140000:
        owner.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(role))
        return
    schemas = owner.execute("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    for (schema,) in schemas:
        place = sql.Identifier(cast(str, schema))
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
        checks = self._checks
        everything = (*checks.rows, *checks.zero_rows, *checks.row_security, *checks.freshness, *checks.expected)
        for done, check in enumerate(everything, 1):
            match check:
                case RowMinimum(table=(schema, table)):
                    self._run("check-rows", qualified(schema, table), partial(self._row_minimum, check))
                case ZeroRows(label=label):
                    self._run("check-zero-rows", label, partial(self._zero_rows, check))
                case RowSecurity(table=(schema, table)):
                    self._run("check-row-security", qualified(schema, table), partial(self._row_security, check))
                case Freshness(column=(schema, table, column)):
                    name = f"{qualified(schema, table)}.{column}"
                    self._run("check-freshness", name, partial(self._freshness, check))
                case ExpectedValue(label=label):
                    self._run("check-value", label, partial(self._expected, check))
            on_check(done)

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
        found = cast(int, self._value(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*check.table))))
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
        age = self._value(
            query.format(self._recovery_point_at.isoformat(), sql.Identifier(column), sql.Identifier(schema, table))
        )
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
    return sql.SQL(query)  # type: ignore[arg-type]  # it is meant to come from a file


def _reason(error: psycopg.Error | GoldcopyError) -> str:
    if isinstance(error, GoldcopyError):
        return error.message
    if isinstance(error, errors.QueryCanceled):
        return "it took longer than its time limit"
    return without_data((error.diag.message_primary or str(error)).splitlines()[0])
