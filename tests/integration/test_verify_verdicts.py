"""What a verify run finds reaches the verdict on the source, and stays there until the same was found whole."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.health_reason import Colour
from shared.domain.manifest import encode_manifest
from shared.domain.proof import Outcome
from shared.operations.status import read_status
from shared.repository.layout import files_key, manifest_key
from tests.integration.test_verify import POLICY, STATIC, change, cut, empty, flip_middle, key_of, verify
from tests.support.repository_builder import NOW, BuiltRepository, build_repository


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def test_a_lost_manifest_makes_its_backup_damaged_until_it_is_back(built: BuiltRepository) -> None:
    older = built.back_up(2)
    newer = built.back_up(1, is_proven=True)
    key = manifest_key("app", newer.backup_id)
    good = built.store.get(key)
    built.store.delete(key)

    assert verify(built).outcome is Outcome.FAILED

    status = built.catalog.source_status("app")
    assert status is not None
    assert (status.newest_complete_id, status.newest_proven_id) == (older.backup_id, "")
    assert built.catalog.backup(newer.backup_id).damaged_at == NOW
    assert judge(built)["backup-damaged"] is Colour.RED

    built.store.put(key, good)
    assert verify(built).outcome is Outcome.PASSED
    status = built.catalog.source_status("app")
    assert status is not None
    assert (status.newest_complete_id, status.newest_proven_id) == (newer.backup_id, newer.backup_id)


def test_a_repository_emptied_of_all_backups_is_red(built: BuiltRepository) -> None:
    for manifest in [built.back_up(day, is_proven=True) for day in (3, 2, 1)]:
        for key in [key for key in built.contents() if manifest.backup_id in key]:
            built.store.delete(key)
    verify(built)
    reasons = judge(built)
    assert (reasons["no-backup"], reasons["backup-damaged"]) == (Colour.RED, Colour.RED)
    assert "proven-fresh" not in reasons


@pytest.mark.parametrize("how", [flip_middle, cut, empty])
def test_a_manifest_that_cannot_be_trusted_makes_its_backup_damaged(
    built: BuiltRepository, how: Callable[[bytes], bytes | None]
) -> None:
    manifest = built.back_up(1)
    change(built, manifest_key("app", manifest.backup_id), how)
    verify(built, manifest.backup_id)
    assert built.catalog.backup(manifest.backup_id).damaged_at == NOW


def test_another_manifest_in_its_place_makes_a_backup_damaged(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    other = encode_manifest(replace(manifest, reason="forged"), built.repository.fingerprint_key)
    change(built, manifest_key("app", manifest.backup_id), lambda _data: other)
    verify(built)
    verify(built)
    assert built.catalog.backup(manifest.backup_id).damaged_at == NOW


def test_a_good_backup_read_alone_takes_nothing_back_that_the_others_failed(built: BuiltRepository) -> None:
    bad, good = built.back_up(2), built.back_up(1)
    change(built, files_key("app", bad.backup_id), flip_middle)
    assert verify(built).outcome is Outcome.FAILED

    assert verify(built, good.backup_id).outcome is Outcome.PASSED
    assert judge(built)["verify-failed"] is Colour.YELLOW

    change(built, files_key("app", bad.backup_id), flip_middle)
    assert verify(built).outcome is Outcome.PASSED
    assert "verify-failed" not in judge(built)


def test_named_backups_are_judged_one_by_one(built: BuiltRepository) -> None:
    one, two, three = (built.back_up(day, tables=STATIC) for day in (3, 2, 1))
    (shared,) = key_of(two, "customers")
    change(built, shared, flip_middle)

    result = verify(built, one.backup_id, two.backup_id)

    assert [finding.object for finding in result.findings] == [shared]
    assert {(row.backup_id, row.outcome) for row in built.catalog.verifications("app")} == {
        (one.backup_id, Outcome.FAILED),
        (two.backup_id, Outcome.FAILED),
    }
    assert built.catalog.backup(three.backup_id).damaged_at == NOW
    assert sum(row.objects_checked for row in built.catalog.verifications("app")) == result.objects_checked


def judge(built: BuiltRepository) -> dict[str, Colour]:
    """Return the reasons of the source's health and their colours."""
    report = read_status(built.catalog, POLICY, NOW)
    return {str(reason.code): reason.colour for reason in report.healths[0].reasons}
