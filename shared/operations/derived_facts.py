"""Read beside the dump, in its snapshot, what a restore will compute anew."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from shared.domain.comparison import qualified
from shared.domain.manifest import DerivedKind, DerivedRecord, TableRecord
from shared.errors import ProgramFailed
from shared.operations.source_facts import SourceFacts, dumped_whole
from shared.postgres.column_reading import ColumnReader
from shared.postgres.derived import LOCK_WAIT, find_derived, read_targets
from shared.postgres.dump import DumpRequest, RunningDump
from shared.postgres.preflight import Preflight
from shared.postgres.read_guard import ReadGuard
from shared.postgres.readback import quoted
from shared.postgres.row_counts import replaced_since
from shared.postgres.snapshot import Snapshot, break_off

_REPLACED = "it was filled anew while the backup ran"


def read_derived(
    request: DumpRequest,
    snapshot: Snapshot,
    facts: SourceFacts,
    dump: RunningDump,
    preflight: Preflight,
    key: bytes,
) -> tuple[DerivedRecord, ...]:
    """Read stored generated columns and materialized views; a source without them is not asked for a connection.

    Args:
        request: Of the dump: the source, the tools, the role, and after what time nothing moves any more.
        snapshot: The dump's.
        facts: What was read of the source.
        dump: Runs meanwhile; its failure ends this too.
        preflight: What is left out on purpose.
        key: Fingerprint key.

    Returns:
        One record for each table with stored generated columns and for each populated view.

    Raises:
        GoldcopyError: The dump failed meanwhile.
    """
    kept = [table for table in facts.tables.values() if not preflight.leaves_out_relation(table.schema, table.name)]
    targets = find_derived(
        snapshot.connection,
        [table for table in kept if dumped_whole(table, preflight)],
        [table for table in kept if table.relkind == "m"],
    )
    if not targets:
        return ()
    guard = ReadGuard(request.policy.stall_after.total_seconds(), dump.raise_if_stopped)
    reader = ColumnReader(
        request.toolset,
        request.address,
        facts.server.encoding,
        session=_session(request.policy.role, facts.server.encoding),
        begin=(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET TRANSACTION SNAPSHOT '{request.snapshot_id}'",
        ),
        guard=guard,
        on_connect=lambda connection: dump.also_stop(partial(break_off, connection)),
    )
    with closing(reader):
        records = dict(read_targets(reader, targets, key, check=guard.check))
    for oid in replaced_since(snapshot.connection, list(records)):
        records[oid] = _without_content(records[oid])
    return tuple(sorted(records.values(), key=lambda record: (record.schema, record.name)))


def require_same_rows(tables: Sequence[TableRecord], derived: Sequence[DerivedRecord]) -> None:
    """Make sure that the dump has as many rows of a table as were read beside it.

    Raises:
        ProgramFailed: It has not.
    """
    read = {(record.schema, record.name): record for record in derived if not record.unread}
    for table in tables:
        record = read.get((table.schema, table.name))
        if record and record.kind is DerivedKind.GENERATED_COLUMNS and record.rows != table.rows:
            raise ProgramFailed(
                f"pg_dump wrote {table.rows} rows of {qualified(table.schema, table.name)}, "
                f"and its snapshot has {record.rows}",
                hint="Do not trust these client tools; `goldcopy check` names them. Nothing was kept of this backup.",
            )


def _session(role: str, encoding: str) -> list[str]:
    wait = f"SET lock_timeout = '{LOCK_WAIT}'"
    return [wait, f"SET ROLE {quoted(role, encoding)}"] if role else [wait]


def _without_content(record: DerivedRecord) -> DerivedRecord:
    bare = DerivedRecord(kind=record.kind, schema=record.schema, name=record.name, generated=record.generated)
    return replace(bare, unread=_REPLACED)
