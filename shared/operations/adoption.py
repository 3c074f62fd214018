"""Tell the catalog of backups whose manifest is durable and whose run died before it could record that."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupStatus
from shared.errors import IntegrityProblem, ObjectMissing
from shared.repository.repository import Repository

_KNOWN = frozenset({BackupStatus.COMPLETE, BackupStatus.EXPIRING, BackupStatus.EXPIRED})


def adopt_unrecorded(
    repository: Repository, catalog: Catalog, source: str, now: Callable[[], datetime]
) -> tuple[str, ...]:
    """Record complete backups of a source that the catalog does not count; call it while holding the source.

    A manifest that cannot be trusted is left to `verify` and `rebuild-catalog`.

    Returns:
        Their ids.
    """
    known = {row.id for row in catalog.backups(source, include_expired=True) if row.status in _KNOWN}
    adopted = []
    for backup_id in repository.list_backup_ids(source):
        if backup_id in known:
            continue
        try:
            manifest = repository.read_manifest(source, backup_id)
            digest = sha256(repository.read_manifest_bytes(source, backup_id)).hexdigest()
        except (IntegrityProblem, ObjectMissing):
            continue
        catalog.import_manifest(
            manifest, digest, now(), reason="its run ended after the manifest was written and before it was recorded"
        )
        adopted.append(backup_id)
    return tuple(adopted)
