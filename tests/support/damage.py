"""Ways to damage a repository that lies in a folder: by accident, and by someone who knows the format."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.domain.manifest import FileRecord, Manifest, ObjectRecord, TableRecord, encode_manifest
from shared.domain.signed_document import encode_document
from shared.repository.layout import files_key, manifest_key, parse_key
from shared.repository.recovery import files_table
from shared.repository.sealing import Identity, seal, unseal_whole

NO_KEY = b"not the fingerprint key".ljust(32, b"!")


@dataclass(frozen=True, slots=True)
class Accident:
    """One file changed by chance.

    Attributes:
        name: What happened, and where in the file.
        kind: Without the place.
        change: The file's bytes before and after; None for a file that is gone.
    """

    name: str
    kind: str
    change: Callable[[bytes], bytes | None]


def accidents(data: bytes) -> Iterator[Accident]:
    """Every kind of accident that a file of this content can have."""
    size = len(data)
    for place in sorted({0, 1, size // 7, size // 3, size // 2, size * 2 // 3, size - 2, size - 1}):
        if 0 <= place < size:
            for bit in (0, 5):
                yield Accident(f"bit {bit} of byte {place} flipped", "bit flip", _flip(place, bit))
    for kept in sorted({0, 1, size // 2, size - 1}):
        if kept < size:
            yield Accident(f"cut to {kept} bytes", "truncation", lambda before, kept=kept: before[:kept])  # type: ignore[misc]
    for more in (b"\0", b"\n", b" ", data[-64:] or b"x"):
        yield Accident(f"{len(more)} bytes appended", "appended bytes", lambda before, more=more: before + more)  # type: ignore[misc]
    if size > 4096:
        middle = size // 2 // 512 * 512
        zeros = lambda before: before[:middle] + bytes(512) + before[middle + 512 :]  # noqa: E731
        yield Accident("a sector of zeros", "zeroed sector", zeros)
    yield Accident("gone", "deleted file", lambda _before: None)


def _flip(place: int, bit: int) -> Callable[[bytes], bytes]:
    return lambda before: before[:place] + bytes([before[place] ^ 1 << bit]) + before[place + 1 :]


@dataclass(slots=True)
class Stored:
    """One backup in a folder, and what somebody with the keys can do to it."""

    folder: Path
    manifest: Manifest
    identities: Sequence[Identity]
    key: bytes

    def files(self) -> list[str]:
        """Keys of everything in the repository."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def kind_of(self, key: str) -> str:
        """What a stored file is, for people."""
        owners = [record for record in self.manifest.objects if record.key == key]
        if owners:
            file = next(item for item in self.manifest.files if self.manifest.objects.index(owners[0]) in item.objects)
            if not owners[0].bundle:
                return "part of a table" if len(file.objects) > 1 else "single object"
            held = [item.path for item in self.manifest.files if self.manifest.objects.index(owners[0]) in item.objects]
            return "bundle with toc.dat" if "toc.dat" in held else "bundle"
        parsed = parse_key(key)
        return key if parsed.kind in {"description", "recovery"} else str(parsed.kind)

    def read(self, key: str) -> bytes:
        """Read a stored file."""
        return (self.folder / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Replace a stored file."""
        (self.folder / key).write_bytes(data)

    def swap(self, one: str, other: str) -> None:
        """Let two stored files change places."""
        first, second = self.read(one), self.read(other)
        self.write(one, second)
        self.write(other, first)

    def objects_of(self, table: str) -> list[int]:
        """Places in the manifest of the objects that hold a table's rows."""
        path = next(item.file for item in self.manifest.tables if item.name == table)
        return list(next(item for item in self.manifest.files if item.path == path).objects)

    def key_of(self, place: int) -> str:
        """Key of an object of the manifest."""
        return self.manifest.objects[place].key

    def content(self, place: int) -> bytes:
        """What an object holds."""
        return unseal_whole(self.read(self.key_of(place)), self.identities)

    def reseal(self, place: int, content: bytes) -> ObjectRecord:
        """Put other content into an object, sealed as it should be, and return the record that fits."""
        sealed = seal(content, self.manifest.recipients)
        record = self.manifest.objects[place]
        self.write(record.key, sealed.data)
        return replace(record, sha256=sealed.sha256, stored_bytes=sealed.stored_bytes, plain_bytes=sealed.plain_bytes)

    def with_object(self, place: int, record: ObjectRecord) -> Manifest:
        """Return the manifest with another record for an object."""
        objects = list(self.manifest.objects)
        objects[place] = record
        return replace(self.manifest, objects=tuple(objects))

    def sign(self, manifest: Manifest, key: bytes | None = None) -> None:
        """Store a manifest with its own digest and a files.tsv that fit; `key` makes the mac, right or wrong."""
        table = files_table(manifest)
        complete = replace(manifest, files_tsv_sha256=hashlib.sha256(table).hexdigest())
        self.write(files_key(manifest.source, manifest.backup_id), table)
        self.write(manifest_key(manifest.source, manifest.backup_id), encode_manifest(complete, key or self.key))

    @property
    def manifest_key(self) -> str:
        """Key of the manifest."""
        return manifest_key(self.manifest.source, self.manifest.backup_id)

    @property
    def files_key(self) -> str:
        """Key of files.tsv."""
        return files_key(self.manifest.source, self.manifest.backup_id)


def without_one_row(text: bytes) -> bytes:
    """Take one row out of COPY text."""
    lines = text.splitlines(keepends=True)
    return b"".join(lines[:5] + lines[6:])


def fewer_rows(manifest: Manifest, table: str) -> Manifest:
    """Let a manifest say that a table has one row less."""
    tables: tuple[TableRecord, ...] = tuple(
        replace(item, rows=item.rows - 1) if item.name == table else item for item in manifest.tables
    )
    return replace(manifest, tables=tables)


def other_objects(manifest: Manifest, path: str, objects: Sequence[int]) -> Manifest:
    """Let a file of a manifest refer to other objects."""
    files: tuple[FileRecord, ...] = tuple(
        replace(item, objects=tuple(objects)) if item.path == path else item for item in manifest.files
    )
    return replace(manifest, files=files)


def edited(data: bytes, change: Callable[[dict[str, Any]], None], key: bytes = NO_KEY) -> bytes:
    """Edit a canonical JSON document and make its own SHA-256 right again, as anyone can; the mac needs the key."""
    document = json.loads(data)
    del document["sha256"], document["mac"]
    change(document)
    return encode_document(document, key)
