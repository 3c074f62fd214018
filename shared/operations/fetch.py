"""Bring a backup's files back: objects read and verified, unsealed, put together and compared with the manifest.

Several threads read and unseal objects ahead; one thread takes them in order, appends them to their files and computes
each whole file's fingerprint again while it is written. So an object that is damaged is found by its digest, and two
intact objects that were swapped are found by the fingerprint of the file they make.
"""

import hmac
import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

from shared.clock import monotonic_seconds
from shared.domain.comparison import qualified
from shared.domain.manifest import FileRecord, Manifest, ObjectRecord, TableRecord
from shared.domain.proof import Finding, Severity
from shared.errors import DecryptionFailed, DigestMismatch, IntegrityProblem, ObjectMissing
from shared.operations.progress import OnProgress
from shared.operations.scratch_space import require_bytes
from shared.postgres.ahead import mapped_ahead
from shared.postgres.multiset import END_MARKER
from shared.repository.layout import check_file_path
from shared.repository.repository import Repository
from shared.repository.sealing import Identity, unseal

_HINT = "Run `goldcopy verify` on all backups, and restore from another backup or another copy of the repository."


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What was fetched.

    Attributes:
        findings: Damage, one finding an object or file; empty when every byte is what the manifest says.
        damaged_keys: Keys of objects that are missing or damaged.
        stored_bytes: Sealed bytes read.
        plain_bytes: Bytes written to the folder.
        phases_seconds: `fetch` and `unseal`. Both go on at once, so the elapsed time is divided between them in the
            proportion of the time that threads spent reading objects and unsealing them; the sum is what passed.
    """

    findings: tuple[Finding, ...]
    damaged_keys: tuple[str, ...]
    stored_bytes: int
    plain_bytes: int
    phases_seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """One object's content and what it cost; `finding` instead of content when it is damaged."""

    chunks: tuple[bytes, ...]
    finding: Finding | None
    fetch_seconds: float
    unseal_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One object to open: a bundle with its wanted members, or one part of a file."""

    record: ObjectRecord
    files: tuple[FileRecord, ...]
    is_first: bool = True
    is_last: bool = True


def fetch_backup(
    repository: Repository,
    manifest: Manifest,
    identities: Sequence[Identity],
    folder: Path,
    *,
    is_wanted: Callable[[FileRecord], bool] = lambda _file: True,
    threads: int = 3,
    on_progress: OnProgress,
) -> FetchResult:
    """Unpack a backup, or some files of it, into `folder`, which becomes a directory that `pg_restore` reads.

    Args:
        repository: Where the backup is.
        manifest: Which backup.
        identities: Private keys; one must open the objects.
        folder: An existing empty folder.
        is_wanted: Chooses files; only objects that hold a chosen file are read.
        threads: Objects read and unsealed at once; each needs about 70 MB of memory at most.
        on_progress: Told of sealed bytes as step `fetch`.

    Returns:
        What was fetched, with damage as findings.

    Raises:
        SpaceExhausted: The folder's disk cannot hold the files.
        StoreProblem: The store cannot be read at all.
        DecryptionFailed: No identity fits this backup.
    """
    files = [file for file in manifest.files if is_wanted(file)]
    require_bytes(folder, sum(file.plain_bytes for file in files), "the unpacked backup")
    unpacking = _Unpacking(repository.fingerprint_key, manifest, folder)
    steps = plan_steps(manifest, files)
    total_bytes = sum(step.record.stored_bytes for step in steps)
    began, fetch_seconds, unseal_seconds, done_bytes = monotonic_seconds(), 0.0, 0.0, 0
    with mapped_ahead(partial(_open, repository, identities), steps, threads=threads) as opened_steps:
        for step, opened in opened_steps:
            unpacking.take(step, opened)
            fetch_seconds += opened.fetch_seconds
            unseal_seconds += opened.unseal_seconds
            done_bytes += step.record.stored_bytes
            on_progress("fetch", done_bytes, total_bytes)
    unpacking.expect(files)
    elapsed = monotonic_seconds() - began
    share = fetch_seconds / (fetch_seconds + unseal_seconds) if fetch_seconds + unseal_seconds else 1.0
    return FetchResult(
        findings=tuple(unpacking.findings),
        damaged_keys=tuple(sorted(unpacking.damaged_keys)),
        stored_bytes=total_bytes,
        plain_bytes=unpacking.plain_bytes,
        phases_seconds={"fetch": round(elapsed * share, 3), "unseal": round(elapsed * (1 - share), 3)},
    )


def plan_steps(manifest: Manifest, files: Sequence[FileRecord]) -> list[_Step]:
    """List the objects to open, each bundle once, the parts of a file one after the other."""
    steps: list[_Step] = []
    members: dict[int, list[FileRecord]] = {}
    for file in files:
        if file.member:
            members.setdefault(file.objects[0], []).append(file)
            continue
        last = len(file.objects) - 1
        for place, index in enumerate(file.objects):
            record = manifest.objects[index]
            steps.append(_Step(record=record, files=(file,), is_first=place == 0, is_last=place == last))
    steps += [_Step(record=manifest.objects[index], files=tuple(held)) for index, held in members.items()]
    return steps


def _open(repository: Repository, identities: Sequence[Identity], step: _Step) -> _Opened:
    began = monotonic_seconds()
    finding, fetched = None, began
    chunks: tuple[bytes, ...] = ()
    try:
        sealed = repository.read_object(step.record)
        fetched = monotonic_seconds()
        chunks = tuple(unseal(sealed, identities))
    except ObjectMissing as error:
        finding = _damage("object-missing", step.record.key, error.message)
    except DigestMismatch as error:
        finding = _damage("object-digest", step.record.key, error.message)
    except DecryptionFailed as error:
        # The bytes are exactly those that were stored, so an identity that does not fit is the identity's fault.
        if "identit" in error.message:
            raise
        finding = _damage("object-sealing", step.record.key, error.message)
    ended = monotonic_seconds()
    fetched = fetched if fetched > began else ended
    return _Opened(chunks=chunks, finding=finding, fetch_seconds=fetched - began, unseal_seconds=ended - fetched)


class _Unpacking:
    """Puts opened objects into files, and keeps what is wrong with them."""

    def __init__(self, key: bytes, manifest: Manifest, folder: Path) -> None:
        self._key = key
        self._folder = folder
        self._tables: dict[str, TableRecord] = {table.file: table for table in manifest.tables}
        self._sink: _Sink | None = None
        self._done: set[str] = set()
        self.findings: list[Finding] = []
        self.damaged_keys: set[str] = set()
        self.plain_bytes = 0

    def take(self, step: _Step, opened: _Opened) -> None:
        """Write one object's content where it belongs."""
        if opened.finding is not None:
            self._note_damage(step, opened.finding)
        if step.files[0].member:
            self._take_bundle(step, opened)
        else:
            self._take_part(step, opened)

    def expect(self, files: Sequence[FileRecord]) -> None:
        """Make sure that every file was made, or is named by a finding."""
        for file in files:
            if file.path not in self._done:
                self._done.add(file.path)
                self._note(file, "file-missing", "no stored object of the backup holds it")

    def _take_bundle(self, step: _Step, opened: _Opened) -> None:
        if opened.finding is None:
            try:
                contents = _bundle_members(b"".join(opened.chunks))
            except tarfile.TarError as error:
                self._note_damage(
                    step, _damage("object-sealing", step.record.key, f"is not a readable bundle: {error}")
                )
            else:
                for file in step.files:
                    if file.member in contents:
                        self._write_whole(file, contents[file.member])
                return
        self._done.update(file.path for file in step.files)

    def _write_whole(self, file: FileRecord, content: bytes) -> None:
        if sink := self._open_sink(file):
            with sink:
                sink.write(content)
            self._check(file, sink)

    def _take_part(self, step: _Step, opened: _Opened) -> None:
        file = step.files[0]
        if step.is_first:
            self._sink = self._open_sink(file)
        if opened.finding is not None:
            self._done.add(file.path)
            self._discard_sink(file)
        if self._sink is None:
            return
        for chunk in opened.chunks:
            self._sink.write(chunk)
        if step.is_last:
            sink, self._sink = self._sink, None
            sink.close()
            self._check(file, sink)

    def _open_sink(self, file: FileRecord) -> "_Sink | None":
        try:
            path = self._folder / check_file_path(file.path)
        except ValueError as error:
            self._done.add(file.path)
            self._note(file, "file-name", str(error))
            return None
        return _Sink(path, self._key, self._tables.get(file.path))

    def _discard_sink(self, file: FileRecord) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            (self._folder / file.path).unlink(missing_ok=True)

    def _check(self, file: FileRecord, sink: "_Sink") -> None:
        self._done.add(file.path)
        self.plain_bytes += sink.plain_bytes
        table = self._tables.get(file.path)
        if sink.fingerprint() != file.fingerprint or (table and table.fingerprint != file.fingerprint):
            self._note(file, "file-content", "what its stored objects hold is not what was backed up")
        elif table and sink.rows != table.rows:
            self._note(file, "file-content", f"it holds {sink.rows} rows and the manifest says {table.rows}")

    def _note(self, file: FileRecord, check: str, message: str) -> None:
        finding = Finding(check=check, severity=Severity.ERROR, object=self._name(file), message=message, hint=_HINT)
        self.findings.append(finding)

    def _note_damage(self, step: _Step, finding: Finding) -> None:
        if step.record.key in self.damaged_keys:
            return
        self.damaged_keys.add(step.record.key)
        names = [self._name(file) for file in step.files]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        message = f"{finding.message}; it holds {', '.join(names[:3])}{more}"
        self.findings.append(_damage(finding.check, finding.object, message))

    def _name(self, file: FileRecord) -> str:
        table = self._tables.get(file.path)
        return qualified(table.schema, table.name) if table else file.path


class _Sink:
    """A file that is written once; counts its rows and takes its fingerprint on the way."""

    def __init__(self, path: Path, key: bytes, table: TableRecord | None) -> None:
        self._stream: BinaryIO = path.open("xb")
        self._mac = hmac.new(key, digestmod="sha256")
        self._marker = END_MARKER if table else b""
        self._held = b""
        self._line_feeds = -self._marker.count(b"\n")
        self.plain_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def write(self, chunk: bytes) -> None:
        """Append some bytes; the end marker of a table is no part of its fingerprint and is held back."""
        self._stream.write(chunk)
        self.plain_bytes += len(chunk)
        keep = len(self._marker)
        if not keep:
            self._mac.update(chunk)
            return
        self._line_feeds += chunk.count(b"\n")
        whole = self._held + chunk if len(chunk) < keep else chunk
        if whole is chunk:
            self._mac.update(self._held)
        self._mac.update(memoryview(whole)[:-keep])
        self._held = whole[-keep:]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def fingerprint(self) -> str:
        """Return the fingerprint of what was written, hex; empty for a table that does not end as it must."""
        return self._mac.hexdigest() if self._held == self._marker else ""

    @property
    def rows(self) -> int:
        """Rows of a table's COPY text, the end marker aside."""
        return self._line_feeds


def _bundle_members(data: bytes) -> dict[str, bytes]:
    """Read a bundle; names are only compared with the manifest's, nothing is unpacked by its own name."""
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as bundle:
        for member in bundle:
            stream = bundle.extractfile(member) if member.isreg() else None
            if stream is not None:
                contents[member.name] = stream.read()
    return contents


def _damage(check: str, key: str, message: str) -> Finding:
    return Finding(check=check, severity=Severity.ERROR, object=key, message=message, hint=_HINT)


def raise_damage(result: FetchResult) -> None:
    """Refuse to go on with a damaged backup.

    Raises:
        IntegrityProblem: Names the first damage and counts the rest.
    """
    if result.findings:
        first, rest = result.findings[0], len(result.findings) - 1
        more = f" (and {rest} more)" if rest else ""
        raise IntegrityProblem(f"{first.object}: {first.message}{more}", hint=first.hint)
