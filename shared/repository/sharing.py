"""Which objects of earlier backups may serve a new one."""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from shared.domain.manifest import FileRecord, Manifest, ObjectRecord
from shared.repository.layout import parse_key
from shared.repository.store import ObjectStore

_ALIVE_RATIO = 0.5  # a bundle that served less than this in the newest backup is left behind, so that it can expire


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """A file of an earlier backup with the content that is looked for."""

    objects: tuple[ObjectRecord, ...]
    member: str


class SharedObjects:
    """Finds stored content of one source. Only backups with exactly the same recipients are looked at.

    A stored object is taken only when the store, asked for it by key, has it with the recorded size, and when it was
    never found damaged. Each object is asked for once.
    """

    def __init__(
        self,
        store: ObjectStore,
        source: str,
        recipients: Sequence[str],
        previous: Sequence[Manifest],
        damaged_keys: Collection[str],
    ) -> None:
        """Index the earlier backups.

        Args:
            store: Where the objects are.
            source: Name of the source.
            recipients: Public keys of the new backup.
            previous: Complete backups, in any order.
            damaged_keys: Keys that must not be used.
        """
        self._store = store
        self._damaged = frozenset(damaged_keys)
        self._lock = threading.Lock()
        self._usable: dict[str, bool] = {}
        self._lost: list[str] = []
        self._files: dict[tuple[str, int], list[SharedFile]] = {}
        self._parts: dict[tuple[str, int], list[ObjectRecord]] = {}
        wanted = [item for item in previous if item.source == source and set(item.recipients) == set(recipients)]
        worn: dict[str, bool] = {}
        for manifest in sorted(wanted, key=lambda item: item.recovery_point_at, reverse=True):
            worn = _worn_bundles(manifest) | worn  # the newest backup that names a bundle decides
            self._index(manifest, worn)

    @property
    def lost_keys(self) -> tuple[str, ...]:
        """Objects that were looked for and are not in the store as recorded."""
        with self._lock:
            return tuple(self._lost)

    def file(self, fingerprint: str, plain_bytes: int) -> SharedFile | None:
        """Return a whole file of that content and size, or None."""
        for candidate in self._files.get((fingerprint, plain_bytes), ()):
            if all(self._is_usable(record) for record in candidate.objects):
                return candidate
        return None

    def part(self, name: str, plain_bytes: int) -> ObjectRecord | None:
        """Return a part of that name and size, or None."""
        for candidate in self._parts.get((name, plain_bytes), ()):
            if self._is_usable(candidate):
                return candidate
        return None

    def _index(self, manifest: Manifest, worn: dict[str, bool]) -> None:
        for file in manifest.files:
            records = tuple(manifest.objects[index] for index in file.objects)
            if any(worn.get(record.key) for record in records):
                continue
            shared = SharedFile(objects=records, member=file.member)
            self._files.setdefault((file.fingerprint, file.plain_bytes), []).append(shared)
            if len(records) > 1:
                for record in records:
                    name = parse_key(record.key).name
                    self._parts.setdefault((name, record.plain_bytes), []).append(record)

    def _is_usable(self, record: ObjectRecord) -> bool:
        with self._lock:
            known = self._usable.get(record.key)
        if known is not None:
            return known
        usable = record.key not in self._damaged
        if usable:
            present = self._store.stat(record.key)
            usable = (
                present is not None
                and present.stored_bytes == record.stored_bytes
                and present.sha256 in (None, record.sha256)
            )
        with self._lock:
            if record.key not in self._usable and not usable and record.key not in self._damaged:
                self._lost.append(record.key)
            return self._usable.setdefault(record.key, usable)


def _worn_bundles(manifest: Manifest) -> dict[str, bool]:
    """Say of each bundle whether less than half of its bytes were alive in a backup."""
    alive_bytes: dict[int, int] = {}
    for file in _distinct_members(manifest.files):
        alive_bytes[file.objects[0]] = alive_bytes.get(file.objects[0], 0) + file.plain_bytes
    return {
        record.key: alive_bytes.get(index, 0) < record.plain_bytes * _ALIVE_RATIO
        for index, record in enumerate(manifest.objects)
        if record.bundle
    }


def _distinct_members(files: Iterable[FileRecord]) -> Iterable[FileRecord]:
    """Return one file per member: several files of the same content share a member."""
    return {(file.objects[0], file.member): file for file in files if file.member}.values()
