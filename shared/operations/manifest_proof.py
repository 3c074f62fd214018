"""Read the manifest of a backup that is to be proven; what is not there, or was put in its place, proves nothing."""

from dataclasses import dataclass

from shared.catalog.engine import Catalog
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Severity
from shared.errors import IntegrityProblem, ObjectMissing
from shared.repository.layout import manifest_key
from shared.repository.manifest_checks import replaced_manifest
from shared.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadManifest:
    """What was read.

    Attributes:
        manifest: None where there is none that can be trusted.
        sha256: Of its stored bytes, hex.
        finding: What is wrong with it, or None.
    """

    manifest: Manifest | None = None
    sha256: str = ""
    finding: Finding | None = None


def read_manifest_to_prove(repository: Repository, catalog: Catalog, source: str, backup_id: str) -> ReadManifest:
    """Read a manifest, and compare it with the one that was written.

    Raises:
        GoldcopyError: The repository cannot be read, or is not there; nothing is said about the manifest then.
        BackupUnknown: The catalog does not know the backup.
    """
    try:
        manifest = repository.read_manifest(source, backup_id)
    except (ObjectMissing, IntegrityProblem) as error:
        repository.require_same()
        damage = Finding(
            check="integrity", severity=Severity.ERROR, object=backup_id, message=error.message, hint=error.hint
        )
        return ReadManifest(finding=damage)
    sha256, recorded = repository.digest_of(manifest), catalog.backup(backup_id).manifest_sha256
    is_replaced = bool(recorded) and recorded != sha256
    finding = replaced_manifest(manifest_key(source, backup_id)) if is_replaced else None
    return ReadManifest(manifest=manifest, sha256=sha256, finding=finding)
