"""Refuse a dump that would be silently partial: what the pooler, the tools and the dump role's rights allow."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, Severity
from shared.domain.source import Source
from shared.errors import SourceProblem
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection, TableFacts
from shared.postgres.preflight_members import read_member_tables
from shared.postgres.preflight_reading import read_access
from shared.postgres.preflight_rules import judge_access, record_exclusions, remedies, resolve_exclusions
from shared.postgres.snapshot import set_role

TRANSACTION_POOLER_PORT = "6543"
_ANOTHER_PORT = " A plain server there: give it another port."
"""Where Supabase's pooler, and by custom many others, serve transaction mode."""

_LOSSY = ("zero_damaged_pages", "ignore_checksum_failure")
"""Settings with which a server passes over damage, so that rows are missing from a dump that ends well."""

_STATEMENTS_SHOWN = 5
_PROBES = 3
_PROBE = "SELECT pg_backend_pid(), current_setting('goldcopy.probe', true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was found before a dump, and what the dump leaves out.

    Attributes:
        findings: Errors first; an error means that the dump would fail or be partial.
        excluded: Everything that will not be in the backup, with reasons.
        excluded_tables: (schema, name) of relations left out entirely.
        excluded_data: (schema, name) of tables whose rows are left out.
        excluded_schemas: Schemas left out.
        remedies: The fewest SQL statements that give the dump role what it lacks.
        estimated_bytes: Size on disk of what will be dumped.
    """

    findings: tuple[Finding, ...]
    excluded: tuple[Exclusion, ...] = ()
    excluded_tables: tuple[tuple[str, str], ...] = ()
    excluded_data: tuple[tuple[str, str], ...] = ()
    excluded_schemas: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    estimated_bytes: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What refuses the dump."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    def remedy(self, source: str) -> str:
        """Say what to do about the errors: the statements that mend them, or where to find them all."""
        first = self.errors[0].hint
        if len(self.errors) == 1 and first:
            return first
        if 0 < len(self.remedies) <= _STATEMENTS_SHOWN:
            return f"Run: {' '.join(self.remedies)} Then see `goldcopy check {source}`."
        return f"{first} Run `goldcopy check {source}` for all of it.".strip()

    def leaves_out(self, table: TableFacts) -> bool:
        """Whether the table's rows are not dumped, on purpose."""
        return self.leaves_out_relation(table.schema, table.name) or (table.schema, table.name) in self.excluded_data

    def leaves_out_relation(self, schema: str, name: str) -> bool:
        """Whether a relation is left out entirely, definition and rows."""
        return schema in self.excluded_schemas or (schema, name) in self.excluded_tables


def check_source(
    address: DatabaseAddress, source: Source, *, client_major: int, unreadable_known: Sequence[Exclusion] = ()
) -> Preflight:
    """Look at a source as the dump will see it.

    Args:
        address: How to reach it.
        source: Its dump policy: role, exclusions.
        client_major: Major version of the pg_dump that will be used.
        unreadable_known: Tables left out by rule where they exist and cannot be read (`shared.supabase.rules`).

    Raises:
        SourceUnreachable: Nobody answers.
        SourceRefused: The server does not let this role in, or not become the dump role.
    """
    if TRANSACTION_POOLER_PORT in (address.parameters.get("port") or "").split(","):
        return Preflight(findings=(_pooler_finding(source.name, ", which port 6543 is for", _ANOTHER_PORT),))
    with address.connect(read_only=True) as connection:
        if reason := find_transaction_pooling(connection, address):
            return Preflight(findings=(_pooler_finding(source.name, f": {reason}"),))
        set_role(connection, source.dump.role)
        lossy = find_lossy_settings(connection)
        access = read_access(connection)
        members = read_member_tables(connection)
    left_out = resolve_exclusions(access, source.dump, unreadable_known)
    dumped = [relation for relation in access.relations if not left_out.leaves_out_rows(relation)]
    return Preflight(
        findings=(
            *lossy,
            *judge_access(access, left_out, client_major=client_major),
            *(member.finding() for member in members),
        ),
        excluded=(*record_exclusions(access, left_out), *(member.exclusion() for member in members)),
        excluded_tables=tuple((item.schema, item.name) for item in access.relations if item.oid in left_out.tables),
        excluded_data=tuple((item.schema, item.name) for item in access.relations if item.oid in left_out.data),
        excluded_schemas=tuple(left_out.schemas),
        remedies=remedies(access, left_out),
        estimated_bytes=sum(relation.data_bytes for relation in dumped),
    )


def find_lossy_settings(connection: Connection) -> tuple[Finding, ...]:
    """Refuse settings of the server, the database or the role that make the server leave out damaged rows."""
    query = "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'on' ORDER BY name"
    rows: list[tuple[Any, ...]] = connection.execute(query, (list(_LOSSY),)).fetchall()
    return tuple(
        Finding(
            check="lossy-setting",
            severity=Severity.ERROR,
            object=name,
            message=f"{name} is on: the server passes over damaged pages, and their rows would be missing unsaid",
            hint=f"Find where it is set (server, database or role) and set it off: ALTER DATABASE ... RESET {name};",
        )
        for (name,) in rows
    )


def find_transaction_pooling(connection: Connection, address: DatabaseAddress) -> str:
    """Tell why the connection is not to one server process for as long as it lives; empty when it is.

    A pooler that is idle gives the process it got back last again and again, or all of them in turn. So a second
    connection begins a transaction right after the first has asked, and holds its process while the first asks once
    more: in transaction mode the two must meet.
    """
    token = token_hex(8)
    with ExitStack() as stack:
        other = _second_connection(stack, address)
        connection.execute("SELECT set_config('goldcopy.probe', %s, false)", (token,))
        asked = [_probe(connection) for _ in range(_PROBES)]
        taken = _probe(other)[0] if other else None
        asked += [_probe(connection) for _ in range(_PROBES)]
        connection.execute("SELECT set_config('goldcopy.probe', '', false)")
    processes = {process for process, _ in asked}
    if len(processes) > 1 or taken in processes:
        return "the server process changed between two statements of one connection"
    return "" if all(seen == token for _, seen in asked) else "a setting made by one statement was gone at the next"


def _second_connection(stack: ExitStack, address: DatabaseAddress) -> Connection | None:
    """Connect once more, for transactions; without a free connection the first one's answers must do."""
    try:
        return stack.enter_context(address.connect(read_only=True, autocommit=False))
    except SourceProblem:
        return None


def _probe(connection: Connection) -> tuple[Any, Any]:
    row = connection.execute(_PROBE).fetchone()
    return (row[0], row[1]) if row else (None, None)


def _pooler_finding(source: str, reason: str, more: str = "") -> Finding:
    return Finding(
        check="pooler",
        severity=Severity.ERROR,
        object=source,
        message=f"the connection of {source} goes through a pooler in transaction mode{reason}",
        hint=f"Use the direct connection, or the pooler in session mode (port 5432 at Supabase).{more}",
    )
