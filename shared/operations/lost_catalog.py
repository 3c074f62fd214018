"""Find backups of which the catalog knows nothing: a catalog that was lost looks like a new one, the repository not."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from threading import Event, Thread

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupStatus
from shared.errors import GoldcopyError, UsageProblem
from shared.repository.layout import SOURCES_PREFIX, backups_prefix, manifest_key
from shared.repository.store import ObjectStore

_NEVER_COMPLETED = {BackupStatus.RUNNING, BackupStatus.FAILED}


def find_unknown_backups(
    catalog: Catalog, sources: Iterable[str], open_store: Callable[[], ObjectStore], timeout: timedelta
) -> Mapping[str, str]:
    """Look in the repository for backups of those sources of which the catalog knows no complete one.

    Nothing is asked where the catalog knows some of every source, which is nearly always.

    Args:
        catalog: The metadata store.
        sources: Names.
        open_store: Returns the store.
        timeout: What has not been found by then is left behind.

    Returns:
        The newest backup that only the repository knows, by source; without those that have none.
    """
    known = _known_attempts(catalog, sources)
    if not known:
        return {}
    found: dict[str, str] = {}
    late = Event()

    def look() -> None:
        try:
            store = open_store()
            for source in sorted(known.keys() & set(store.folders(SOURCES_PREFIX))):
                if late.is_set():
                    return
                if newest := _newest_unknown(store, source, known[source]):
                    found[source] = newest
        except GoldcopyError:
            return  # whether the repository can be reached is a question of its own

    # A daemon, so that a store which never answers does not keep the process from ending.
    looking = Thread(target=look, name="find-unknown-backups", daemon=True)
    looking.start()
    looking.join(timeout.total_seconds())
    late.set()
    return dict(found)


def _known_attempts(catalog: Catalog, sources: Iterable[str]) -> dict[str, set[str]]:
    """Return the attempts at sources that never had a complete backup, as far as the catalog knows."""
    counts = {row.source: row.backup_count for row in catalog.source_statuses()}
    rows = {name: catalog.backups(name, include_expired=True) for name in sources if not counts.get(name)}
    return {
        name: {row.id for row in attempts}
        for name, attempts in rows.items()
        if all(row.status in _NEVER_COMPLETED for row in attempts)
    }


def _newest_unknown(store: ObjectStore, source: str, known: set[str]) -> str:
    for backup_id in sorted(store.folders(backups_prefix(source)), reverse=True):
        if backup_id in known:
            continue
        try:
            key = manifest_key(source, backup_id)
        except UsageProblem:
            continue  # a folder that is none of ours
        if store.stat(key) is not None:
            return backup_id
    return ""
