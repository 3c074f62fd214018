"""A repository: backups of sources in an object store, complete exactly when their manifest is there.

The order of writes is the whole safety: objects first, then `files.tsv`, then the manifest, which is written once, read
back and compared. Removal goes the other way round: the manifest first.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple, TypeVar

from shared.domain.backup import SOURCE_NAME, parse_backup_id
from shared.domain.manifest import Manifest, ObjectRecord, decode_manifest, encode_manifest
from shared.domain.proof import Finding, Severity
from shared.errors import (
    ConfigInvalid,
    DigestMismatch,
    IntegrityProblem,
    ManifestInvalid,
    ObjectExists,
    ObjectMissing,
    StoreRefused,
)
from shared.repository.description import (
    Description,
    decode_description,
    describe,
    encode_description,
    unseal_fingerprint_key,
    with_recipients,
)
from shared.repository.keys import make_fingerprint_key
from shared.repository.layout import (
    DESCRIPTION_KEY,
    RECOVERY_SCRIPT_KEY,
    RECOVERY_TEXT_KEY,
    SOURCES_PREFIX,
    KeyKind,
    backups_prefix,
    files_key,
    manifest_key,
    parse_key,
)
from shared.repository.manifest_checks import check_place
from shared.repository.place import read_description, refuse_used_place
from shared.repository.recovery import files_table, packaged_digests, packaged_recovery_files
from shared.repository.sealing import Identity, check_recipients
from shared.repository.store import ObjectStore

_PARALLEL_REQUESTS = 16
_NOT_ELSEWHERE = "Look for it in another copy of the repository, or restore from another backup."

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class AllManifests(NamedTuple):
    """Every manifest that could be read, and a finding for every one that could not be trusted."""

    manifests: tuple[Manifest, ...]
    unreadable: tuple[Finding, ...]


class Repository:
    """An open repository; every method may be called from several threads."""

    def __init__(self, store: ObjectStore, description: Description, fingerprint_key: bytes | None) -> None:
        """Use `create` or `open`."""
        self.store = store
        self._description = description
        self._fingerprint_key = fingerprint_key

    @classmethod
    def create(cls, store: ObjectStore, recipients: Sequence[str], now: datetime) -> "Repository":
        """Make a repository in an empty place.

        Args:
            store: Where.
            recipients: Public keys that can read it; several are the rule, one of them kept elsewhere.
            now: The instant of creation.

        Raises:
            StoreRefused: There is a repository, or anything else, already.
            ConfigInvalid: The recipients cannot be used.
        """
        checked = check_recipients(recipients)
        refuse_used_place(store)
        key = make_fingerprint_key()
        description = describe(checked, key, packaged_digests(), now)
        for name, content in packaged_recovery_files().items():
            store.put(name, content, replace=True)
        try:
            store.put(DESCRIPTION_KEY, encode_description(description, key))
        except ObjectExists:
            raise StoreRefused(f"{store.url} became a repository meanwhile", hint="Use it; nothing was lost.") from None
        return cls.open(store, fingerprint_key=key)

    @classmethod
    def open(
        cls, store: ObjectStore, *, fingerprint_key: bytes | None = None, identities: Sequence[Identity] = ()
    ) -> "Repository":
        """Open a repository.

        Args:
            store: Where it is.
            fingerprint_key: The worker's own copy; None where only reading is meant, or an identity is given.
            identities: Private keys; they open the fingerprint key where it is not given.

        Raises:
            StoreRefused: There is no repository.
            ManifestInvalid: Its description is missing, damaged, forged, or of a newer format.
            ConfigInvalid: The fingerprint key belongs to another repository.
            DecryptionFailed: No identity fits.
        """
        data = read_description(store)
        description = decode_description(data)
        if fingerprint_key is None and identities:
            fingerprint_key = unseal_fingerprint_key(description, identities)
        opened = cls(store, description, fingerprint_key)
        if fingerprint_key is not None:
            try:
                decode_description(data, fingerprint_key=fingerprint_key)
            except ConfigInvalid:
                opened._refuse_forged_description()
                raise
        return opened

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self.store.url

    @property
    def description(self) -> Description:
        """What it says of itself."""
        return self._description

    @property
    def fingerprint_key(self) -> bytes:
        """The key that names and fingerprints content.

        Raises:
            ConfigInvalid: The repository was opened without it.
        """
        if self._fingerprint_key is None:
            raise ConfigInvalid(
                f"the fingerprint key of {self.url} is not here, and without it nothing can be written or compared",
                hint="Run the command with the identity once: it reads the key from goldcopy.json.",
            )
        return self._fingerprint_key

    @property
    def known_key(self) -> bytes | None:
        """The fingerprint key, or None where the repository was opened without it and no mac can be checked."""
        return self._fingerprint_key

    def upgrade_recovery_files(self) -> bool:
        """Put this version's `recover.sh` and `RECOVER.md` into the repository where they differ; say whether.

        Interrupted, it is repeated by the next call: the description, which names the digests, is written last.
        """
        packaged = packaged_recovery_files()
        if dict(self._description.files) == packaged_digests():
            return False
        for name, content in packaged.items():
            self.store.put(name, content, replace=True)
        self._write_description(replace(self._description, files=packaged_digests()))
        return True

    def change_recipients(self, recipients: Sequence[str]) -> bool:
        """Seal the fingerprint key to other recipients; say whether anything changed. Old backups keep theirs.

        Raises:
            ConfigInvalid: The recipients cannot be used, or the fingerprint key is not here.
        """
        checked = check_recipients(recipients)
        if checked == self._description.recipients:
            return False
        self._write_description(with_recipients(self._description, checked, self.fingerprint_key))
        return True

    def list_sources(self) -> tuple[str, ...]:
        """Return the names of the sources that have anything here."""
        return tuple(name for name in self.store.folders(SOURCES_PREFIX) if SOURCE_NAME.fullmatch(name))

    def list_backup_ids(self, source: str | None = None) -> tuple[str, ...]:
        """Return the ids of the complete backups of one source, or of all, oldest first."""
        sources = self.list_sources() if source is None else (source,)
        found = self._in_parallel(self._backup_ids_of, sources)
        return tuple(sorted(backup_id for ids in found for backup_id in ids))

    def read_manifest_bytes(self, source: str, backup_id: str) -> bytes:
        """Return a manifest's bytes as they are stored.

        Raises:
            ObjectMissing: There is no such backup.
            UsageProblem: The id is not one, or of another source.
        """
        return self.store.get(manifest_key(source, backup_id))

    def read_manifest(self, source: str, backup_id: str) -> Manifest:
        """Read and check a manifest: its form, digest, mac, place, and every key that it names.

        Raises:
            ObjectMissing: There is no such backup.
            ManifestInvalid: It cannot be trusted.
            UsageProblem: The id is not one, or of another source.
        """
        data = self.read_manifest_bytes(source, backup_id)
        manifest = decode_manifest(data, fingerprint_key=self._fingerprint_key)
        check_place(manifest, source, backup_id)
        return manifest

    def digest_of(self, manifest: Manifest) -> str:
        """Return the SHA-256 of a manifest's stored bytes, hex: they are canonical, so printing it again gives them."""
        return hashlib.sha256(encode_manifest(manifest, self.fingerprint_key)).hexdigest()

    def newest_manifests(self, source: str, count: int) -> tuple[Manifest, ...]:
        """Return up to `count` of the newest readable manifests of a source, newest first."""
        found: list[Manifest] = []
        # An id names a second: those of one second are read together and put in order by what they hold.
        for _second, ids in groupby(reversed(self.list_backup_ids(source)), key=lambda name: parse_backup_id(name).at):
            if len(found) >= count:
                break
            answers = [self._read_or_finding((source, backup_id)) for backup_id in ids]
            readable = [answer for answer in answers if isinstance(answer, Manifest)]
            found += sorted(readable, key=lambda manifest: manifest.recovery_point_at, reverse=True)
        return tuple(found[:count])

    def read_all(self, source: str | None = None) -> AllManifests:
        """Read the manifests of one source, or of all, in parallel.

        Raises:
            StoreUnreachable: The store cannot be read now; nothing is said about any backup then.
        """
        sources = self.list_sources() if source is None else (source,)
        per_source = self._in_parallel(self._backup_ids_of, sources)
        wanted = [(name, backup_id) for name, ids in zip(sources, per_source, strict=True) for backup_id in ids]
        answers = self._in_parallel(self._read_or_finding, wanted)
        return AllManifests(
            manifests=tuple(answer for answer in answers if isinstance(answer, Manifest)),
            unreadable=tuple(answer for answer in answers if isinstance(answer, Finding)),
        )

    def commit_manifest(self, manifest: Manifest) -> tuple[Manifest, str]:
        """Make a backup complete: the last write of it, and the only one that readers see.

        Every object that the manifest names is asked for once more, so that nothing shared was removed meanwhile and
        nothing new was lost by the store; then `files.tsv` is written, then the manifest, which is read back.

        Args:
            manifest: Everything but `files_tsv_sha256`, which is set here.

        Returns:
            The manifest as it is stored, and the SHA-256 of its bytes, hex.

        Raises:
            ObjectMissing: An object is gone; there is no backup.
            DigestMismatch: An object or the manifest is not stored as it was written.
            StoreProblem: Writing failed; there is no backup.
        """
        check_place(manifest, manifest.source, manifest.backup_id)
        self.require_same()
        self._in_parallel(self._check_stored, manifest.objects)
        table = files_table(manifest)
        complete = replace(manifest, files_tsv_sha256=hashlib.sha256(table).hexdigest())
        data = encode_manifest(complete, self.fingerprint_key)
        with suppress(StoreRefused):  # an old recover.sh restores as well; a refused replacement must not cost a backup
            self.upgrade_recovery_files()
        self.put_once(files_key(complete.source, complete.backup_id), table)
        self.put_once(manifest_key(complete.source, complete.backup_id), data)
        return self.read_manifest(complete.source, complete.backup_id), hashlib.sha256(data).hexdigest()

    def put_once(self, key: str, data: bytes) -> None:
        """Write once and read back; the same bytes written by an earlier attempt count as this one's.

        Raises:
            ObjectExists: The key is taken by something else.
            DigestMismatch: It is not stored as it was written.
            StoreProblem: Writing failed.
        """
        try:
            self.store.put(key, data)
        except ObjectExists:
            if self.store.get(key) != data:
                raise
        if self.store.get(key) != data:
            raise DigestMismatch(f"{key} is not stored as it was written", hint="Check the store; run it again.")

    def remove_manifest(self, source: str, backup_id: str) -> None:
        """Make a backup cease to exist for readers; its objects stay. Gone already is no error."""
        self.store.delete(manifest_key(source, backup_id))
        self.store.delete(files_key(source, backup_id))

    def read_object(self, record: ObjectRecord) -> bytes:
        """Return an object's sealed bytes, compared with the recorded size and digest.

        Raises:
            ObjectMissing: It is gone.
            DigestMismatch: It is not what was stored.
        """
        data = self.store.get(record.key)
        if len(data) != record.stored_bytes:
            raise DigestMismatch(
                f"{record.key} has {len(data)} bytes instead of {record.stored_bytes}", hint=_NOT_ELSEWHERE
            )
        digest = hashlib.sha256(data).hexdigest()
        if digest != record.sha256:
            raise DigestMismatch(f"the bytes of {record.key} are not those that were stored", hint=_NOT_ELSEWHERE)
        return data

    def check_recovery_files(self) -> tuple[Finding, ...]:
        """Compare `recover.sh` and `RECOVER.md` with the digests in the repository's description."""
        findings = []
        for name in (RECOVERY_SCRIPT_KEY, RECOVERY_TEXT_KEY):
            try:
                digest = hashlib.sha256(self.store.get(name)).hexdigest()
            except ObjectMissing:
                digest = "missing"
            if digest != self._description.files.get(name):
                message = f"{name} is {'missing' if digest == 'missing' else 'not what Goldcopy put there'}"
                hint = "The next backup puts it back." if digest == "missing" else "Do not run it; see who changed it."
                findings.append(
                    Finding(check="recovery-files", severity=Severity.WARNING, object=name, message=message, hint=hint)
                )
        return tuple(findings)

    def require_same(self) -> None:
        """Make sure that the same repository is still under its name: a disk can be unmounted, a folder exchanged.

        Raises:
            GoldcopyError: Another one is there, or none, or nobody can tell.
        """
        present = decode_description(read_description(self.store), fingerprint_key=self._fingerprint_key)
        if present.created_at != self._description.created_at:
            raise StoreRefused(
                f"{self.url} is now another repository than at the start of the run", hint="See what is mounted there."
            )
        self._description = present

    def _refuse_forged_description(self) -> None:
        """Tell a key of another repository from a description that somebody without the key has written."""
        for source in self.list_sources():
            if self.newest_manifests(source, 1):  # made with the key that does not fit the description
                raise ManifestInvalid(
                    f"{DESCRIPTION_KEY} was changed by someone who does not have the fingerprint key",
                    hint="Put it back from another copy of the repository; do not run its recover.sh.",
                )

    def _write_description(self, description: Description) -> None:
        data = encode_description(description, self.fingerprint_key)
        self.store.put(DESCRIPTION_KEY, data, replace=True)
        if self.store.get(DESCRIPTION_KEY) != data:
            raise DigestMismatch("goldcopy.json is not stored as it was written", hint="Check the store; try again.")
        self._description = description

    def _check_stored(self, record: ObjectRecord) -> None:
        present = self.store.stat(record.key)
        if present is None:
            raise ObjectMissing(
                f"{record.key} is gone before the backup was complete",
                hint="Run the backup again; see what else deletes from the repository.",
            )
        if present.stored_bytes != record.stored_bytes or present.sha256 not in (None, record.sha256):
            raise DigestMismatch(
                f"{record.key} is not stored as it was written", hint="Run the backup again, and verify the repository."
            )

    def _backup_ids_of(self, source: str) -> tuple[str, ...]:
        parsed = [parse_key(stored.key) for stored in self.store.list(backups_prefix(source))]
        return tuple(sorted(key.backup_id for key in parsed if key.kind is KeyKind.MANIFEST))

    def _read_or_finding(self, wanted: tuple[str, str]) -> Manifest | Finding | None:
        source, backup_id = wanted
        try:
            return self.read_manifest(source, backup_id)
        except ObjectMissing:
            return None  # removed by a cleanup between the listing and now
        except IntegrityProblem as error:
            return Finding(
                check="manifest",
                severity=Severity.ERROR,
                object=manifest_key(source, backup_id),
                message=error.message,
                hint=error.hint,
            )

    def _in_parallel(self, call: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
        waiting = list(items)
        if len(waiting) < 2:
            return [call(item) for item in waiting]
        with ThreadPoolExecutor(min(_PARALLEL_REQUESTS, len(waiting)), thread_name_prefix="repository") as pool:
            return list(pool.map(call, waiting))
