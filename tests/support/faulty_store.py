"""Stores for tests: a real one in memory, and wrappers that fail in one named way each."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from shared.errors import ObjectExists, ObjectMissing, SpaceExhausted, StoreRefused, StoreUnreachable
from shared.repository.layout import check_key, check_prefix
from shared.repository.store import ObjectStore, StoredObject

Wanted = Callable[[str], bool]

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedCrash(BaseException):
    """The process died here: nothing may catch it but the test."""


class MemoryStore:
    """A whole object store in a dictionary; passes the conformance suite. Its clock moves by a second a write."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.writes: list[str] = []
        self._lock = threading.Lock()
        self._now = _BEGINNING

    @property
    def url(self) -> str:
        return "memory://"

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        check_key(key)
        with self._lock:
            if key in self.objects and not replace:
                raise ObjectExists(f"{key} exists already", hint="Nothing was changed.")
            self._now += timedelta(seconds=1)
            self.objects[key] = (bytes(data), self._now)
            self.writes.append(key)
        return self._stored(key, data, self._now, with_digest=True)

    def get(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            if key not in self.objects:
                raise ObjectMissing(f"{key} is missing", hint="Look elsewhere.")
            return self.objects[key][0]

    def stat(self, key: str) -> StoredObject | None:
        check_key(key)
        with self._lock:
            found = self.objects.get(key)
        return self._stored(key, *found, with_digest=True) if found else None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        check_prefix(prefix)
        with self._lock:
            found = sorted((key.encode(), key) for key in self.objects if key.startswith(prefix))
        for _, key in found:
            data, modified_at = self.objects[key]
            yield self._stored(key, data, modified_at, with_digest=False)

    def folders(self, prefix: str) -> tuple[str, ...]:
        rests = [stored.key.removeprefix(prefix) for stored in self.list(prefix)]
        return tuple(sorted({rest.split("/")[0] for rest in rests if "/" in rest}))

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self.objects.pop(key, None)

    def discard_unfinished(self, *, before: datetime) -> int:
        return 0

    @staticmethod
    def _stored(key: str, data: bytes, modified_at: datetime, *, with_digest: bool) -> StoredObject:
        digest = hashlib.sha256(data).hexdigest() if with_digest else None
        return StoredObject(key=key, stored_bytes=len(data), modified_at=modified_at, sha256=digest)


class WrappedStore:
    """Passes everything on; faults are its subclasses."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    @property
    def url(self) -> str:
        return self.inner.url

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        return self.inner.put(key, data, replace=replace)

    def get(self, key: str) -> bytes:
        return self.inner.get(key)

    def stat(self, key: str) -> StoredObject | None:
        return self.inner.stat(key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return self.inner.list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        return self.inner.folders(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def discard_unfinished(self, *, before: datetime) -> int:
        return self.inner.discard_unfinished(before=before)


class CrashAfterChange(WrappedStore):
    """Carries out a number of writes and deletions, then dies right after the last of them, and stays dead."""

    def __init__(self, inner: ObjectStore, changes: int) -> None:
        super().__init__(inner)
        self._left = changes
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        self._die_if_dead()
        stored = super().put(key, data, replace=replace)
        self._count()
        return stored

    def delete(self, key: str) -> None:
        self._die_if_dead()
        super().delete(key)
        self._count()

    def _die_if_dead(self) -> None:
        if self._left <= 0:
            raise SimulatedCrash

    def _count(self) -> None:
        with self._lock:
            self._left -= 1
        self._die_if_dead()


class FailOnce(WrappedStore):
    """Is unreachable for one write of certain keys, then well."""

    def __init__(self, inner: ObjectStore, wanted: Wanted) -> None:
        super().__init__(inner)
        self._wanted = wanted
        self.has_failed = False

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        if self._wanted(key) and not self.has_failed:
            self.has_failed = True
            raise StoreUnreachable(f"{self.url} does not answer", hint="Run it again.")
        return super().put(key, data, replace=replace)


class Unreachable(WrappedStore):
    """Answers no read."""

    def get(self, key: str) -> bytes:
        raise StoreUnreachable(f"{self.url} does not answer", hint="Run it again.")

    def stat(self, key: str) -> StoredObject | None:
        raise StoreUnreachable(f"{self.url} does not answer", hint="Run it again.")


class MayOnlyRead(WrappedStore):
    """Refuses every write."""

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        raise StoreRefused(f"{self.url} may only be read", hint="Ask for the right to write.")


class Full(WrappedStore):
    """Takes a number of bytes, then is full."""

    def __init__(self, inner: ObjectStore, room_bytes: int) -> None:
        super().__init__(inner)
        self._room_bytes = room_bytes

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        self._room_bytes -= len(data)
        if self._room_bytes < 0:
            raise SpaceExhausted(f"{self.url} is full", hint="Add space.")
        return super().put(key, data, replace=replace)


class FlipOneBit(WrappedStore):
    """Gives certain objects back with one bit changed."""

    def __init__(self, inner: ObjectStore, wanted: Wanted, bit: int = 0) -> None:
        super().__init__(inner)
        self._wanted = wanted
        self._bit = bit

    def get(self, key: str) -> bytes:
        data = super().get(key)
        if not self._wanted(key):
            return data
        position = self._bit // 8 % len(data)
        return data[:position] + bytes([data[position] ^ (1 << self._bit % 8)]) + data[position + 1 :]


class Truncate(WrappedStore):
    """Gives certain objects back without their last byte."""

    def __init__(self, inner: ObjectStore, wanted: Wanted) -> None:
        super().__init__(inner)
        self._wanted = wanted

    def get(self, key: str) -> bytes:
        data = super().get(key)
        return data[:-1] if self._wanted(key) else data


class AcceptButLose(WrappedStore):
    """Says that certain writes went well, and stores nothing."""

    def __init__(self, inner: ObjectStore, wanted: Wanted) -> None:
        super().__init__(inner)
        self._wanted = wanted

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        stored = super().put(key, data, replace=replace)
        if self._wanted(key):
            super().delete(key)
        return stored


class VanishAfterList(WrappedStore):
    """Lists everything, and then has certain objects no more: another process removed them meanwhile."""

    def __init__(self, inner: ObjectStore, wanted: Wanted) -> None:
        super().__init__(inner)
        self._wanted = wanted

    def list(self, prefix: str) -> Iterator[StoredObject]:
        found = tuple(super().list(prefix))
        for stored in found:
            if self._wanted(stored.key):
                self.delete(stored.key)
        return iter(found)
