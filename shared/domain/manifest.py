"""Manifest v1: the document whose presence makes a backup complete.

It lists a backup's objects and facts, holds no data and no secret, and is not encrypted. Its form is that of
`signed_document`: any changed bit is seen, and only who may write backups can make one.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.backup import BackupKind
from shared.domain.signed_document import decode_document, encode_document, plain
from shared.errors import ManifestInvalid
from shared.units import parse_instant

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """One stored object of a backup.

    Attributes:
        key: Its key below the repository's root.
        stored_bytes: Size of the sealed bytes.
        sha256: SHA-256 of the sealed bytes, hex.
        bundle: Whether it unpacks to a tar of several files.
        plain_bytes: Size of what it unpacks to (of a bundle: of its members together).
    """

    key: str
    stored_bytes: int
    sha256: str
    bundle: bool = False
    plain_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of the dump directory and where its bytes are.

    Attributes:
        path: File name in the dump directory, such as `3456.dat`, `toc.dat` or `roles.sql`.
        plain_bytes: Size of the file.
        fingerprint: HMAC-SHA-256 of the content, hex (of a table: its COPY text without the archive's end marker).
        objects: Indexes into the manifest's objects, in order; a large file is stored as several parts.
        member: Name inside the bundle, or empty where the object is the file itself.
    """

    path: str
    plain_bytes: int
    fingerprint: str
    objects: tuple[int, ...]
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecord:
    """One table whose rows are in the backup.

    Attributes:
        schema: Schema name, as it is (not quoted).
        name: Table name, as it is.
        columns: Column names in the order of the dump's COPY; empty for a table without columns.
        rows: Rows in the dump, counted while it was written.
        plain_bytes: Bytes of COPY text, without the archive's end marker.
        fingerprint: HMAC-SHA-256 of that text, hex.
        file: Path of its file in the dump directory.
        partition_root: `schema.name` of the outermost partitioned parent, else empty.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    rows: int
    plain_bytes: int
    fingerprint: str
    file: str
    partition_root: str = ""


class DerivedKind(StrEnum):
    """What a restore computes anew instead of copying it."""

    GENERATED_COLUMNS = "generated_columns"
    MATERIALIZED_VIEW = "materialized_view"


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedRecord:
    """What the source held of something that is not in the dump, because a restore computes it anew.

    Attributes:
        kind: Stored generated columns of a table, or a populated materialized view.
        schema: Schema name of the table or view, as it is.
        name: Its name, as it is.
        generated: The table's stored generated columns; empty for a view.
        columns: Columns that were read, in this order: all of a table or view, of a large table the generated ones.
        rows: Rows that were read.
        plain_bytes: Bytes of their COPY text.
        fingerprint: HMAC-SHA-256 of that text in physical order, hex.
        row_sum: Sum of the keyed hashes of the rows modulo 2^128, hex; empty where it was not taken (large tables).
        marks: First 8 hex digits of the HMAC up to each multiple of `mark_bytes`: where to look for a difference.
        mark_bytes: Distance of the marks.
        unread: Why it was not read, so that nothing can be compared; empty where it was.
    """

    kind: DerivedKind
    schema: str
    name: str
    generated: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: int = 0
    plain_bytes: int = 0
    fingerprint: str = ""
    row_sum: str = ""
    marks: str = ""
    mark_bytes: int = 0
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRecord:
    """One sequence's value in the snapshot."""

    schema: str
    name: str
    last_value: int | None
    is_called: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionRecord:
    """One extension of the source."""

    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Something left out on purpose, and why."""

    object: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What the source's server and database are, as a restore needs them; the identifier is its cluster's, if known."""

    server_version: str
    server_version_num: int
    database: str
    encoding: str
    collate: str
    ctype: str
    locale_provider: str = "libc"
    locale: str = ""
    icu_in_use: bool = False
    system_identifier: str = ""

    @property
    def major(self) -> int:
        """Major version, such as 17."""
        return self.server_version_num // 10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything a reader needs to know of one backup.

    `schema_digest` maps a class of schema objects (tables, functions, policies, ...) to the HMAC over all objects of
    that class; the objects themselves are in the sealed file `schema.json` of the backup. `large_objects` holds the
    count and the total bytes; each large object's fingerprint is that of its file `blob_<oid>.dat`. `derived` is empty
    in manifests of before it was recorded.
    """

    backup_id: str
    source: str
    source_kind: str
    kind: BackupKind
    reason: str
    started_at: datetime
    recovery_point_at: datetime
    finished_at: datetime
    snapshot_id: str
    lsn: str
    server: ServerFacts
    client_version: str
    archive_version: str
    tool_version: str
    recipients: tuple[str, ...]
    objects: tuple[ObjectRecord, ...]
    files: tuple[FileRecord, ...]
    tables: tuple[TableRecord, ...]
    sequences: tuple[SequenceRecord, ...]
    large_object_count: int
    large_object_bytes: int
    schema_digest: dict[str, str]
    roles: tuple[str, ...]
    extensions: tuple[ExtensionRecord, ...]
    derived: tuple[DerivedRecord, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    warnings: tuple[str, ...] = ()
    new_bytes: int = 0
    dumped_bytes: int = 0
    durations_seconds: dict[str, float] = field(default_factory=dict)
    files_tsv_sha256: str = ""
    format: int = FORMAT

    @property
    def stored_bytes(self) -> int:
        """Bytes of all objects the backup names, shared ones included."""
        return sum(record.stored_bytes for record in self.objects)

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def duration_seconds(self) -> float:
        """Start to manifest."""
        return (self.finished_at - self.started_at).total_seconds()


def encode_manifest(manifest: Manifest, fingerprint_key: bytes) -> bytes:
    """Print a manifest with its digest and its mac."""
    return encode_document(plain(manifest), fingerprint_key)


def decode_manifest(data: bytes, *, fingerprint_key: bytes | None = None) -> Manifest:
    """Read a manifest and refuse anything that is not exactly what Goldcopy writes.

    Args:
        data: The stored bytes.
        fingerprint_key: Where given, the mac is checked as well.

    Raises:
        ManifestInvalid: Damaged, cut, of a newer format, or with a wrong mac.
    """
    signed = decode_document(data, name="the manifest", newest_format=FORMAT, hint=_DAMAGED, newer_hint=_NEWER)
    if fingerprint_key is not None and not signed.fits(fingerprint_key):
        raise ManifestInvalid("the manifest's mac does not fit this repository's fingerprint key", hint=_DAMAGED)
    try:
        return _manifest(signed.members)
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestInvalid(f"the manifest lacks or misuses a field: {error}", hint=_DAMAGED) from error


_DAMAGED = "Take the backup as damaged: restore another one, and compare this file with a copy of the repository."
_NEWER = "Use a newer Goldcopy; nothing that this backup names is ever deleted by this one."


def _manifest(document: dict[str, Any]) -> Manifest:
    values = dict(document)
    for name in ("started_at", "recovery_point_at", "finished_at"):
        values[name] = parse_instant(values[name])
    values["kind"] = BackupKind(values["kind"])
    values["server"] = ServerFacts(**values["server"])
    values["objects"] = tuple(ObjectRecord(**item) for item in values["objects"])
    values["files"] = tuple(FileRecord(**{**item, "objects": tuple(item["objects"])}) for item in values["files"])
    values["tables"] = tuple(TableRecord(**{**item, "columns": tuple(item["columns"])}) for item in values["tables"])
    values["sequences"] = tuple(SequenceRecord(**item) for item in values["sequences"])
    values["extensions"] = tuple(ExtensionRecord(**item) for item in values["extensions"])
    values["derived"] = tuple(_derived(item) for item in values.get("derived", ()))
    values["excluded"] = tuple(Exclusion(**item) for item in values["excluded"])
    for name in ("recipients", "roles", "warnings"):
        values[name] = tuple(values[name])
    return Manifest(**values)


def _derived(item: dict[str, Any]) -> DerivedRecord:
    lists = {name: tuple(item[name]) for name in ("generated", "columns")}
    return DerivedRecord(**{**item, **lists, "kind": DerivedKind(item["kind"])})
