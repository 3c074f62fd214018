"""Turn the files of a dump into stored objects: whole, in parts, or bundled; or find that they are stored already.

The calling thread reads, counts, fingerprints and compresses; a small pool encrypts, digests and uploads. Memory stays
flat because at most `_IN_FLIGHT_BYTES` of compressed bytes wait for the pool: who reads faster than the store takes,
waits.
"""

import secrets
import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from shared.domain.manifest import FileRecord, Manifest, ObjectRecord
from shared.errors import DigestMismatch
from shared.repository.layout import check_file_path, object_key
from shared.repository.packing import BUNDLED_BELOW_BYTES, Bundle, Content, FileCutter, PartName, Place, Room
from shared.repository.repository import Repository
from shared.repository.sealing import Sealer, check_recipients
from shared.repository.sharing import SharedObjects

_IN_FLIGHT_BYTES = 48 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What the writer learned about one file.

    Attributes:
        path: Its name in the dump directory.
        plain_bytes: Bytes of its content, without the trailer.
        fingerprint: HMAC-SHA-256 of that content, hex.
        rows: Line feeds in that content; of a table's COPY text: its rows.
    """

    path: str
    plain_bytes: int
    fingerprint: str
    rows: int


class WrittenObjects(NamedTuple):
    """What a finished writer hands to the manifest; `new_bytes` counts only what was not stored before."""

    objects: tuple[ObjectRecord, ...]
    files: tuple[FileRecord, ...]
    new_bytes: int


@dataclass(slots=True, kw_only=True)
class _PendingFile:
    """A file whose objects may still be on their way."""

    plain_bytes: int
    fingerprint: str
    places: tuple[Place, ...]
    member: str = ""


class ObjectWriter:
    """Writes the objects of one backup. `store_file` may be called from several threads; `finish` ends it."""

    def __init__(
        self,
        repository: Repository,
        source: str,
        recipients: Sequence[str],
        previous: Sequence[Manifest] = (),
        damaged_keys: Collection[str] = (),
        upload_threads: int = 4,
    ) -> None:
        """Prepare to write.

        Args:
            repository: Where to.
            source: Name of the source.
            recipients: Public keys that can read the backup.
            previous: Complete backups of the same source, newest first, whose objects may be shared.
            damaged_keys: Objects that were found damaged and must not be shared.
            upload_threads: How many objects are encrypted and uploaded at once.

        Raises:
            ConfigInvalid: The recipients or the fingerprint key cannot be used.
        """
        self._store = repository.store
        self._key = repository.fingerprint_key
        self._source = source
        self._recipients = check_recipients(recipients)
        self._shared = SharedObjects(repository.store, source, self._recipients, previous, damaged_keys)
        self._pool = ThreadPoolExecutor(upload_threads, thread_name_prefix="upload")
        self._room = Room(_IN_FLIGHT_BYTES)
        self._sealing = threading.Lock()
        self._lock = threading.Lock()
        self._files: dict[str, _PendingFile | None] = {}
        self._written: dict[tuple[str, int], _PendingFile] = {}
        self._bundle: Bundle | None = None
        self._uploads: list[Future[ObjectRecord]] = []
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    @property
    def lost_keys(self) -> tuple[str, ...]:
        """Objects that a previous backup names and the store does not have as recorded; they were stored anew."""
        return self._shared.lost_keys

    def store_file(
        self, path: str, chunks: Iterable[bytes], *, size_hint: int | None = None, trailer: bytes = b""
    ) -> StoredFile:
        """Store one file of the dump, or find that it is stored already.

        Args:
            path: Its name in the dump directory.
            chunks: Its content in order, without the trailer; read once, while the file may still grow.
            size_hint: How many bytes it has at least, where that is known.
            trailer: Bytes that belong to the file but not to its fingerprint (an archive's end marker).

        Returns:
            Size, fingerprint and rows of the content.

        Raises:
            StoreProblem: An upload, of this or of an earlier file, failed.
            ValueError: The path is not a file name, or was stored before.
        """
        with self._lock:
            if check_file_path(path) in self._files:
                raise ValueError(f"{path} is stored already")
            self._files[path] = None
        content = Content(self._key)
        is_large = (size_hint or 0) >= BUNDLED_BELOW_BYTES
        cutter = FileCutter(content, self._recipients, self._submit_part, is_large=is_large)
        for chunk in chunks:
            self._raise_failure()
            cutter.write(chunk)
        held = cutter.held
        if held is not None:
            pending = self._store_small(content.fingerprint, (*held, trailer))
        else:
            pending = self._store_large(cutter, trailer)
        with self._lock:
            self._files[path] = pending
        return StoredFile(
            path=path, plain_bytes=content.plain_bytes, fingerprint=content.fingerprint, rows=content.rows
        )

    def finish(self) -> WrittenObjects:
        """Close the open bundle, wait for every upload, and say where everything is.

        Raises:
            StoreProblem: An upload failed.
        """
        self._raise_failure()
        with self._lock:
            bundle, self._bundle = self._bundle, None
        if bundle is not None:
            self._submit_bundle(bundle)
        for upload in list(self._uploads):
            upload.exception()
        self._pool.shutdown()
        self._raise_failure()
        return self._resolve()

    def abort(self) -> None:
        """Stop; what is stored already stays behind unnamed, for a cleanup to remove. Harmless after `finish`."""
        with self._lock:
            self._failure = self._failure or RuntimeError("the writer was aborted")
        self._room.open_wide()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for upload in self._uploads:
            upload.cancel()  # those that were never begun; a finished one stays as it is

    def _store_small(self, fingerprint: str, content: Sequence[bytes | memoryview]) -> _PendingFile:
        size = sum(len(piece) for piece in content)
        known = self._known(fingerprint, size)
        if known is not None:
            return known
        full: Bundle | None = None
        with self._lock:
            known = self._written.get((fingerprint, size))
            if known is not None:
                return known
            bundle = self._bundle = self._bundle or Bundle(Sealer(self._recipients))
            member = f"{fingerprint}.{size}"
            bundle.add(member, fingerprint, content)
            pending = _PendingFile(plain_bytes=size, fingerprint=fingerprint, places=(bundle.place,), member=member)
            self._written[fingerprint, size] = pending
            if bundle.is_full:
                full, self._bundle = bundle, None
        if full is not None:
            self._submit_bundle(full)
        return pending

    def _store_large(self, cutter: FileCutter, trailer: bytes) -> _PendingFile:
        fingerprint = cutter.content.fingerprint
        size = cutter.content.plain_bytes + len(trailer)
        name, sealer = cutter.last_part(trailer)
        if cutter.places:
            places = (*cutter.places, self._submit_part(name, sealer))
        else:  # it fits into one object, which is named by the fingerprint itself
            known = self._known(fingerprint, size)
            if known is not None:
                return known
            places = (self._submit(sealer, fingerprint, Future()),)
        pending = _PendingFile(plain_bytes=size, fingerprint=fingerprint, places=places)
        with self._lock:
            self._written[fingerprint, size] = pending
        return pending

    def _known(self, fingerprint: str, size: int) -> _PendingFile | None:
        """Find a file of the same content in this backup or in a previous one."""
        with self._lock:
            written = self._written.get((fingerprint, size))
        if written is not None:
            return written
        shared = self._shared.file(fingerprint, size)
        if shared is None:
            return None
        return _PendingFile(plain_bytes=size, fingerprint=fingerprint, places=shared.objects, member=shared.member)

    def _submit_part(self, name: PartName, sealer: Sealer) -> Place:
        keyed = name.keyed(self._key)
        return self._shared.part(keyed, sealer.plain_bytes) or self._submit(sealer, keyed, Future())

    def _submit_bundle(self, bundle: Bundle) -> None:
        self._submit(bundle.sealer, bundle.end(self._key), bundle.place, bundle_bytes=bundle.plain_bytes)

    def _submit(
        self, sealer: Sealer, name: str, place: Future[ObjectRecord], *, bundle_bytes: int | None = None
    ) -> Future[ObjectRecord]:
        """Hand an object to the pool; wait while too much is in flight."""
        sealer.flush()
        waiting_bytes = sealer.waiting_bytes
        self._room.take(waiting_bytes)
        with self._lock:
            self._uploads.append(place)
        try:
            self._pool.submit(self._upload, sealer, name, place, bundle_bytes).add_done_callback(
                lambda _done: self._room.give(waiting_bytes)
            )
        except RuntimeError:
            self._raise_failure()
            raise
        return place

    def _upload(self, sealer: Sealer, name: str, place: Future[ObjectRecord], bundle_bytes: int | None) -> None:
        try:
            self._raise_failure()
            with self._sealing:  # encryption copies; one at a time is faster than any store and keeps memory flat
                sealed = sealer.finish()
            key = object_key(self._source, name, secrets.token_hex(4))
            stored = self._store.put(key, sealed.data)
            if stored.stored_bytes != sealed.stored_bytes or stored.sha256 not in (None, sealed.sha256):
                raise DigestMismatch(f"{key} is not stored as it was written", hint="Check the store; run it again.")
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            place.set_exception(error)
            raise
        place.set_result(
            ObjectRecord(
                key=key,
                stored_bytes=sealed.stored_bytes,
                sha256=sealed.sha256,
                bundle=bundle_bytes is not None,
                plain_bytes=sealed.plain_bytes if bundle_bytes is None else bundle_bytes,
            )
        )

    def _resolve(self) -> WrittenObjects:
        indexes: dict[str, int] = {}
        objects: list[ObjectRecord] = []
        files: list[FileRecord] = []
        for path, pending in sorted(self._files.items()):
            if pending is None:
                raise ValueError(f"{path} was begun and not stored")
            records = [place.result() if isinstance(place, Future) else place for place in pending.places]
            for record in records:
                if record.key not in indexes:
                    indexes[record.key] = len(objects)
                    objects.append(record)
            files.append(
                FileRecord(
                    path=path,
                    plain_bytes=pending.plain_bytes,
                    fingerprint=pending.fingerprint,
                    objects=tuple(indexes[record.key] for record in records),
                    member=pending.member,
                )
            )
        new_bytes = sum(upload.result().stored_bytes for upload in self._uploads)
        return WrittenObjects(objects=tuple(objects), files=tuple(files), new_bytes=new_bytes)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
