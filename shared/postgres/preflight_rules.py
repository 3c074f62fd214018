"""Decide from plain facts whether a dump would be whole. Pure: no server is asked here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, Severity
from shared.domain.source import DumpPolicy

OLDEST_MAJOR = 13
MANY_ROWS = 1000
"""From this estimate on, a table without a single row deserves a look."""

_SAME_SCHEMA_SUMMED_UP = 3
_KIND_NAMES = {"r": "table", "p": "partitioned table", "S": "sequence", "v": "view", "m": "materialized view",
               "f": "foreign table"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationAccess:
    """One relation and what the dump role may do with it.

    Attributes:
        oid: In the source.
        schema: Schema name, as it is.
        name: Relation name, as it is.
        sql_name: Qualified and quoted by the server.
        sql_schema: Schema, quoted by the server.
        relkind: `r` table, `p` partitioned parent, `S` sequence, `v` view, `m` materialized view, `f` foreign table.
        unlogged: Whether its rows are lost when the server crashes.
        may_use_schema: USAGE on the schema.
        may_select: SELECT on the relation.
        row_security_active: Whether policies would filter what the dump role reads.
        estimated_rows: The planner's estimate, 0 where there is none.
        data_bytes: Size on disk with toast, without indexes.
        ancestors: OIDs of partitioned parents, of a sequence of its table.
        seems_empty: Whether it has no visible row; False also where nobody looked.
    """

    oid: int
    schema: str
    name: str
    sql_name: str
    sql_schema: str
    relkind: str = "r"
    unlogged: bool = False
    may_use_schema: bool = True
    may_select: bool = True
    row_security_active: bool = False
    estimated_rows: int = 0
    data_bytes: int = 0
    ancestors: tuple[int, ...] = ()
    seems_empty: bool = False

    @property
    def full_name(self) -> str:
        """`schema.name`, as it is."""
        return f"{self.schema}.{self.name}"

    @property
    def kind_name(self) -> str:
        """What it is, for people."""
        return _KIND_NAMES[self.relkind]

    @property
    def is_read(self) -> bool:
        """Whether pg_dump needs SELECT on it: it locks tables and their parents, and reads tables and sequences."""
        return self.relkind in {"r", "p", "S"}

    @property
    def is_readable(self) -> bool:
        """Whether the dump role can read all of it."""
        return self.may_use_schema and self.may_select and not self.row_security_active


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableLargeObjects:
    """Large objects of one owner that the dump role may not read."""

    owner: str
    sql_owner: str
    count: int
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLock:
    """An ACCESS EXCLUSIVE lock that a dump would wait for."""

    oid: int
    holder: str
    held_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccess:
    """Everything the rules need to know of a source."""

    server_version: str
    server_major: int
    role: str
    sql_role: str
    is_superuser: bool = True
    is_standby: bool = False
    relations: tuple[RelationAccess, ...] = ()
    schemas: frozenset[str] = frozenset()
    large_objects: tuple[UnreadableLargeObjects, ...] = ()
    locks: tuple[HeldLock, ...] = ()
    subscriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What a dump leaves out, and why.

    Attributes:
        tables: Relations left out entirely, by OID, with the reason.
        data: Tables whose rows are left out, by OID, with the reason.
        schemas: Schemas left out, by name, with the reason.
        problems: Exclusions of the configuration that match nothing, or several.
    """

    tables: Mapping[int, str] = field(default_factory=dict)
    data: Mapping[int, str] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()

    def leaves_out(self, relation: RelationAccess) -> bool:
        """Whether neither definition nor rows of it are dumped."""
        return relation.oid in self.tables or relation.schema in self.schemas

    def leaves_out_rows(self, relation: RelationAccess) -> bool:
        """Whether its rows are not dumped."""
        return self.leaves_out(relation) or relation.oid in self.data


def resolve_exclusions(access: SourceAccess, policy: DumpPolicy, unreadable_known: Sequence[Exclusion] = ()) -> LeftOut:
    """Find what the configuration's exclusions mean in this database.

    A partitioned table takes its partitions with it. A sequence that cannot be read goes with the excluded table it
    belongs to.

    Args:
        access: The source.
        policy: Its configured exclusions; one that matches nothing is a problem, since a typing error would hide data.
        unreadable_known: Tables that are known to be beyond the dump role; left out where they exist and it is so.
    """
    problems: list[Finding] = []
    tables = _match(access.relations, policy.excluded_tables, problems)
    data = _match(access.relations, policy.excluded_data, problems)
    by_name = {relation.full_name: relation for relation in access.relations}
    for known in unreadable_known:
        relation = by_name.get(known.object)
        if relation is not None and not relation.is_readable:
            tables.setdefault(relation.oid, known.reason)
    for relation in access.relations:
        owner = relation.ancestors[0] if relation.relkind == "S" and relation.ancestors else 0
        if owner in tables and not relation.is_readable:
            tables.setdefault(relation.oid, f"belongs to a table that is left out: {tables[owner]}")
        elif owner in data and relation.unlogged and access.is_standby:
            data.setdefault(relation.oid, f"belongs to a table whose rows are left out: {data[owner]}")
    schemas = {}
    for exclusion in policy.excluded_schemas:
        if exclusion.object in access.schemas:
            schemas[exclusion.object] = exclusion.reason
        else:
            problems.append(_unmatched(exclusion.object, "schema", 0))
    return LeftOut(tables=tables, data=data, schemas=schemas, problems=tuple(problems))


def judge_access(access: SourceAccess, left_out: LeftOut, *, client_major: int) -> tuple[Finding, ...]:
    """Say what keeps a dump from being whole (errors) and what a reader of it should know (warnings)."""
    relations = [relation for relation in access.relations if not left_out.leaves_out(relation)]
    findings = [
        *_versions(access, client_major),
        *left_out.problems,
        *_unreadable(access, relations),
        *_large_objects(access),
        *(finding for relation in relations for finding in _rows(access, relation, left_out)),
        *_locks(access, relations),
        *_subscriptions(access),
    ]
    if not any(relation.relkind in {"r", "p"} for relation in access.relations):
        findings.append(
            Finding(
                check="empty-source",
                severity=Severity.WARNING,
                object="",
                message="the source has no tables",
                hint="Make sure that the URL names the right database.",
            )
        )
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def remedies(access: SourceAccess, left_out: LeftOut) -> tuple[str, ...]:
    """Return the fewest statements that would let the dump role read everything, whole schemas summed up."""
    statements: list[str] = []
    relations = [relation for relation in access.relations if relation.is_read and not left_out.leaves_out(relation)]
    for sql_schema in dict.fromkeys(relation.sql_schema for relation in relations):
        inside = [relation for relation in relations if relation.sql_schema == sql_schema]
        if not all(relation.may_use_schema for relation in inside):
            statements.append(f"GRANT USAGE ON SCHEMA {sql_schema} TO {access.sql_role};")
        for kinds, all_of_them in (({"r", "p"}, "TABLES"), ({"S"}, "SEQUENCES")):
            lacking = [relation for relation in inside if relation.relkind in kinds and not relation.may_select]
            if len(lacking) > _SAME_SCHEMA_SUMMED_UP:
                statements.append(f"GRANT SELECT ON ALL {all_of_them} IN SCHEMA {sql_schema} TO {access.sql_role};")
            else:
                statements += [_grant_select(access, relation) for relation in lacking]
    if any(relation.row_security_active for relation in relations if not left_out.leaves_out_rows(relation)):
        statements.append(f"ALTER ROLE {access.sql_role} BYPASSRLS;")
    return tuple(statements)


def record_exclusions(access: SourceAccess, left_out: LeftOut) -> tuple[Exclusion, ...]:
    """List everything that will not be in the backup, for the manifest."""
    found = [Exclusion(object=f"schema {name}", reason=reason) for name, reason in left_out.schemas.items()]
    for relation in access.relations:
        if relation.oid in left_out.tables:
            found.append(Exclusion(object=relation.full_name, reason=left_out.tables[relation.oid]))
        elif relation.oid in left_out.data and not left_out.leaves_out(relation):
            found.append(Exclusion(object=f"rows of {relation.full_name}", reason=left_out.data[relation.oid]))
        elif relation.relkind == "f" and not left_out.leaves_out(relation):
            found.append(
                Exclusion(object=f"rows of {relation.full_name}", reason="foreign table: its rows live elsewhere")
            )
    if not access.is_superuser:
        found += [
            Exclusion(object=f"subscription {name}", reason="only a superuser can dump subscriptions")
            for name in access.subscriptions
        ]
    return tuple(found)


def _match(
    relations: Sequence[RelationAccess], exclusions: Iterable[Exclusion], problems: list[Finding]
) -> dict[int, str]:
    found: dict[int, str] = {}
    for exclusion in exclusions:
        matches = [item for item in relations if exclusion.object in {item.full_name, item.sql_name}]
        if len(matches) != 1:
            problems.append(_unmatched(exclusion.object, "table", len(matches)))
            continue
        found[matches[0].oid] = exclusion.reason
        for relation in relations:
            if relation.relkind != "S" and matches[0].oid in relation.ancestors:
                found.setdefault(relation.oid, exclusion.reason)
    return found


def _unmatched(name: str, kind: str, count: int) -> Finding:
    return Finding(
        check="exclusion-unmatched",
        severity=Severity.ERROR,
        object=name,
        message=f"the configuration excludes the {kind} {name}, which "
        + ("does not exist" if count == 0 else f"fits {count} relations"),
        hint="Correct the name in the source's `exclude` list, or remove the entry.",
    )


def _versions(access: SourceAccess, client_major: int) -> Iterator[Finding]:
    if access.server_major < OLDEST_MAJOR:
        yield Finding(
            check="server-version",
            severity=Severity.ERROR,
            object="server",
            message=f"the server is Postgres {access.server_version}, older than the oldest supported, {OLDEST_MAJOR}",
            hint="Upgrade the server, or back it up with its own pg_dump.",
        )
    if client_major < access.server_major:
        yield Finding(
            check="client-version",
            severity=Severity.ERROR,
            object="pg_dump",
            message=f"pg_dump is of major {client_major}, older than the server ({access.server_version})",
            hint=f"Run `goldcopy tools add {access.server_major}`.",
        )


def _unreadable(access: SourceAccess, relations: Iterable[RelationAccess]) -> Iterator[Finding]:
    schemas_said: set[str] = set()
    for relation in relations:
        if not relation.is_read:
            continue
        if not relation.may_use_schema and relation.schema not in schemas_said:
            schemas_said.add(relation.schema)
            yield Finding(
                check="schema-usage",
                severity=Severity.ERROR,
                object=relation.schema,
                message=f"{access.role} has no USAGE on the schema {relation.schema}",
                hint=f"Run: GRANT USAGE ON SCHEMA {relation.sql_schema} TO {access.sql_role};",
            )
        if not relation.may_select:
            yield Finding(
                check="sequence-select" if relation.relkind == "S" else "table-select",
                severity=Severity.ERROR,
                object=relation.full_name,
                message=f"{access.role} may not read the {relation.kind_name} {relation.full_name}",
                hint=f"Run: {_grant_select(access, relation)}",
            )


def _grant_select(access: SourceAccess, relation: RelationAccess) -> str:
    what = "SEQUENCE" if relation.relkind == "S" else "TABLE"
    return f"GRANT SELECT ON {what} {relation.sql_name} TO {access.sql_role};"


def _large_objects(access: SourceAccess) -> Iterator[Finding]:
    for group in access.large_objects:
        listed = ", ".join(str(oid) for oid in group.examples)
        rest = " and the others" if group.count > len(group.examples) else ""
        yield Finding(
            check="large-object-select",
            severity=Severity.ERROR,
            object=f"large object {group.examples[0]}",
            message=f"{access.role} may not read {group.count} large objects of {group.owner}, such as {listed}",
            hint=f"Run: GRANT SELECT ON LARGE OBJECT {listed} TO {access.sql_role};{rest}"
            + (f" (or GRANT {group.sql_owner} TO {access.sql_role};)" if rest else ""),
        )


def _rows(access: SourceAccess, relation: RelationAccess, left_out: LeftOut) -> Iterator[Finding]:
    if left_out.leaves_out_rows(relation):
        return
    if relation.relkind == "r" and relation.row_security_active:
        yield Finding(
            check="row-security",
            severity=Severity.ERROR,
            object=relation.full_name,
            message=f"row security on {relation.full_name} would hide rows from {access.role}",
            hint=f"Run: ALTER ROLE {access.sql_role} BYPASSRLS;",
        )
    if relation.unlogged and access.is_standby and relation.relkind in {"r", "S"}:
        yield Finding(
            check="unlogged-table",
            severity=Severity.ERROR,
            object=relation.full_name,
            message=f"{relation.full_name} is unlogged, and a read replica does not have its content",
            hint="Back up the primary, or exclude it in the configuration with `data_only = true` and a reason.",
        )
    elif relation.unlogged and relation.relkind == "r":
        yield _warning(relation, "unlogged-table", "is unlogged: a crash of the source empties it",
                       "Run ALTER TABLE ... SET LOGGED where its rows matter.")  # fmt: skip
    if relation.relkind == "f":
        yield _warning(relation, "foreign-table", "is a foreign table: its definition is dumped, its rows are not",
                       "Back up the server that holds the rows.")  # fmt: skip
    if relation.seems_empty and relation.estimated_rows >= MANY_ROWS:
        yield _warning(relation, "empty-table",
                       f"has no rows, although the server's statistics say about {relation.estimated_rows}",
                       "Find out whether it was emptied on purpose.")  # fmt: skip


def _warning(relation: RelationAccess, check: str, message: str, hint: str) -> Finding:
    return Finding(
        check=check,
        severity=Severity.WARNING,
        object=relation.full_name,
        message=f"{relation.full_name} {message}",
        hint=hint,
    )


def _locks(access: SourceAccess, relations: Iterable[RelationAccess]) -> Iterator[Finding]:
    by_oid = {relation.oid: relation for relation in relations}
    for lock in access.locks:
        relation = by_oid.get(lock.oid)
        if relation is not None:
            since = f" for {lock.held_seconds:.0f} s" if lock.held_seconds is not None else ""
            yield _warning(relation, "table-locked", f"is locked by {lock.holder}{since}: the dump has to wait for it",
                           "Let that transaction end, or end it with pg_terminate_backend.")  # fmt: skip


def _subscriptions(access: SourceAccess) -> Iterator[Finding]:
    if access.subscriptions and not access.is_superuser:
        yield Finding(
            check="subscription",
            severity=Severity.WARNING,
            object=access.subscriptions[0],
            message=f"only a superuser can dump subscriptions: {', '.join(access.subscriptions)} will be left out",
            hint="Note their definitions elsewhere; they hold no rows of their own.",
        )
