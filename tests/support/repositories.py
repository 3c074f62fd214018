"""Repositories and manifests for tests that are about neither."""

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.backup import BackupId, BackupKind
from shared.domain.manifest import Manifest, ServerFacts
from shared.repository.repository import Repository
from shared.repository.sealing import Identity, load_identities, make_identity, unseal_whole
from shared.repository.store import ObjectStore
from shared.repository.writer import ObjectWriter, WrittenObjects
from tests.support.faulty_store import MemoryStore

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SECRET, RECIPIENT = make_identity()
OTHER_SECRET, OTHER_RECIPIENT = make_identity()
END_MARKER = b"\\.\n\n\n"


@dataclass(slots=True)
class RepositoryInUse:
    """A repository that backups are written to one after another, an hour apart."""

    store: ObjectStore = field(default_factory=MemoryStore)
    recipients: tuple[str, ...] = (RECIPIENT,)
    manifests: list[Manifest] = field(default_factory=list)
    repository: Repository = field(init=False)

    def __post_init__(self) -> None:
        self.repository = Repository.create(self.store, self.recipients, NOW)

    def back_up(
        self,
        files: Mapping[str, bytes],
        *,
        source: str = "app",
        previous: Sequence[Manifest] | None = None,
        damaged_keys: Sequence[str] = (),
        chunk_bytes: int = 1 << 20,
    ) -> Manifest:
        """Write one backup of the given files; tables' files (3456.dat) get the archive's end marker."""
        newest = self.manifests[::-1] if previous is None else previous
        writer = ObjectWriter(self.repository, source, self.recipients, newest, damaged_keys)
        for path, content in files.items():
            chunks = (content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes))
            writer.store_file(path, chunks, trailer=trailer_of(path))
        at = NOW + timedelta(hours=len(self.manifests))
        manifest, _digest = self.repository.commit_manifest(manifest_of(writer.finish(), at, source, self.recipients))
        self.manifests.append(manifest)
        return manifest

    def files_of(self, manifest: Manifest) -> dict[str, bytes]:
        """Read a backup back as a restore would."""
        return read_files(self.repository, manifest, load_identities(SECRET))


def trailer_of(path: str) -> bytes:
    """What an archive writes at the end of a file: a marker after a table's rows, nothing elsewhere."""
    return END_MARKER if path.endswith(".dat") and path[0].isdigit() else b""


def manifest_of(
    written: WrittenObjects, at: datetime, source: str = "app", recipients: Sequence[str] = (RECIPIENT,)
) -> Manifest:
    """Make a manifest around what a writer wrote."""
    suffix = hashlib.sha256(at.isoformat().encode()).hexdigest()[:4]
    return Manifest(
        backup_id=str(BackupId(at=at, source=source, suffix=suffix)),
        source=source,
        source_kind="postgres",
        kind=BackupKind.DAILY,
        reason="",
        started_at=at,
        recovery_point_at=at,
        finished_at=at + timedelta(minutes=1),
        snapshot_id="00000003-0000001B-1",
        lsn="0/15D6A28",
        server=ServerFacts(
            server_version="17.6",
            server_version_num=170006,
            database="app",
            encoding="UTF8",
            collate="C.UTF-8",
            ctype="C.UTF-8",
        ),
        client_version="17.6",
        archive_version="1.16",
        tool_version="0.1.0",
        recipients=tuple(recipients),
        objects=written.objects,
        files=written.files,
        tables=(),
        sequences=(),
        large_object_count=0,
        large_object_bytes=0,
        schema_digest={},
        roles=(),
        extensions=(),
        new_bytes=written.new_bytes,
    )


def read_files(repository: Repository, manifest: Manifest, identities: Sequence[Identity]) -> dict[str, bytes]:
    """Fetch, verify and unseal all files of a backup, in memory."""
    opened = [unseal_whole(repository.read_object(record), identities) for record in manifest.objects]
    files: dict[str, bytes] = {}
    for file in manifest.files:
        if file.member:
            with tarfile.open(fileobj=io.BytesIO(opened[file.objects[0]]), mode="r:") as bundle:
                member = bundle.extractfile(file.member)
                assert member is not None
                files[file.path] = member.read()
        else:
            files[file.path] = b"".join(opened[index] for index in file.objects)
    return files
