"""Restore tests, verify runs and damage: what they say about backups, on SQLite and on Postgres."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.catalog.records import VerificationResult
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.errors import BackupUnknown
from tests.support.catalogs import (
    NOW,
    complete,
    digest_of,
    make_id,
    make_manifest,
    make_object,
    make_test_result,
    prove,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_passed_restore_test_proves_its_backup(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    newer = complete(catalog, make_manifest(at=NOW + DAY))
    prove(catalog, manifest.backup_id, Outcome.PASSED, NOW + HOUR)
    row = catalog.newest_proven("app")
    assert row is not None
    assert (row.id, row.proven_at, row.test_outcome) == (manifest.backup_id, NOW + HOUR, Outcome.PASSED)
    status = catalog.source_status("app")
    assert status is not None
    assert (status.newest_complete_id, status.newest_proven_id) == (newer.backup_id, manifest.backup_id)
    assert (status.recovery_time_seconds, status.last_passed_test_dumped_bytes) == (61.5, 91)


def test_later_failed_test_takes_the_proof_away_and_not_measured_does_not(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    prove(catalog, manifest.backup_id, Outcome.PASSED, NOW + HOUR)
    prove(catalog, manifest.backup_id, Outcome.NOT_MEASURED, NOW + 2 * HOUR)
    assert catalog.backup(manifest.backup_id).proven_at == NOW + HOUR
    prove(catalog, manifest.backup_id, Outcome.FAILED, NOW + 3 * HOUR)
    row = catalog.backup(manifest.backup_id)
    assert (row.proven_at, row.test_outcome) == (None, Outcome.FAILED)
    assert catalog.newest_proven("app") is None
    assert [test.outcome for test in catalog.restore_tests("app")] == [
        Outcome.FAILED,
        Outcome.NOT_MEASURED,
        Outcome.PASSED,
    ]


def test_restore_test_comes_back_with_findings_and_gaps(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    findings = (
        Finding(check="table-content", severity=Severity.ERROR, object="public.orders", message="differs", hint="look"),
        Finding(check="rows", severity=Severity.INFO, object="public.x", message="m" * 5000),
    )
    gaps = (NotMeasured(check="extension", object="postgis", reason="not installed"),)
    result = make_test_result(
        manifest.backup_id, Outcome.FAILED, at=NOW + HOUR, findings=findings, not_measured=gaps, rows_proven=2**40
    )
    catalog.record_restore_test_started(test_id=result.id, backup_id=manifest.backup_id, picked="newest", now=NOW)
    (running,) = catalog.restore_tests(backup_id=manifest.backup_id)
    assert (running.outcome, running.finished_at) == (None, None)
    catalog.record_restore_test(result, NOW + HOUR)
    (row,) = catalog.restore_tests(backup_id=manifest.backup_id)
    assert row.findings[0] == findings[0]
    assert len(row.findings[1].message) == 2000
    assert row.not_measured == gaps
    assert (row.outcome, row.phases, row.rows_proven) == (Outcome.FAILED, {"fetch": 1.0, "prove": 2.5}, 2**40)


def test_restore_test_of_an_unknown_backup_is_refused(catalog: Catalog) -> None:
    with pytest.raises(BackupUnknown, match="knows no backup"):
        prove(catalog, make_id(), Outcome.PASSED, NOW)


def test_damaged_object_takes_all_its_backups_out_of_the_newest(catalog: Catalog) -> None:
    shared = make_object("shared")
    sound = complete(catalog, make_manifest())
    broken = [complete(catalog, make_manifest(at=NOW + day * DAY, objects=(shared,))) for day in (1, 2)]
    prove(catalog, sound.backup_id, Outcome.PASSED, NOW + HOUR)
    prove(catalog, broken[0].backup_id, Outcome.PASSED, NOW + DAY + HOUR)
    hit = catalog.mark_object_damaged(shared.key, "one bit differs", NOW + 3 * DAY)
    assert hit == tuple(manifest.backup_id for manifest in broken)
    assert catalog.damaged_keys("app") == {shared.key}
    newest, proven = catalog.newest_complete("app"), catalog.newest_proven("app")
    assert newest is not None
    assert proven is not None
    assert newest.id == proven.id == sound.backup_id
    with_damaged = catalog.newest_complete("app", include_damaged=True)
    assert with_damaged is not None
    assert with_damaged.damaged_at == NOW + 3 * DAY
    status = catalog.source_status("app")
    assert status is not None
    assert (status.newest_complete_id, status.damaged_count) == (sound.backup_id, 2)


def test_damage_is_news_once_and_can_be_mended(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    key = manifest.objects[0].key
    catalog.mark_object_damaged(key, "gone", NOW + DAY)
    catalog.mark_object_damaged(key, "still gone", NOW + 2 * DAY)
    assert catalog.backup(manifest.backup_id).damaged_at == NOW + DAY
    assert [entry.action for entry in catalog.audit_entries()].count("object.damaged") == 1
    assert catalog.mark_object_sound(key, NOW + 3 * DAY) == (manifest.backup_id,)
    assert catalog.backup(manifest.backup_id).damaged_at is None
    assert catalog.damaged_keys("app") == frozenset()


def test_backup_that_names_a_damaged_object_is_damaged_from_the_start(catalog: Catalog) -> None:
    shared = make_object("shared")
    complete(catalog, make_manifest(objects=(shared,)))
    catalog.mark_object_damaged(shared.key, "gone", NOW)
    later = complete(catalog, make_manifest(at=NOW + DAY, objects=(shared,)))
    assert catalog.backup(later.backup_id).damaged_at == NOW


def test_marking_an_unknown_object_names_no_backup(catalog: Catalog) -> None:
    assert catalog.mark_object_damaged("sources/app/objects/aa/none", "gone", NOW) == ()


def test_verify_run_comes_back_and_shows_in_the_status(catalog: Catalog) -> None:
    complete(catalog, make_manifest())
    finding = Finding(check="digest", severity=Severity.ERROR, object="some/key", message="differs")
    result = VerificationResult(
        source="app",
        outcome=Outcome.FAILED,
        started_at=NOW,
        finished_at=NOW + HOUR,
        objects_checked=3,
        bytes_checked=2**41,
        findings=(finding,),
        not_measured=(NotMeasured(check="digest", object="k", reason="store down"),),
    )
    number = catalog.record_verification(result, NOW + HOUR)
    (row,) = catalog.verifications("app")
    assert (row.id, row.findings, row.bytes_checked) == (number, (finding,), 2**41)
    assert row.not_measured[0].reason == "store down"
    status = catalog.source_status("app")
    assert status is not None
    assert (status.last_verified_at, status.last_verified_outcome) == (NOW + HOUR, Outcome.FAILED)


def test_a_verify_run_of_one_backup_takes_back_only_what_it_found_itself(catalog: Catalog) -> None:
    one, other = (complete(catalog, make_manifest(suffix=suffix)).backup_id for suffix in ("000a", "000b"))

    def verified(hours: int, outcome: Outcome, backup_id: str = "") -> tuple[Outcome | None, datetime | None]:
        at = NOW + hours * HOUR
        result = VerificationResult(
            source="app", backup_id=backup_id, outcome=outcome, started_at=at - HOUR / 2, finished_at=at
        )
        catalog.record_verification(result, at)
        status = catalog.source_status("app")
        assert status is not None
        return status.last_verified_outcome, status.last_verified_whole_at

    assert verified(1, Outcome.FAILED) == (Outcome.FAILED, NOW + HOUR)
    assert verified(2, Outcome.PASSED, one) == (Outcome.FAILED, NOW + HOUR)
    assert verified(3, Outcome.PASSED) == (Outcome.PASSED, NOW + 3 * HOUR)
    assert verified(4, Outcome.FAILED, one) == (Outcome.FAILED, NOW + 3 * HOUR)
    assert verified(5, Outcome.PASSED, other) == (Outcome.FAILED, NOW + 3 * HOUR)
    assert verified(6, Outcome.PASSED, one) == (Outcome.PASSED, NOW + 3 * HOUR)
    assert verified(7, Outcome.NOT_MEASURED, other) == (Outcome.NOT_MEASURED, NOW + 3 * HOUR)
    assert verified(8, Outcome.PASSED) == (Outcome.PASSED, NOW + 8 * HOUR)


def test_a_backup_without_its_manifest_is_damaged_until_it_is_back(catalog: Catalog) -> None:
    older, newer = (
        complete(catalog, make_manifest(suffix=suffix, at=at)).backup_id
        for suffix, at in (("000a", NOW), ("000b", NOW + HOUR))
    )
    prove(catalog, newer, Outcome.PASSED, NOW + 2 * HOUR)

    def standing() -> tuple[str, str, int]:
        status = catalog.source_status("app")
        assert status is not None
        return status.newest_complete_id, status.newest_proven_id, status.damaged_count

    assert catalog.mark_manifest_damaged(newer, "gone", NOW + 3 * HOUR)
    assert catalog.mark_manifest_damaged(newer, "gone", NOW + 4 * HOUR)
    assert catalog.backup(newer).damaged_at == NOW + 3 * HOUR
    assert standing() == (older, "", 1)
    catalog.mark_manifest_sound(newer, NOW + 5 * HOUR)
    assert standing() == (newer, newer, 0)
    actions = [entry.action for entry in catalog.audit_entries() if entry.action.startswith("manifest.")]
    assert actions == ["manifest.damaged", "manifest.sound"]


def test_damage_of_the_manifest_and_of_an_object_are_told_apart(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    catalog.mark_object_damaged(manifest.objects[0].key, "gone", NOW + 2 * HOUR)
    catalog.mark_manifest_damaged(manifest.backup_id, "gone", NOW + HOUR)
    assert catalog.backup(manifest.backup_id).damaged_at == NOW + HOUR
    catalog.mark_manifest_sound(manifest.backup_id, NOW + 3 * HOUR)
    assert catalog.backup(manifest.backup_id).damaged_at == NOW + 2 * HOUR
    catalog.mark_manifest_damaged(manifest.backup_id, "gone", NOW + 4 * HOUR)
    catalog.mark_object_sound(manifest.objects[0].key, NOW + 5 * HOUR)
    assert catalog.backup(manifest.backup_id).damaged_at == NOW + 4 * HOUR


def test_proof_of_another_manifest_is_none(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    prove(catalog, manifest.backup_id, Outcome.PASSED, NOW + HOUR)
    catalog.backup_completed(manifest, digest_of(manifest), NOW + 2 * HOUR)
    assert catalog.backup(manifest.backup_id).proven_at == NOW + HOUR
    catalog.backup_completed(replace(manifest, lsn="0/9"), "f" * 64, NOW + 3 * HOUR)
    assert catalog.backup(manifest.backup_id).proven_at is None
    assert len(catalog.restore_tests("app")) == 1
