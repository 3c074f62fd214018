"""Object keys of the repository format v1: the only place that builds or reads one.

```
goldcopy.json   RECOVER.md   recover.sh
sources/<source>/backups/<backup_id>/manifest.json
sources/<source>/backups/<backup_id>/files.tsv
sources/<source>/backups/<backup_id>/evidence/<time>-<kind>-<16 hex>.json
sources/<source>/objects/<name[:2]>/<name>.<8 hex>
```
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.backup import SOURCE_NAME, parse_backup_id
from shared.domain.evidence import EvidenceKind
from shared.errors import StoreRefused, UsageProblem

DESCRIPTION_KEY = "goldcopy.json"
RECOVERY_TEXT_KEY = "RECOVER.md"
RECOVERY_SCRIPT_KEY = "recover.sh"
SOURCES_PREFIX = "sources/"

_MAXIMUM_KEY_BYTES = 900  # S3 allows 1024 for the bucket's prefix and the key together
_OBJECT_NAME = re.compile(r"[0-9a-f]{64}")
_EVIDENCE_NAME = re.compile(rf"[0-9]{{8}}T[0-9]{{6}}Z-({'|'.join(EvidenceKind)})-[0-9a-f]{{16}}")
_OBJECT_SUFFIX = re.compile(r"[0-9a-f]{8}")
_FILE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,126}")


class KeyKind(StrEnum):
    """What a key of the repository stands for."""

    DESCRIPTION = "description"
    RECOVERY = "recovery"
    MANIFEST = "manifest"
    FILES = "files"
    EVIDENCE = "evidence"
    OBJECT = "object"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedKey:
    """A key taken apart; fields that its kind does not have are empty."""

    kind: KeyKind
    source: str = ""
    backup_id: str = ""
    name: str = ""


def check_source_name(source: str) -> str:
    """Return a source name that is safe as a part of a key.

    Raises:
        UsageProblem: It is not.
    """
    if not SOURCE_NAME.fullmatch(source):
        raise UsageProblem(
            f"{source!r} is not a source name",
            hint="Use up to 63 lower-case letters, digits, dots, dashes and underscores, a letter or digit first.",
        )
    return source


def check_file_path(path: str) -> str:
    """Return the name of a dump's file that is safe to create in any folder.

    Raises:
        ValueError: It is not.
    """
    if not _FILE_PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not the name of a file of a dump")
    return path


def check_key(key: str) -> str:
    """Return a key that stays below a store's root, whatever the store.

    Raises:
        StoreRefused: Empty or hidden parts (which includes `..`), backslashes, control characters, or too long.
    """
    parts = key.split("/")
    safe = all(part and not part.startswith(".") for part in parts)
    if not safe or "\\" in key or not key.isprintable() or len(key.encode()) > _MAXIMUM_KEY_BYTES:
        raise StoreRefused(
            f"the key {key[:200]!r} is not allowed in a repository",
            hint="Report this as a fault of Goldcopy: it builds all keys itself.",
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return the beginning of a key that is safe to list; empty lists everything.

    Raises:
        StoreRefused: As for `check_key`.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def source_prefix(source: str) -> str:
    """Return what all keys of a source begin with."""
    return f"{SOURCES_PREFIX}{check_source_name(source)}/"


def backups_prefix(source: str) -> str:
    """Return what the keys of all backups of a source begin with."""
    return f"{source_prefix(source)}backups/"


def objects_prefix(source: str) -> str:
    """Return what the keys of all stored objects of a source begin with."""
    return f"{source_prefix(source)}objects/"


def manifest_key(source: str, backup_id: str) -> str:
    """Return the key of a backup's manifest.

    Raises:
        UsageProblem: The id is not one, or of another source.
    """
    return f"{_backup_folder(source, backup_id)}manifest.json"


def files_key(source: str, backup_id: str) -> str:
    """Return the key of the table that `recover.sh` reads.

    Raises:
        UsageProblem: The id is not one, or of another source.
    """
    return f"{_backup_folder(source, backup_id)}files.tsv"


def evidence_prefix(source: str, backup_id: str) -> str:
    """Return what the keys of all evidence of a backup begin with.

    Raises:
        UsageProblem: The id is not one, or of another source.
    """
    return f"{_backup_folder(source, backup_id)}evidence/"


def evidence_key(source: str, backup_id: str, name: str) -> str:
    """Return the key of one piece of evidence.

    Raises:
        UsageProblem: The id is not one, or of another source.
        ValueError: The name is not that of evidence.
    """
    if not _EVIDENCE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of evidence")
    return f"{evidence_prefix(source, backup_id)}{name}.json"


def object_key(source: str, name: str, suffix: str) -> str:
    """Return the key of one stored copy of an object.

    Args:
        source: Name of the source.
        name: 64 hex digits, the keyed fingerprint of what the object holds.
        suffix: 8 random hex digits that make this copy a write-once object of its own.

    Raises:
        ValueError: Name or suffix are not of that form.
    """
    if not _OBJECT_NAME.fullmatch(name) or not _OBJECT_SUFFIX.fullmatch(suffix):
        raise ValueError("an object is named by 64 hex digits and a suffix of 8")
    return f"{objects_prefix(source)}{name[:2]}/{name}.{suffix}"


def parse_key(key: str) -> ParsedKey:
    """Say what a key stands for; a key that the format does not know is `UNKNOWN`."""
    parts = key.split("/")
    match parts:
        case ["goldcopy.json"]:
            return ParsedKey(kind=KeyKind.DESCRIPTION)
        case ["RECOVER.md" | "recover.sh"]:
            return ParsedKey(kind=KeyKind.RECOVERY)
        case ["sources", source, "backups", backup_id, *rest]:
            if _belongs(source, backup_id):
                return _parse_beside(source, backup_id, rest)
        case ["sources", source, "objects", folder, file]:
            name, _, suffix = file.partition(".")
            well_named = _OBJECT_NAME.fullmatch(name) and _OBJECT_SUFFIX.fullmatch(suffix) and name[:2] == folder
            if well_named and SOURCE_NAME.fullmatch(source):
                return ParsedKey(kind=KeyKind.OBJECT, source=source, name=name)
        case _:
            pass
    return ParsedKey(kind=KeyKind.UNKNOWN)


def _parse_beside(source: str, backup_id: str, rest: Sequence[str]) -> ParsedKey:
    """Say what a file in a backup's folder is."""
    kind, name = KeyKind.UNKNOWN, ""
    match rest:
        case ["manifest.json"]:
            kind = KeyKind.MANIFEST
        case ["files.tsv"]:
            kind = KeyKind.FILES
        case ["evidence", file] if file.endswith(".json") and _EVIDENCE_NAME.fullmatch(file.removesuffix(".json")):
            kind, name = KeyKind.EVIDENCE, file.removesuffix(".json")
        case _:
            return ParsedKey(kind=kind)
    return ParsedKey(kind=kind, source=source, backup_id=backup_id, name=name)


def _belongs(source: str, backup_id: str) -> bool:
    try:
        return parse_backup_id(backup_id).source == source
    except ValueError:
        return False


def _backup_folder(source: str, backup_id: str) -> str:
    prefix = backups_prefix(source)
    if not _belongs(source, backup_id):
        raise UsageProblem(
            f"{backup_id!r} is not the id of a backup of {source}",
            hint="Give an id as `goldcopy backups` prints it.",
        )
    return f"{prefix}{backup_id}/"
