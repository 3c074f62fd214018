"""Follow the growing files of a dump with several threads and hand them to the object writer."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Self

from shared.operations.progress import OnProgress
from shared.postgres.dump import END_MARKER, RunningDump
from shared.repository.writer import ObjectWriter, StoredFile


class DumpReading:
    """Readers of one dump."""

    def __init__(self, dump: RunningDump, writer: ObjectWriter, threads: int, on_progress: OnProgress) -> None:
        self._dump = dump
        self._writer = writer
        self._on_progress = on_progress
        self._stored: dict[str, StoredFile] = {}
        self._estimated_bytes: int | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dump-reader")
        self._readers = [self._pool.submit(self._read_files) for _ in range(threads)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no reader behind: an error of the caller's, an interrupt among them, ends the dump they follow."""
        if error is not None:
            self._dump.stop(error)
        self._pool.shutdown(wait=True, cancel_futures=True)
        first = self._dump.failure
        if error is not None and first is not None and first is not error:
            raise first from error  # the later error is a consequence: a connection that was broken off, for one

    def expect(self, estimated_bytes: int) -> None:
        """Set what progress counts towards."""
        self._estimated_bytes = estimated_bytes

    def wait(self) -> Mapping[str, StoredFile]:
        """Wait until every file is stored.

        Returns:
            What was stored, by file name.

        Raises:
            GoldcopyError: The first failure of any reader; pg_dump is stopped then.
        """
        for reader in as_completed(self._readers):
            reader.result()
        self._dump.finish()
        return self._stored

    def store_leftovers(self, extra: Mapping[str, bytes]) -> Mapping[str, StoredFile]:
        """Store what pg_dump wrote besides data files, and the facts that belong to the backup."""
        for path in self._dump.leftover_files():
            with path.open("rb") as stream:
                chunks = iter(lambda: stream.read(1 << 20), b"")
                self._stored[path.name] = self._writer.store_file(path.name, chunks, size_hint=path.stat().st_size)
        for name, content in extra.items():
            self._stored[name] = self._writer.store_file(name, iter((content,)), size_hint=len(content))
        return self._stored

    def _read_files(self) -> None:
        try:
            for file in self._dump.files():
                marker = END_MARKER if file.is_table else b""
                stored = self._writer.store_file(
                    file.name, self._counted(file.chunks()), size_hint=file.path.stat().st_size, trailer=marker
                )
                self._stored[file.name] = stored
        except BaseException as error:
            self._dump.stop(error)
            raise

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._on_progress("dump", self._dump.read_bytes, self._estimated_bytes)
