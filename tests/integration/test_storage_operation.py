"""Cost, forecast and what-if from a real catalog."""

from datetime import timedelta
from decimal import Decimal

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind
from shared.domain.cost import Prices
from shared.domain.proof import Outcome
from shared.domain.source import KeepRule, Source
from shared.operations.storage import compare_retention, read_storage
from tests.support.catalogs import NOW, complete, make_id, make_manifest, make_object, prove

APP = Source(name="app")
POLICIES = {"app": APP}
PRICES = Prices(
    currency="EUR", storage_per_gb_month=Decimal("0.01"), egress_per_gb=Decimal(1), read_per_1000=Decimal(1)
)


def back_up(catalog: Catalog, days_ago: float, *labels: str, kind: BackupKind = BackupKind.DAILY, new: int = 1) -> str:
    """Record a backup of objects of 100 bytes each, of which so many are new; equal labels are the same object."""
    objects = tuple(make_object(label) for label in labels)
    manifest = make_manifest(at=NOW - timedelta(days=days_ago), kind=kind, objects=objects, new_bytes=100 * new)
    return complete(catalog, manifest).backup_id


def expire(catalog: Catalog, backup_id: str, days_ago: float, *labels: str) -> None:
    at = NOW - timedelta(days=days_ago)
    catalog.mark_expiring(backup_id, "old", run=None, now=at)
    catalog.record_manifest_removed(backup_id, at)
    catalog.record_objects_removed(backup_id, [make_object(label).key for label in labels], 100 * len(labels), at)
    catalog.record_expired(backup_id, at)


def test_bytes_are_told_by_source_and_by_what_needs_them(catalog: Catalog) -> None:
    back_up(catalog, 3, "both", "daily only", new=2)
    back_up(catalog, 2, "both", "weekly only", kind=BackupKind.WEEKLY)
    complete(catalog, make_manifest(at=NOW, source="shop", objects=(make_object("x", source="shop", stored_bytes=7),)))

    everything = read_storage(catalog, POLICIES, Prices(), NOW)
    alone = read_storage(catalog, POLICIES, Prices(), NOW, source="app")

    assert dict(everything.by_source) == {"app": 300, "shop": 7}
    assert dict(everything.by_kind) == {"daily": 107, "weekly": 100, "shared": 100}
    assert dict(alone.by_kind) == {"daily": 100, "weekly": 100, "shared": 100}
    assert everything.stored_bytes == sum(everything.by_kind.values()) == 307


def test_what_no_backup_names_any_more_is_unneeded(catalog: Catalog) -> None:
    backup_id = back_up(catalog, 9, "a", "b", new=2)
    back_up(catalog, 1, "a", new=0)
    expire(catalog, backup_id, 0.5)

    assert dict(read_storage(catalog, POLICIES, Prices(), NOW).by_kind) == {"daily": 100, "unneeded": 100}


def test_history_knows_what_came_and_what_cleanups_freed(catalog: Catalog) -> None:
    first = back_up(catalog, 9, "old")
    back_up(catalog, 2, "new")
    expire(catalog, first, 1, "old")

    history = read_storage(catalog, POLICIES, Prices(), NOW, source="app").history

    assert [item.stored_bytes for item in history] == [100] * 7 + [200, 100, 100]
    assert history[-1].day == NOW.date()


def test_a_month_counts_what_restore_tests_and_verify_runs_read(catalog: Catalog) -> None:
    backup_id = back_up(catalog, 3, *(f"piece {number}" for number in range(10)), new=5)
    prove(catalog, backup_id, Outcome.PASSED, NOW - timedelta(days=2))
    prove(catalog, backup_id, Outcome.PASSED, NOW - timedelta(days=40))

    found = read_storage(catalog, POLICIES, PRICES, NOW)

    assert (found.use.reads, found.use.egress_bytes) == (10, 1000)
    assert found.use.writes == 5 + 2, "half of the bytes were new; the manifest and its list of files come on top"
    assert {line.name: line.amount for line in found.cost.lines}["reads"] == Decimal("0.01")
    assert found.cost.unpriced == ("writes",)


def test_without_prices_the_document_holds_no_money(catalog: Catalog) -> None:
    back_up(catalog, 3, "a")

    document = read_storage(catalog, POLICIES, Prices(), NOW).document()

    assert document["currency"] is None
    assert set(document["cost"].values()) == {None}
    assert document["forecast_reason"].startswith("Only 3 days are recorded")


def test_a_limit_is_told_with_its_month(catalog: Catalog) -> None:
    for days_ago in range(120, 0, -1):
        back_up(catalog, days_ago, f"of day {days_ago}")

    found = read_storage(catalog, POLICIES, Prices(storage_limit_bytes=15_000), NOW)

    assert found.forecast.growth is not None
    assert found.forecast.growth.bytes_per_month == 3044
    assert found.document()["limit_month"] == "2026-12"


def test_what_if_frees_only_what_no_other_backup_names(catalog: Catalog) -> None:
    for days_ago in (5.1, 4.1, 3.1, 0.1):
        back_up(catalog, days_ago, "shared", f"own {days_ago}")
    changes = {BackupKind.DAILY: KeepRule(age=timedelta(days=3))}

    found = compare_retention(catalog, APP, changes, PRICES, NOW)

    # Recorded by hand and not by a run, these backups look imported: nothing goes until one is proven.
    assert found.what_if.other.expires == ()

    prove(catalog, make_id(NOW - timedelta(days=0.1)), Outcome.PASSED, NOW)
    found = compare_retention(catalog, APP, changes, PRICES, NOW)
    assert len(found.what_if.other.expires) == 3
    assert (found.what_if.stored_bytes, found.what_if.freed_bytes) == (500, 300)
    assert found.document()["other"]["long_run_cost_per_month"] == "0.000000002"


def test_what_if_says_whether_damage_would_still_be_noticed_in_time(catalog: Catalog) -> None:
    back_up(catalog, 1, "a")
    longer = {BackupKind.WEEKLY: KeepRule(age=timedelta(days=60))}

    found = compare_retention(catalog, APP, longer, PRICES, NOW)

    assert (found.detection.is_met, found.other_detection.is_met) == (False, True)
    assert found.other_detection.retention == timedelta(days=60)
    document = found.document()
    assert document["other"]["retention"]["weekly"] == "60d"
    assert document["current"]["retention"]["weekly"] == "28d"


def test_expired_backups_show_what_a_longer_policy_would_have_kept(catalog: Catalog) -> None:
    ids = {days_ago: back_up(catalog, days_ago, f"of day {days_ago}") for days_ago in range(20, 0, -1)}
    for days_ago in range(20, 7, -1):
        expire(catalog, ids[days_ago], days_ago - 7.5, f"of day {days_ago}")

    longer = compare_retention(catalog, APP, {BackupKind.DAILY: KeepRule(age=timedelta(days=15))}, PRICES, NOW)

    assert (longer.what_if.current.restore_points, longer.what_if.other.restore_points) == (7, 15)
    assert longer.what_if.other.long_run_bytes == 1500
    assert longer.what_if.estimate_ratio == 1.0
