"""Ask a source what the dump role may do; the thin edge of preflight, all decisions are in `preflight_rules`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from psycopg import errors, sql

from shared.postgres.facts import Connection, reading
from shared.postgres.names import Name
from shared.postgres.preflight_rules import MANY_ROWS, HeldLock, RelationAccess, SourceAccess, UnreadableLargeObjects

_LOOK_SECONDS = 5
_TABLES_AT_ONCE = 100
_EXAMPLES = 5

_SERVER = """
SELECT split_part(current_setting('server_version'), ' ', 1), current_setting('server_version_num')::int / 10000,
    current_user::text, quote_ident(current_user::text), r.rolsuper, pg_is_in_recovery()
FROM pg_roles r WHERE r.rolname = current_user
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
_LOCKS = """
SELECT l.relation, coalesce('process ' || l.pid || ' (' || a.usename || ')', 'a prepared transaction'),
    extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, now()))::float8
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
    AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# The size function would wait for an ACCESS EXCLUSIVE lock; the planner's page count serves for such tables.
_RELATIONS = """
WITH locked AS (
    SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), quote_ident(n.nspname), c.relkind::text,
    c.relpersistence = 'u', has_schema_privilege(n.oid, 'USAGE'),
    CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
         ELSE has_table_privilege(c.oid, 'SELECT') END,
    c.relrowsecurity AND row_security_active(c.oid),
    greatest(c.reltuples, 0)::bigint,
    CASE WHEN c.relkind <> 'r' THEN 0
         WHEN c.oid IN (SELECT relation FROM locked) THEN c.relpages * current_setting('block_size')::bigint
         ELSE coalesce(pg_table_size(c.oid), 0) END,
    CASE WHEN c.relispartition THEN
             ARRAY(SELECT a.relid::oid FROM pg_partition_ancestors(c.oid) a (relid) WHERE a.relid <> c.oid)
         WHEN c.relkind = 'S' THEN
             ARRAY(SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                   AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
         ELSE '{}' END::oid[]
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                     AND d.objsubid = 0 AND d.deptype = 'e')
         OR c.oid IN (SELECT unnest(e.extconfig) FROM pg_extension e))
ORDER BY n.nspname, c.relname
"""
_LARGE_OBJECTS = """
SELECT pg_get_userbyid(m.lomowner), quote_ident(pg_get_userbyid(m.lomowner)), count(*),
    (array_agg(m.oid ORDER BY m.oid))[1:%(examples)s]
FROM pg_largeobject_metadata m
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    AND current_setting('lo_compat_privileges') = 'off' AND NOT {readable}
GROUP BY 1, 2 ORDER BY 1
"""
# Before 18 there is no has_largeobject_privilege: add up the owner's and the grantees' privileges as the server does.
_READABLE_BEFORE_18 = """(pg_has_role(m.lomowner, 'USAGE') OR EXISTS (
    SELECT FROM aclexplode(m.lomacl) x
    WHERE x.privilege_type = 'SELECT' AND CASE x.grantee WHEN 0 THEN true ELSE pg_has_role(x.grantee, 'USAGE') END))"""
_READABLE_18 = "has_largeobject_privilege(m.oid, 'SELECT')"
_SUBSCRIPTIONS = """
SELECT s.subname FROM pg_subscription s
WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) ORDER BY s.subname
"""


def read_access(connection: Connection) -> SourceAccess:
    """Ask the server; privileges are those of the role that the connection acts as.

    Raises:
        SourceChanged: Something was dropped while it was read.
    """
    row: tuple[Any, ...] = connection.execute(_SERVER).fetchone() or ()
    version, major, role, sql_role, is_superuser, is_standby = row
    with reading("the tables"):
        relations = [_relation(*found) for found in _all(connection, _RELATIONS)]
    locks = tuple(HeldLock(oid=oid, holder=holder, held_seconds=age) for oid, holder, age in _all(connection, _LOCKS))
    empty = _without_rows(connection, relations, {lock.oid for lock in locks})
    readable = _READABLE_18 if connection.info.server_version >= 180000 else _READABLE_BEFORE_18
    large_objects = connection.execute(
        _LARGE_OBJECTS.replace("{readable}", readable).encode(), {"examples": _EXAMPLES}
    ).fetchall()
    return SourceAccess(
        server_version=version,
        server_major=major,
        role=role,
        sql_role=sql_role,
        is_superuser=is_superuser,
        is_standby=is_standby,
        relations=tuple(replace(relation, seems_empty=relation.oid in empty) for relation in relations),
        schemas=frozenset(name for (name,) in _all(connection, _SCHEMAS)),
        large_objects=tuple(_large_objects(found) for found in large_objects),
        locks=locks,
        subscriptions=tuple(name for (name,) in _all(connection, _SUBSCRIPTIONS)),
    )


def _all(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(query.encode()).fetchall())


def _large_objects(found: tuple[Any, ...]) -> UnreadableLargeObjects:
    owner, sql_owner, count, examples = found
    return UnreadableLargeObjects(owner=owner, sql_owner=sql_owner, count=count, examples=tuple(examples))


def _relation(*found: Any) -> RelationAccess:  # a row of the query above
    (
        oid, schema, name, sql_name, sql_schema, relkind, unlogged, may_use_schema, may_select, row_security_active,
        estimated_rows, data_bytes, ancestors,
    ) = found  # fmt: skip
    return RelationAccess(
        oid=oid,
        schema=schema,
        name=name,
        sql_name=sql_name,
        sql_schema=sql_schema,
        relkind=relkind,
        unlogged=unlogged,
        may_use_schema=may_use_schema,
        may_select=may_select,
        row_security_active=row_security_active,
        estimated_rows=estimated_rows,
        data_bytes=data_bytes,
        ancestors=tuple(ancestors),
    )


def _without_rows(connection: Connection, relations: Iterable[RelationAccess], locked: set[int]) -> set[int]:
    """Find tables that should have many rows and have none; the first row found ends each look."""
    suspects = [
        relation
        for relation in relations
        if relation.relkind == "r" and relation.estimated_rows >= MANY_ROWS and relation.is_readable
        and relation.oid not in locked
    ]  # fmt: skip
    found: set[int] = set()
    for start in range(0, len(suspects), _TABLES_AT_ONCE):
        found |= _look(connection, suspects[start : start + _TABLES_AT_ONCE])
    return found


def _look(connection: Connection, batch: Sequence[RelationAccess]) -> set[int]:
    one = sql.SQL("SELECT {}::oid WHERE NOT EXISTS (SELECT FROM ONLY {})")
    query = sql.SQL(" UNION ALL ").join(
        one.format(sql.Literal(relation.oid), Name(relation.schema, relation.name)) for relation in batch
    )
    # A table full of dead rows takes long to be found empty, and may be locked meanwhile: then nothing is claimed.
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{_LOOK_SECONDS}s'".encode())
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    except (errors.QueryCanceled, errors.LockNotAvailable, errors.UndefinedTable):
        return set()
    return {oid for (oid,) in rows}
