"""What makes recovery possible without Goldcopy: `recover.sh`, `RECOVER.md` and each backup's `files.tsv`."""

import hashlib
from importlib.resources import files

from shared.domain.manifest import FileRecord, Manifest
from shared.repository.layout import RECOVERY_SCRIPT_KEY, RECOVERY_TEXT_KEY


def packaged_recovery_files() -> dict[str, bytes]:
    """Return the recovery files that this version puts into a repository, by their keys."""
    folder = files("shared.repository") / "templates"
    return {name: (folder / name).read_bytes() for name in (RECOVERY_TEXT_KEY, RECOVERY_SCRIPT_KEY)}


def packaged_digests() -> dict[str, str]:
    """Return the SHA-256 of each packaged recovery file, hex."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in packaged_recovery_files().items()}


def files_table(manifest: Manifest) -> bytes:
    """Print `files.tsv`: one row per file, or per part of a large one.

    Columns: object key, path, SHA-256 and size of the sealed bytes, member (empty unless the object is a bundle). The
    parts of a path follow one another in their order; the rows of a bundle follow one another, so a reader that works
    through the table from top to bottom opens every bundle once.
    """
    plain = sorted((record for record in manifest.files if not record.member), key=_by_path)
    bundled = sorted((record for record in manifest.files if record.member), key=_by_bundle)
    rows = []
    for record in (*plain, *bundled):
        for index in record.objects:
            stored = manifest.objects[index]
            rows.append(f"{stored.key}\t{record.path}\t{stored.sha256}\t{stored.stored_bytes}\t{record.member}\n")
    return "".join(rows).encode("ascii")


def _by_path(record: FileRecord) -> str:
    return record.path


def _by_bundle(record: FileRecord) -> tuple[int, str, str]:
    return record.objects[0], record.member, record.path
