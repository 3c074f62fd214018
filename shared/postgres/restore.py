"""Run pg_restore on a directory-format dump: progress, phases, a stall guard, and every message judged.

Always with at least two jobs or in a single transaction. Plain `-j 1` loads a table in another transaction than the
one that created it, through the free-space map, so that small rows fill old holes and the physical order of rows
changes; the exact proof would then see a difference where there is none.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import psycopg

from shared.clock import monotonic_seconds
from shared.errors import GoldcopyError, ProgramStalled
from shared.postgres.archive import Toc, TocEntry, read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import start_program
from shared.postgres.restore_messages import MessageReader, RestoreItem, RestoreMessage
from shared.postgres.tools import Toolset

_POLL_SECONDS = 0.2
_SERIAL_STEP = re.compile(r"pg_restore: (creating|executing|processing data for table|restoring large object)\b")
_SERIAL_DATA = frozenset({"processing data for table", "restoring large object"})
_DATA = frozenset({"TABLE DATA", "BLOBS", "BLOB", "BLOB METADATA"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRun:
    """What one pg_restore did.

    Attributes:
        exit_code: Its exit status, for the record only; messages decide.
        messages: Every error and warning, judged.
        phases_seconds: `restore_data`, until the last table's rows were in, and `restore_indexes`, the rest (indexes,
            constraints, triggers, policies, materialized views).
    """

    exit_code: int
    messages: tuple[RestoreMessage, ...]
    phases_seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """How to restore.

    Attributes:
        jobs: Parallel connections, at least 2; not used in a single transaction.
        in_order: One entry after another. For rows only where their order decides whether they fit at all
            (`depends_on_order`): they may stand in another order then (see above).
        single_transaction: All or nothing; the first error ends it and leaves the database as it was.
        use_list: Entries to restore (`write_use_list`), or None for all.
        no_owner: Everything belongs to the connecting role.
        no_privileges: Leave GRANTs out.
        stall_seconds: End the run when nothing moves for this long.
    """

    jobs: int = 2
    in_order: bool = False
    single_transaction: bool = False
    use_list: Path | None = None
    no_owner: bool = False
    no_privileges: bool = False
    stall_seconds: float = 900.0


def run_pg_restore(
    toolset: Toolset,
    dump_folder: Path,
    address: DatabaseAddress,
    options: RestoreOptions,
    *,
    on_progress: Callable[[str, int, int | None], None],
) -> RestoreRun:
    """Restore a dump into a database.

    Args:
        toolset: Client tools at least as new as those that made the dump.
        dump_folder: Directory-format dump.
        address: The database; its role must be allowed to do what the dump does.
        options: How.
        on_progress: Told of finished entries as step `restore`.

    Returns:
        What happened; errors in the dump or the database are messages, not exceptions.

    Raises:
        ProgramStalled: Nothing moved for `stall_seconds`.
        GoldcopyError: The program cannot be started or the server not reached.
    """
    run = _run_once(toolset, dump_folder, address, options, on_progress)
    refused = frozenset(message for message in run.messages if is_refused_grant(message))
    if not refused or options.single_transaction:
        return run
    # Parallel jobs may grant a table's rights before the schema's, on which the giver's right to grant them depends.
    # One after another they come in the dump's own order; a right that was granted already is granted again.
    chosen = _chosen_ids(options.use_list)
    entries = [
        entry
        for entry in read_toc(dump_folder / "toc.dat").entries
        if entry.description == "ACL" and (chosen is None or entry.dump_id in chosen)
    ]
    again = replace(options, in_order=True, use_list=write_use_list(dump_folder / "grants.list", entries))
    repeated = _run_once(toolset, dump_folder, address, again, on_progress)
    seconds = {name: run.phases_seconds[name] for name in run.phases_seconds}
    seconds["restore_indexes"] += sum(repeated.phases_seconds.values())
    kept = tuple(message for message in run.messages if message not in refused)
    return RestoreRun(exit_code=repeated.exit_code, messages=kept + repeated.messages, phases_seconds=seconds)


def is_refused_grant(message: RestoreMessage) -> bool:
    """Whether a GRANT was refused for want of a right that another GRANT of the same dump may give."""
    return message.object.startswith("ACL ") and "permission denied for" in message.text


def _run_once(
    toolset: Toolset,
    dump_folder: Path,
    address: DatabaseAddress,
    options: RestoreOptions,
    on_progress: Callable[[str, int, int | None], None],
) -> RestoreRun:
    watch = _Watch(read_toc(dump_folder / "toc.dat"), options, on_progress)
    arguments = restore_arguments(toolset, dump_folder, options)
    with (
        address.child_environment() as environment,
        start_program(arguments, environment=environment, on_line=watch.take_line) as child,
    ):
        while True:
            try:
                exit_code = child.wait(_POLL_SECONDS)
            except TimeoutError:
                watch.require_progress(address, options.stall_seconds)
            else:
                return watch.result(exit_code)


def restore_arguments(toolset: Toolset, dump_folder: Path, options: RestoreOptions) -> list[str | Path]:
    """Return the argument list of pg_restore; it never holds a secret."""
    arguments: list[str | Path] = [
        toolset.program("pg_restore"),
        "--format=directory",
        "--verbose",
        "--no-password",
        "--dbname=service=goldcopy",
    ]
    if options.single_transaction:
        arguments.append("--single-transaction")
    elif not options.in_order:
        arguments.append(f"--jobs={max(2, options.jobs)}")
    arguments += [f"--use-list={options.use_list}"] if options.use_list else []
    arguments += ["--no-owner"] if options.no_owner else []
    arguments += ["--no-privileges"] if options.no_privileges else []
    return [*arguments, dump_folder]


def write_use_list(path: Path, entries: Iterable[TocEntry]) -> Path:
    """Write the entries that pg_restore shall restore, for `--use-list`; only the numbers count."""
    path.write_text("".join(f"{entry.dump_id}; 0 0 {entry.description}\n" for entry in entries), encoding="utf-8")
    return path


@dataclass(slots=True)
class _Watch:
    """Follows one pg_restore; `take_line` is called from the thread that reads its output."""

    _toc: Toc
    _options: RestoreOptions
    _on_progress: Callable[[str, int, int | None], None]
    _reader: MessageReader = field(default_factory=MessageReader)
    _lock: Lock = field(default_factory=Lock)
    _began: float = field(default_factory=monotonic_seconds)
    _moved_at: float = field(default_factory=monotonic_seconds)
    _data_ended_at: float | None = None
    _in_data: bool = False
    _descriptions: dict[int, str] = field(default_factory=dict)
    _done: int = 0
    _copied_bytes: int = 0

    def __post_init__(self) -> None:
        chosen = _chosen_ids(self._options.use_list)
        self._descriptions = {
            entry.dump_id: entry.description for entry in self._toc.entries if chosen is None or entry.dump_id in chosen
        }

    def take_line(self, line: str) -> None:
        with self._lock:
            self._moved_at = monotonic_seconds()
            item = self._reader.feed(line)
            if item is not None:
                self._note(item)
            elif self._options.single_transaction and (step := _SERIAL_STEP.match(line)):
                self._note_serial(is_data=step[1] in _SERIAL_DATA)

    def _note(self, item: RestoreItem) -> None:
        is_data = self._descriptions.get(item.dump_id) in _DATA
        if is_data and item.state == "finished":
            self._data_ended_at = self._moved_at
        if item.state != "launching":
            self._count()

    def _note_serial(self, *, is_data: bool) -> None:
        """Without parallel jobs steps have no numbers, and what comes after the data ends it."""
        if self._in_data and not is_data:
            self._data_ended_at = self._moved_at
        self._in_data = is_data
        self._count()

    def _count(self) -> None:
        self._done += 1
        self._on_progress("restore", self._done, len(self._descriptions))

    def require_progress(self, address: DatabaseAddress, stall_seconds: float) -> None:
        """Ask the server, when pg_restore was silent for a while, whether anything still moves.

        A COPY or an index of hours prints nothing; the server's own counters and states tell it from a hang.
        """
        with self._lock:
            silent = monotonic_seconds() - self._moved_at
        if silent < stall_seconds / 2:
            return
        copied_bytes, is_working = _server_progress(address)
        if is_working or copied_bytes != self._copied_bytes:
            with self._lock:
                self._copied_bytes, self._moved_at = copied_bytes, monotonic_seconds()
            return
        if silent >= stall_seconds:
            raise ProgramStalled(
                f"pg_restore made no progress for {stall_seconds / 60:g} min",
                hint="Look for locks and a stuck disk at the destination (pg_stat_activity), then run it again.",
            )

    def result(self, exit_code: int) -> RestoreRun:
        with self._lock:
            ended = monotonic_seconds()
            data_ended = self._data_ended_at if self._data_ended_at is not None else ended
            return RestoreRun(
                exit_code=exit_code,
                messages=self._reader.messages(exit_code),
                phases_seconds={
                    "restore_data": round(data_ended - self._began, 3),
                    "restore_indexes": round(ended - data_ended, 3),
                },
            )


def _chosen_ids(use_list: Path | None) -> frozenset[int] | None:
    if use_list is None:
        return None
    lines = use_list.read_text(encoding="utf-8").splitlines()
    return frozenset(int(line.split(";")[0]) for line in lines)


_PROGRESS = """
SELECT coalesce((SELECT sum(bytes_processed) FROM pg_catalog.pg_stat_progress_copy
                 WHERE datname = pg_catalog.current_database()), 0)::bigint,
       EXISTS (SELECT FROM pg_catalog.pg_stat_activity
               WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
                 AND state = 'active' AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client'))
"""
"""Bytes copied so far, and whether any session works rather than waits for a lock or for its client."""


def _server_progress(address: DatabaseAddress) -> tuple[int, bool]:
    """Ask the server; one that cannot answer does not move."""
    try:
        with closing(address.connect(read_only=True)) as connection:
            row = connection.execute(_PROGRESS).fetchone()
    except (GoldcopyError, psycopg.Error):
        return 0, False
    return (int(str(row[0])), bool(row[1])) if row else (0, False)
