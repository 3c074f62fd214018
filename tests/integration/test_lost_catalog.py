"""A catalog that was lost is not taken for a repository without backups."""

from datetime import timedelta
from pathlib import Path

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind
from shared.domain.source import Source
from shared.errors import SourceUnreachable, StoreUnreachable
from shared.operations.lost_catalog import find_unknown_backups
from shared.operations.status import read_status
from shared.repository.layout import manifest_key
from shared.repository.local import LocalStore
from shared.repository.store import ObjectStore
from tests.support.catalogs import NOW, complete, make_id, make_manifest

SOON = timedelta(seconds=30)
H = timedelta(hours=1)


def store_with(root: Path, *backup_ids: str) -> LocalStore:
    store = LocalStore(root)
    for backup_id in backup_ids:
        store.put(manifest_key("app", backup_id), b"{}")
    return store


def found(catalog: Catalog, store: ObjectStore) -> dict[str, str]:
    return dict(find_unknown_backups(catalog, ["app", "shop"], lambda: store, SOON))


def test_backups_that_only_the_repository_knows_are_found(catalog: Catalog, tmp_path: Path) -> None:
    older, newer = make_id(NOW - 9 * H), make_id(NOW - H)
    store = store_with(tmp_path, older, newer)
    store.put(f"sources/app/backups/{make_id(NOW)}/files.tsv", b"cut off: no manifest")
    assert found(catalog, store) == {"app": newer}
    # An attempt that failed since then makes the catalog no less lost.
    failed = make_id(NOW, suffix="bbbb")
    catalog.backup_started(backup_id=failed, source="app", kind=BackupKind.DAILY, reason="", now=NOW)
    catalog.backup_failed(failed, SourceUnreachable("no", hint="Look."), NOW)
    assert found(catalog, store) == {"app": newer}
    report = read_status(catalog, {"app": Source(name="app")}, NOW, unknown_backups={"app": newer})
    assert "catalog-lost" in {reason.code for reason in report.sources[0].health.reasons}


def test_a_backup_that_is_being_written_is_no_lost_one(catalog: Catalog, tmp_path: Path) -> None:
    running = make_id(NOW)
    catalog.backup_started(backup_id=running, source="app", kind=BackupKind.DAILY, reason="", now=NOW)
    assert found(catalog, store_with(tmp_path, running)) == {}


def test_nothing_is_asked_where_the_catalog_knows_backups(catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=NOW - H))

    def refuse() -> ObjectStore:
        raise AssertionError("the repository was asked")

    assert find_unknown_backups(catalog, ["app"], refuse, SOON) == {}


def test_a_repository_that_does_not_answer_claims_nothing(catalog: Catalog) -> None:
    def refuse() -> ObjectStore:
        raise StoreUnreachable("no answer", hint="Look.")

    assert find_unknown_backups(catalog, ["app"], refuse, SOON) == {}
