"""What the source is and holds: its server, tables, sequences, extensions and large objects.

Everything is read in the caller's transaction (the snapshot's) with set-based queries over the system catalogs, so
that 5,000 tables take seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from shared.domain.manifest import ExtensionRecord, SequenceRecord, ServerFacts
from shared.errors import SourceChanged
from shared.postgres.names import Name

Connection = psycopg.Connection[tuple[object, ...]]

_SEQUENCES_AT_ONCE = 200
_AGAIN = "Run it again; keep schema changes out of the minutes when backups start."

_SERVER = """
SELECT split_part(current_setting('server_version'), ' ', 1),
    current_setting('server_version_num')::int, d.datname, pg_encoding_to_char(d.encoding),
    d.datcollate, d.datctype, to_jsonb(d) ->> 'datlocprovider',
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
    EXISTS (SELECT FROM pg_depend u JOIN pg_collation c ON c.oid = u.refobjid
            WHERE u.refclassid = 'pg_collation'::regclass AND c.collprovider = 'i')
    OR EXISTS (SELECT FROM pg_collation c WHERE c.collprovider = 'i' AND c.oid >= 16384)
FROM pg_database d WHERE d.datname = current_database()
"""
_MAY_READ_IDENTIFIER = "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}

# pg_dump leaves out members of extensions unless the extension names them as configuration (pg_extension_config_dump),
# schemas that begin with pg_ (temporary and toast ones too), and information_schema. Columns: attnum order without
# dropped and generated ones, inherited ones included, exactly as pg_dump writes COPY.
_TABLES = """
WITH configuration AS (
    SELECT member.oid, e.extname, member.condition
    FROM pg_extension e,
        LATERAL unnest(e.extconfig, e.extcondition) AS member (oid, condition)
), members AS (
    SELECT d.objid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.deptype = 'e'
), names AS (
    SELECT a.attrelid, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_attribute a
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY a.attrelid
)
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, coalesce(names.columns, '{}'),
    CASE WHEN root.oid IS NULL THEN '' ELSE rootn.nspname || '.' || root.relname END,
    greatest(c.reltuples, 0)::bigint,
    CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_table_size(c.oid), 0) ELSE 0 END,
    coalesce(configuration.extname, ''), coalesce(configuration.condition, '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN names ON names.attrelid = c.oid
LEFT JOIN configuration ON configuration.oid = c.oid
LEFT JOIN pg_class root
    ON c.relispartition AND root.oid = pg_partition_root(c.oid)
LEFT JOIN pg_namespace rootn ON rootn.oid = root.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (configuration.oid IS NOT NULL OR NOT EXISTS (SELECT FROM members WHERE members.objid = c.oid))
ORDER BY n.nspname, c.relname
"""

# Members of extensions are made, and set, by CREATE EXTENSION; configured ones are dumped. A read replica does not have
# the content of unlogged sequences.
_SEQUENCES = """
SELECT c.oid, n.nspname, c.relname,
    has_sequence_privilege(c.oid, 'SELECT') AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                     AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e')
         OR c.oid IN (SELECT unnest(e.extconfig) FROM pg_extension e))
ORDER BY n.nspname, c.relname
"""
_SEQUENCE_VALUES_18 = """
SELECT s.oid, v.last_value, v.is_called
FROM unnest(%s::oid[]) AS s (oid), LATERAL pg_get_sequence_data(s.oid) AS v
"""

_EXTENSIONS = """
SELECT e.extname, e.extversion, n.nspname
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """One relation that holds rows, or stands for rows held elsewhere.

    Attributes:
        oid: In the source; pg_dump's table of contents names tables by it.
        schema: Schema name, as it is.
        name: Table name, as it is.
        relkind: `r` table, `p` partitioned parent, `m` materialized view, `f` foreign table.
        persistence: `p` permanent, `u` unlogged.
        columns: In the order of pg_dump's COPY; without dropped and generated ones.
        partition_root: `schema.name` of the outermost partitioned parent, or empty.
        estimated_rows: The planner's estimate; 0 where there is none.
        data_bytes: Size on disk with its toast, without indexes.
        extension: Extension whose configuration table it is, or empty.
        extension_condition: `WHERE ...` that limits which rows of a configuration table are dumped, or empty.
    """

    oid: int
    schema: str
    name: str
    relkind: str
    persistence: str
    columns: tuple[str, ...]
    partition_root: str
    estimated_rows: int
    data_bytes: int
    extension: str
    extension_condition: str

    @property
    def has_dumped_rows(self) -> bool:
        """Whether pg_dump writes its rows: not of parents, foreign tables and (refreshed) materialized views."""
        return self.relkind == "r"

    @property
    def full_name(self) -> str:
        """`schema.name`, as it is, for people."""
        return f"{self.schema}.{self.name}"


def read_server_facts(connection: Connection) -> ServerFacts:
    """Read what a restore needs to know of the server and the database."""
    row: tuple[Any, ...] = connection.execute(_SERVER).fetchone() or ()
    version, number, database, encoding, collate, ctype, provider, locale, icu_in_use = row
    name = _PROVIDERS.get(provider or "c", "libc")
    return ServerFacts(
        server_version=version,
        server_version_num=number,
        database=database,
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        locale_provider=name,
        locale=locale,
        icu_in_use=bool(icu_in_use) or name == "icu",
        system_identifier=read_system_identifier(connection),
    )


def read_system_identifier(connection: Connection) -> str:
    """Read what tells one cluster from another; empty where this role may not."""
    # In two steps: asking for what is not allowed would end the transaction.
    (is_allowed,) = connection.execute(_MAY_READ_IDENTIFIER).fetchone() or (False,)
    if not is_allowed:
        return ""
    (identifier,) = connection.execute("SELECT system_identifier FROM pg_catalog.pg_control_system()").fetchone() or (
        "",
    )
    return str(identifier)


def read_tables(connection: Connection) -> tuple[TableFacts, ...]:
    """Read every table, partitioned parent, materialized view and foreign table that a dump defines or fills.

    Raises:
        SourceChanged: A table was dropped or altered meanwhile.
    """
    with reading("the tables"):
        rows: list[tuple[Any, ...]] = connection.execute(_TABLES).fetchall()
    return tuple(
        TableFacts(
            oid=oid,
            schema=schema,
            name=name,
            relkind=relkind,
            persistence=persistence,
            columns=tuple(columns),
            partition_root=root,
            estimated_rows=estimated_rows,
            data_bytes=data_bytes,
            extension=extension,
            extension_condition=condition,
        )
        for (
            oid, schema, name, relkind, persistence, columns, root, estimated_rows, data_bytes, extension, condition,
        ) in rows
    )  # fmt: skip


def read_sequences(connection: Connection) -> tuple[SequenceRecord, ...]:
    """Read every sequence's value; None where this role may not read it.

    Sequences are not part of a snapshot: under load the dump may hold a later value than this one.

    Raises:
        SourceChanged: A sequence was dropped meanwhile.
    """
    rows: list[tuple[Any, ...]] = connection.execute(_SEQUENCES).fetchall()
    gone = [f"{schema}.{name}" for _, schema, name, may_read in rows if may_read is None]
    if gone:
        raise SourceChanged(f"the sequence {gone[0]} was dropped meanwhile", hint=_AGAIN)
    readable = [(oid, schema, name) for oid, schema, name, may_read in rows if may_read]
    with reading("the sequences"):
        values = dict(_sequence_values(connection, readable))
    return tuple(
        SequenceRecord(
            schema=schema,
            name=name,
            last_value=values.get(oid, (None, False))[0],
            is_called=bool(values.get(oid, (None, False))[1]),
        )
        for oid, schema, name, _may_read in rows
    )


def read_extensions(connection: Connection) -> tuple[ExtensionRecord, ...]:
    """Read the installed extensions, by name."""
    rows: list[tuple[Any, ...]] = connection.execute(_EXTENSIONS).fetchall()
    return tuple(ExtensionRecord(name=name, version=version, schema=schema) for name, version, schema in rows)


def read_large_object_count(connection: Connection) -> int:
    """Count the large objects; their sizes and fingerprints come from the dump."""
    row: tuple[Any, ...] | None = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    return int(row[0]) if row else 0


class reading:  # noqa: N801 - a context manager that reads as a word
    """Turn "it is gone" errors of the catalogs into one that says so.

    System catalogs are read at the snapshot, but names and definitions are resolved as of now: when somebody drops or
    alters a table meanwhile, the server answers with an undefined table or a failed cache lookup.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Explain a vanished object."""
        gone = (errors.UndefinedTable, errors.UndefinedObject, errors.UndefinedColumn, errors.InternalError_)
        if isinstance(error, gone):
            raise SourceChanged(
                f"something was dropped or altered while {self._what} were read: {str(error).splitlines()[0]}",
                hint=_AGAIN,
            ) from error
        if isinstance(error, errors.LockNotAvailable):
            raise SourceChanged(
                f"a lock kept {self._what} from being read: {str(error).splitlines()[0]}",
                hint="Look in pg_locks for who holds an ACCESS EXCLUSIVE lock, and run it again.",
            ) from error


def _sequence_values(
    connection: Connection, sequences: Sequence[tuple[int, str, str]]
) -> Iterator[tuple[int, tuple[int | None, bool]]]:
    """Yield OID and value of each, a few hundred per statement: 5,000 single ones cost a round trip each."""
    for start in range(0, len(sequences), _SEQUENCES_AT_ONCE):
        batch = sequences[start : start + _SEQUENCES_AT_ONCE]
        if connection.info.server_version >= 180000:
            rows: list[tuple[Any, ...]] = connection.execute(
                _SEQUENCE_VALUES_18, ([oid for oid, _, _ in batch],)
            ).fetchall()
        else:
            one = sql.SQL("SELECT {}::oid, last_value, is_called FROM {}")
            query = sql.SQL(" UNION ALL ").join(
                one.format(sql.Literal(oid), Name(schema, name)) for oid, schema, name in batch
            )
            rows = connection.execute(query).fetchall()
        yield from ((oid, (value, called)) for oid, value, called in rows)
