"""Notice schema changes between a snapshot and the present: they would make facts and dump disagree.

Catalogs are read at the snapshot, but the server prints definitions (functions, views, defaults ...) as they are now,
and pg_dump has some of each. Tables cannot change once pg_dump has locked them; everything else can.
Before that they can: pg_dump reads a table that was renamed meanwhile by its name.
"""

from typing import Any

from shared.errors import SourceChanged
from shared.postgres.facts import Connection
from shared.postgres.schema_sql import included, user_schema

_ON_TABLE = (
    ("pg_rewrite", "ev_class", "rule or view"),
    ("pg_attrdef", "adrelid", "default"),
    ("pg_constraint", "conrelid", "constraint"),
    ("pg_index", "indrelid", "index"),
    ("pg_trigger", "tgrelid", "trigger"),
    ("pg_policy", "polrelid", "policy"),
    ("pg_statistic_ext", "stxrelid", "statistics object"),
)
_LIMITS = (
    "SELECT current_setting('goldcopy.excluded_schemas', true), current_setting('goldcopy.excluded_relations', true)"
)
_KEYS = {"pg_index": "indexrelid"}


def require_unchanged(snapshot: Connection, now: Connection) -> None:
    """Make sure that nothing visible in the snapshot was altered or dropped since.

    What was only created since is neither in the dump nor in the facts and does no harm; temporary tables do not count.

    Args:
        snapshot: The snapshot's transaction, after `read_schema` and after pg_dump wrote its table of contents.
        now: Another connection, outside the snapshot.

    Raises:
        SourceChanged: Names an object that is not what it was; a new snapshot is needed.
    """
    changed = _changed(snapshot, now, _versions_query())
    if changed:
        raise SourceChanged(
            f"the schema changed while the dump was starting: {changed[0]}",
            hint="Run it again; keep schema changes out of the minutes when backups start.",
        )


def find_replaced(snapshot: Connection, now: Connection) -> list[str]:
    """Name tables that were emptied or rewritten since the snapshot, before pg_dump had locked them.

    TRUNCATE and a rewrite (ALTER COLUMN TYPE) give a table other files, which the older snapshot sees as empty or not
    as it was, although every committed state had rows. VACUUM FULL does so too, without harm.

    Args:
        snapshot: The snapshot's transaction, after pg_dump wrote its table of contents.
        now: Another connection, outside the snapshot.
    """
    return _changed(snapshot, now, _tables_query("c.relfilenode::text", "emptied or rewritten"))


def _changed(snapshot: Connection, now: Connection, query: str) -> list[str]:
    limits = snapshot.execute(_LIMITS).fetchone() or (None, None)
    for connection in (snapshot, now):
        connection.execute(
            "SELECT set_config('goldcopy.excluded_schemas', %s, false), "
            "set_config('goldcopy.excluded_relations', %s, false)",
            [limit or "{}" for limit in limits],
        )
    then: list[tuple[Any, ...]] = snapshot.execute(query.encode()).fetchall()
    present = {(catalog, oid): version for catalog, oid, version, _ in now.execute(query.encode()).fetchall()}
    return [name for catalog, oid, version, name in then if present.get((catalog, oid)) != version]


def _versions_query() -> str:
    """Every version of a row has the number of the transaction that wrote it; of a table, its file and name count."""
    functions = (
        "SELECT 'pg_proc', p.oid::text, p.xmin::text, format('%I.%I() (function)', n.nspname, p.proname) "
        f"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user_schema()}"
    )
    on_tables = [
        f"SELECT '{catalog}', o.{_KEYS.get(catalog, 'oid')}::text, o.xmin::text, "
        f"format('%I.%I ({what})', n.nspname, c.relname) FROM {catalog} o JOIN pg_class c ON c.oid = o.{table} "
        f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user_schema()} AND {included('c.oid')}"
        for catalog, table, what in _ON_TABLE
    ]
    tables = _tables_query("concat_ws(' ', c.relnamespace, c.relname)", "renamed or dropped")
    return " UNION ALL ".join([functions, tables, *on_tables])


def _tables_query(version: str, what: str) -> str:
    return (
        f"SELECT 'pg_class', c.oid::text, {version}, format('%I.%I ({what})', n.nspname, c.relname) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {user_schema()} AND {included('c.oid')}"
    )
