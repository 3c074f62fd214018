"""What is read from the source in the dump's own snapshot, and whether the dump holds all of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.manifest import ExtensionRecord, SequenceRecord, ServerFacts, TableRecord
from shared.errors import ProgramFailed, SourceChanged
from shared.operations.role_proof import read_roles_file
from shared.postgres.archive import Toc
from shared.postgres.facts import (
    TableFacts,
    read_extensions,
    read_large_object_count,
    read_server_facts,
    read_tables,
)
from shared.postgres.preflight import Preflight
from shared.postgres.roles import read_roles_sql, read_settings_sql
from shared.postgres.row_counts import read_row_counts
from shared.postgres.schema import Schema, read_schema
from shared.postgres.snapshot import Snapshot
from shared.repository.writer import StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """The facts of one snapshot.

    Attributes:
        tables: Every table whose rows a dump may hold, by OID.
        schema: Every schema object: class -> {identity: definition}.
        role_names: Roles of the cluster.
        roles_sql: Statements that make them, without passwords.
        row_counts: Rows of the smaller tables by OID, counted apart from the dump.
        large_object_count: Large objects of the snapshot, counted apart from the dump.
        settings_sql: Statements for the database's own settings.
        roles_file: What the roles are, to compare restored ones with.
    """

    server: ServerFacts
    tables: Mapping[int, TableFacts]
    sequences: tuple[SequenceRecord, ...]
    extensions: tuple[ExtensionRecord, ...]
    schema: Schema
    role_names: tuple[str, ...]
    roles_sql: str
    settings_sql: str
    roles_file: bytes
    row_counts: Mapping[int, int]
    large_object_count: int

    @property
    def estimated_bytes(self) -> int:
        """What the dump will about be, by the size of the tables on disk."""
        return sum(table.data_bytes for table in self.tables.values())


def read_source_facts(snapshot: Snapshot, sequences: tuple[SequenceRecord, ...], preflight: Preflight) -> SourceFacts:
    """Read everything a restore will be compared with; runs while the rows are being dumped."""
    connection = snapshot.connection
    tables = read_tables(connection)
    dumped = [table for table in tables if dumped_whole(table, preflight)]
    role_names, roles_sql = read_roles_sql(connection)
    return SourceFacts(
        server=read_server_facts(connection),
        tables={table.oid: table for table in tables},
        sequences=sequences,
        extensions=read_extensions(connection),
        schema=read_schema(
            connection,
            excluded_tables=preflight.excluded_tables,
            excluded_schemas=preflight.excluded_schemas,
        ),
        role_names=role_names,
        roles_sql=roles_sql,
        settings_sql=read_settings_sql(connection),
        roles_file=read_roles_file(connection),
        row_counts=read_row_counts(connection, dumped),
        large_object_count=read_large_object_count(connection),
    )


def dumped_whole(table: TableFacts, preflight: Preflight) -> bool:
    """Say whether the dump holds all rows of a table; of some configuration tables of extensions it holds a part."""
    return table.has_dumped_rows and not preflight.leaves_out(table) and not table.extension_condition


def records_of_tables(
    toc: Toc, facts: SourceFacts, stored: Mapping[str, StoredFile], preflight: Preflight
) -> tuple[TableRecord, ...]:
    """Join the dump's files with the snapshot's tables and make sure that neither holds more than the other.

    Raises:
        SourceChanged: A table of the snapshot is not in the dump, or the other way round.
    """
    in_dump = {entry.oid: filename for filename, entry in toc.data_files().items()}
    expected = {oid for oid, table in facts.tables.items() if table.has_dumped_rows and not preflight.leaves_out(table)}
    for oid in expected ^ in_dump.keys():
        table = facts.tables.get(oid)
        name = f"{table.schema}.{table.name}" if table else f"the table with OID {oid}"
        where = "the dump but not in its snapshot" if oid in in_dump else "the snapshot but not in the dump"
        raise SourceChanged(
            f"{name} is in {where}",
            hint="Run the backup again; if it repeats, exclude the table in the configuration with a reason.",
        )
    records = {oid: _record(facts.tables[oid], stored[filename]) for oid, filename in sorted(in_dump.items())}
    for oid, counted in facts.row_counts.items():
        if oid in records and records[oid].rows != counted:
            raise ProgramFailed(
                f"pg_dump wrote {records[oid].rows} rows of {facts.tables[oid].full_name}, "
                f"and its snapshot has {counted}",
                hint="Do not trust these client tools; `goldcopy check` names them. Nothing was kept of this backup.",
            )
    return tuple(records.values())


def require_large_objects(facts: SourceFacts, dumped_count: int) -> None:
    """Make sure that the dump holds as many large objects as the snapshot.

    Raises:
        ProgramFailed: It does not.
    """
    if dumped_count != facts.large_object_count:
        raise ProgramFailed(
            f"pg_dump wrote {dumped_count} large objects, and its snapshot has {facts.large_object_count}",
            hint="Do not trust these client tools; `goldcopy check` names them. Nothing was kept of this backup.",
        )


def records_of_sequences(toc: Toc, facts: SourceFacts) -> tuple[SequenceRecord, ...]:
    """Keep the sequences that the dump sets; those of tables and schemas that were left out on purpose are not in it.

    Raises:
        SourceChanged: The dump sets fewer sequences than the schema has.
    """
    dumped = {(entry.schema, entry.tag) for entry in toc.entries if entry.description == "SEQUENCE SET"}
    kept = tuple(record for record in facts.sequences if (record.schema, record.name) in dumped)
    if len(kept) < len(facts.schema["sequences"]):
        raise SourceChanged(
            f"the dump sets {len(kept)} of {len(facts.schema['sequences'])} sequences",
            hint="Run the backup again; nothing was kept of this one.",
        )
    return kept


def _record(table: TableFacts, stored: StoredFile) -> TableRecord:
    return TableRecord(
        schema=table.schema,
        name=table.name,
        columns=table.columns,
        rows=stored.rows,
        plain_bytes=stored.plain_bytes,
        fingerprint=stored.fingerprint,
        file=stored.path,
        partition_root=table.partition_root,
    )
