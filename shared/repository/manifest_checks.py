"""What a manifest may name: only what belongs to its own source, and only plain file names."""

from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Severity
from shared.errors import ManifestInvalid
from shared.repository.layout import KeyKind, check_file_path, manifest_key, parse_key


def check_place(manifest: Manifest, source: str, backup_id: str) -> None:
    """Refuse a manifest that lies elsewhere than it says, or names what is not its own.

    Args:
        manifest: As it was decoded.
        source: Of the key that it lies under.
        backup_id: Of that key.

    Raises:
        ManifestInvalid: It cannot be trusted.
    """
    if manifest.source != source or manifest.backup_id != backup_id:
        raise ManifestInvalid(
            f"the manifest under {manifest_key(source, backup_id)} is that of {manifest.backup_id[:100]!r}",
            hint="Someone moved it; take it as damaged.",
        )
    for record in manifest.objects:
        parsed = parse_key(record.key)
        if parsed.kind is not KeyKind.OBJECT or parsed.source != source:
            raise ManifestInvalid(
                f"the manifest of {backup_id} names {record.key[:200]!r}, which is no object of {source}",
                hint="Take the backup as damaged.",
            )
    try:
        for file in manifest.files:
            check_file_path(file.path)
            if file.member:
                check_file_path(file.member)
            if not all(0 <= index < len(manifest.objects) for index in file.objects):
                raise ValueError(f"{file.path} refers to an object that is not listed")
    except ValueError as error:
        raise ManifestInvalid(f"the manifest of {backup_id}: {error}", hint="Take the backup as damaged.") from error


def replaced_manifest(key: str) -> Finding:
    """Say that a manifest is in order and still not the one that the catalog has recorded."""
    return Finding(
        check="manifest",
        severity=Severity.ERROR,
        object=key,
        message=f"{key} is not the manifest that was written: its digest differs from the catalog's",
        hint="Put the right manifest back from another copy of the repository, and see who replaced it.",
    )
