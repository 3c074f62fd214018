"""Run pg_dump in directory format and hand out its files while they still grow.

pg_dump writes uncompressed files with N jobs into a scratch folder. Readers follow each file to its end, so the rows
are counted, fingerprinted, sealed and stored while the server still sends them, and what was read leaves the disk:
consumed ranges of a growing file are punched out, finished files are deleted. When readers fall behind by more than the
limit, pg_dump is paused, so scratch space stays bounded whatever the size of the database.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import Queue
from threading import Event, Lock, Thread

from shared.clock import monotonic_seconds, wait
from shared.domain.source import DumpPolicy
from shared.errors import GoldcopyError, IntegrityProblem, ProgramStalled, SpaceExhausted
from shared.postgres.archive import Toc, read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.dump_errors import explain_dump_failure
from shared.postgres.hole_punching import punch_hole
from shared.postgres.process import Child, start_program
from shared.postgres.tools import Toolset

END_MARKER = b"\\.\n\n\n"
"""What pg_dump adds to the COPY text of a table; no row can look like it, since COPY escapes backslashes."""

_CHUNK_BYTES = 1 << 20
_PUNCH_BYTES = 16 << 20
_POLL_SECONDS = 0.004
_LIST_SECONDS = 0.2
_WAITING_SHARE = 10
_WAITING_FLOOR_BYTES = 32 << 20
_MINIMUM_FREE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRequest:
    """What to dump and how.

    Attributes:
        encoding: The database's own encoding, in which it is dumped.
        excluded_tables: (schema, name) of tables to leave out entirely.
        excluded_data: (schema, name) of tables to leave empty.
        excluded_schemas: Schemas to leave out.
        estimated_bytes: About how large the dump will be.
    """

    toolset: Toolset
    address: DatabaseAddress
    snapshot_id: str
    policy: DumpPolicy
    encoding: str = ""
    excluded_tables: Sequence[tuple[str, str]] = ()
    excluded_data: Sequence[tuple[str, str]] = ()
    excluded_schemas: Sequence[str] = ()
    estimated_bytes: int = 0

    @property
    def waiting_limit_bytes(self) -> int:
        """How much may wait for readers before pg_dump is paused: a share of the dump, within bounds."""
        share = max(self.estimated_bytes // _WAITING_SHARE, _WAITING_FLOOR_BYTES)
        return min(share, self.policy.scratch_limit_bytes)


@dataclass(slots=True)
class DumpFile:
    """A file of the dump directory that may still grow."""

    name: str
    path: Path
    is_table: bool
    _dump: "RunningDump"
    consumed_bytes: int = 0
    size_bytes: int = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the content (of a table: its COPY text without the end marker) as it comes, then delete the file.

        Raises:
            GoldcopyError: The dump ended before the file did, or the file does not end as it must.
        """
        with self.path.open("rb", buffering=0) as stream:
            yield from self._follow(stream.fileno()) if self.is_table else self._whole(stream.fileno())
        self.path.unlink()
        self._dump.consumed(self)

    def _whole(self, descriptor: int) -> Iterator[bytes]:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            self._note(len(chunk))
            yield chunk

    def _follow(self, descriptor: int) -> Iterator[bytes]:
        held, last_byte, punched = b"", b"\n", 0
        while True:
            ended = self._dump.has_ended  # asked before reading: what was written before the end is then read
            chunk = os.read(descriptor, _CHUNK_BYTES)
            if not chunk:
                if held == END_MARKER and last_byte == b"\n":
                    return
                if ended:
                    self._dump.raise_failure()
                    raise IntegrityProblem(
                        f"the dump of {self.name} does not end as pg_dump ends a table",
                        hint="Nothing was kept; make the backup again and check the disk of the scratch folder.",
                    )
                self._dump.raise_if_stopped()
                wait(_POLL_SECONDS)
                continue
            self._note(len(chunk))
            joined = held + chunk if held else chunk
            ready, held = joined[: -len(END_MARKER)], joined[-len(END_MARKER) :]
            if ready:
                last_byte = ready[-1:]
                yield ready
            if self.consumed_bytes - punched >= _PUNCH_BYTES and self._dump.may_punch:
                self._dump.may_punch = punch_hole(descriptor, self.path, punched, self.consumed_bytes - punched)
                punched = self.consumed_bytes

    def _note(self, count: int) -> None:
        self.consumed_bytes += count
        self._dump.moved(count)


class RunningDump:
    """A pg_dump at work; use it through `start_dump`."""

    def __init__(self, child: Child, folder: Path, request: DumpRequest, now_seconds: Callable[[], float]) -> None:
        self._child = child
        self._folder = folder
        self._policy = request.policy
        self._limit_bytes = request.waiting_limit_bytes
        self._now_seconds = now_seconds
        self._lock = Lock()
        self._open: dict[str, DumpFile] = {}
        self._seen: set[str] = set()
        self._queue: Queue[DumpFile | None] = Queue()
        self._toc_ready = Event()
        self._toc: Toc | None = None
        self._failure: BaseException | None = None
        self._moved_at = now_seconds()
        self._read_bytes = 0
        self._written_mark = (0, 0)
        self._lists_due_at = 0.0
        self._stopping: list[Callable[[], None]] = []
        self.may_punch = True
        self.has_ended = False
        self.peak_scratch_bytes = 0
        self.paused_seconds = 0.0
        self._watcher = Thread(target=self._watch, name="dump-watcher", daemon=True)
        self._watcher.start()

    @property
    def read_bytes(self) -> int:
        """Bytes handed to readers so far."""
        return self._read_bytes

    def toc(self) -> Toc:
        """Wait for the table of contents, which comes before the first row.

        Raises:
            GoldcopyError: pg_dump ended before it wrote one.
        """
        while not self._toc_ready.wait(0.05):
            self.raise_if_stopped()
        if self._toc is None:
            self.raise_failure()
            raise IntegrityProblem("pg_dump ended without a table of contents", hint="Make the backup again.")
        return self._toc

    def files(self) -> Iterator[DumpFile]:
        """Yield every data file once, as it appears; several threads may share the work by calling this each."""
        while (item := self._queue.get()) is not None:
            yield item
        self._queue.put(None)
        self.raise_if_stopped()

    def finish(self) -> None:
        """Wait for the end and make sure that pg_dump was content.

        Raises:
            GoldcopyError: What went wrong, explained.
        """
        self._watcher.join()
        self.raise_failure()

    def leftover_files(self) -> tuple[Path, ...]:
        """Return what lies in the folder besides the files that were handed out: toc.dat and large-object lists."""
        return tuple(sorted(path for path in self._folder.iterdir() if path.name not in self._seen))

    def join(self) -> None:
        """Wait for the watcher after the program was stopped."""
        self._watcher.join()

    def consumed(self, file: DumpFile) -> None:
        """Note that a reader is done with a file."""
        with self._lock:
            self._open.pop(file.name, None)

    def moved(self, count: int) -> None:
        """Note progress."""
        with self._lock:
            self._read_bytes += count
            self._moved_at = self._now_seconds()

    def stop(self, reason: BaseException) -> None:
        """End the run for a reason of the caller's."""
        with self._lock:
            self._failure = self._failure or reason
            stopping, self._stopping = self._stopping, []
        for call in stopping:
            call()
        self._child.stop()

    def also_stop(self, call: Callable[[], None]) -> None:
        """Have something else ended with the dump: a connection that waits for the same server."""
        with self._lock:
            if self._failure is None:
                self._stopping.append(call)
                return
        call()

    @property
    def failure(self) -> BaseException | None:
        """What ended the run early, if anything did."""
        return self._failure

    def raise_if_stopped(self) -> None:
        """Raise what ended the run early, if anything did."""
        if self._failure is not None:
            raise self._failure

    def raise_failure(self) -> None:
        """Raise why pg_dump ended badly, if it did."""
        self.raise_if_stopped()
        code = self._child.poll()
        if code:
            raise explain_dump_failure(code, self._child.stderr_tail)

    # -- the watcher's side ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            while self._child.poll() is None:
                self._scan(ended=False)
                self._guard()
                wait(_POLL_SECONDS)
        except GoldcopyError as error:
            self.stop(error)
        except OSError as error:
            self.stop(SpaceExhausted(f"the scratch folder cannot be read: {error.strerror}", hint="Check the disk."))
        finally:
            self.has_ended = True
            if self._child.poll() == 0 and self._failure is None:
                self._scan(ended=True)
            self._toc_ready.set()
            self._queue.put(None)

    def _scan(self, *, ended: bool) -> None:
        names = {entry.name for entry in os.scandir(self._folder)} if self._folder.exists() else set()
        data = {name for name in names if name.endswith(".dat") and name != "toc.dat"}
        if self._toc is None and (data or (ended and "toc.dat" in names)):
            self._toc = read_toc(self._folder / "toc.dat")
            self._toc_ready.set()
        blobs = {name for name in data if name.startswith("blob_")}
        ready_blobs = blobs if ended else blobs & self._listed_blobs(names) if blobs - self._seen else set[str]()
        for name in sorted((data - blobs) | ready_blobs):
            if name not in self._seen:
                self._seen.add(name)
                file = DumpFile(name, self._folder / name, is_table=name not in blobs, _dump=self)
                with self._lock:
                    self._open[name] = file
                self._queue.put(file)

    def _listed_blobs(self, names: set[str]) -> set[str]:
        """A large object's file is whole once pg_dump has listed it; the lists may be long, so not at every look."""
        if self._now_seconds() < self._lists_due_at:
            return set()
        self._lists_due_at = self._now_seconds() + _LIST_SECONDS
        listed: set[str] = set()
        for name in names:
            if name.startswith("blobs") and name.endswith(".toc"):
                text = (self._folder / name).read_text("ascii", "replace")
                listed.update(line.split()[1] for line in text.split("\n")[:-1] if len(line.split()) == 2)
        return listed

    def _guard(self) -> None:
        written, waiting = self._measure()
        now = self._now_seconds()
        mark = (written, self._child.stderr_bytes)
        if mark != self._written_mark:
            self._written_mark, self._moved_at = mark, now
        self.peak_scratch_bytes = max(self.peak_scratch_bytes, waiting)
        if waiting > self._limit_bytes:
            self._hold_back(self._limit_bytes)
        if now - self._moved_at > self._policy.stall_after.total_seconds():
            raise ProgramStalled(
                f"the dump made no progress for {_minutes(self._policy.stall_after)}",
                hint="Look for locks and a stuck network at the source (pg_stat_activity), then run the backup again; "
                "the time is `stall_after` of the source.",
            )
        free = os.statvfs(self._folder if self._folder.exists() else self._folder.parent)
        if free.f_bavail * free.f_frsize < _MINIMUM_FREE_BYTES:
            raise SpaceExhausted(
                f"the disk of the scratch folder {self._folder.parent.parent} is almost full",
                hint="Free space there, or point `[scratch] folder` to a larger disk, and run the backup again.",
            )

    def _measure(self) -> tuple[int, int]:
        """Bytes written by pg_dump to files still open here, and how many of them wait for a reader."""
        with self._lock:
            files = list(self._open.values())
        for file in files:
            try:
                file.size_bytes = file.path.stat().st_size
            except FileNotFoundError:
                file.size_bytes = file.consumed_bytes
        waiting = sum(max(0, file.size_bytes - file.consumed_bytes) for file in files)
        return self._read_bytes + waiting, waiting

    def _hold_back(self, limit: int) -> None:
        """Pause pg_dump until its readers have caught up with half of what waits."""
        started = self._now_seconds()
        self._child.pause()
        try:
            while self._measure()[1] > limit // 2 and self._failure is None:
                if self._now_seconds() - self._moved_at > self._policy.stall_after.total_seconds():
                    return
                wait(_POLL_SECONDS)
        finally:
            self._child.resume()
            self.paused_seconds += self._now_seconds() - started


@contextmanager
def start_dump(
    request: DumpRequest, folder: Path, *, now_seconds: Callable[[], float] = monotonic_seconds
) -> Iterator[RunningDump]:
    """Begin a dump into `folder`, which must not exist; leaving the context kills a pg_dump that still runs."""
    with (
        request.address.child_environment(encoding=request.encoding) as environment,
        start_program(dump_arguments(request, folder), environment=environment) as child,
    ):
        dump = RunningDump(child, folder, request, now_seconds)
        try:
            yield dump
        finally:
            child.stop()
            dump.join()


def dump_arguments(request: DumpRequest, folder: Path) -> list[str | Path]:
    """Return the argument list of pg_dump; it never holds a secret."""
    arguments: list[str | Path] = [
        request.toolset.program("pg_dump"),
        "--format=directory",
        f"--file={folder}",
        f"--jobs={request.policy.jobs}",
        "--compress=0",
        "--no-sync",
        "--no-password",
        "--verbose",
        f"--snapshot={request.snapshot_id}",
        f"--lock-wait-timeout={int(request.policy.lock_wait.total_seconds() * 1000)}",
    ]
    if request.policy.role:
        arguments.append(f"--role={request.policy.role}")
    arguments += [f"--exclude-table={_pattern(*table)}" for table in request.excluded_tables]
    arguments += [f"--exclude-table-data={_pattern(*table)}" for table in request.excluded_data]
    arguments += [f"--exclude-schema={_pattern(schema)}" for schema in request.excluded_schemas]
    arguments.append("--dbname=service=goldcopy")
    return arguments


def _pattern(*names: str) -> str:
    """Quote names for pg_dump's patterns, so that each means exactly itself."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _minutes(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 60:g} min"
