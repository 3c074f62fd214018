"""Holds and expiry: the catalog itself refuses to let go of what must stay."""

from datetime import timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.catalog.records import CleanupState
from shared.domain.backup import BackupStatus
from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome
from shared.errors import RetentionRefused, UsageProblem
from tests.support.catalogs import NOW, complete, make_manifest, make_object, prove

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SHARED = make_object("shared")


def _history(catalog: Catalog, count: int = 4, *, proven: int | None = None) -> list[Manifest]:
    """Backups of `count` days, each with an object of its own and a shared one; one of them proven."""
    made = [
        complete(catalog, make_manifest(at=NOW + day * DAY, objects=(SHARED, make_object(f"own {day}"))))
        for day in range(count)
    ]
    if proven is not None:
        prove(catalog, made[proven].backup_id, Outcome.PASSED, NOW + count * DAY)
    return made


def test_hold_shows_and_forbids_expiry_until_it_is_released(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    hold = catalog.place_hold(old, owner="legal", reason="case 12", now=NOW + 5 * DAY)
    assert catalog.backup(old).held
    assert catalog.holds_in_force() == (hold,)
    with pytest.raises(RetentionRefused, match="legal holds it: case 12"):
        catalog.mark_expiring(old, "too old", run=None, now=NOW + 6 * DAY)
    released = catalog.release_hold(old, released_by="ada", reason="case closed", now=NOW + 7 * DAY)
    assert (released.released_at, released.released_by) == (NOW + 7 * DAY, "ada")
    assert not catalog.backup(old).held
    assert catalog.holds_in_force() == ()
    assert catalog.holds() == (released,)
    assert catalog.mark_expiring(old, "too old", run=None, now=NOW + 8 * DAY).state is CleanupState.MARKED


def test_holds_of_two_owners_are_released_one_by_one(catalog: Catalog) -> None:
    old = _history(catalog)[0].backup_id
    first = catalog.place_hold(old, owner="legal", reason="case 12", now=NOW)
    catalog.place_hold(old, owner="audit", reason="year end", now=NOW)
    assert catalog.place_hold(old, owner="legal", reason="again", now=NOW + HOUR) == first
    with pytest.raises(UsageProblem, match="is held by legal, audit"):
        catalog.release_hold(old, released_by="ada", reason="done", now=NOW)
    catalog.release_hold(old, released_by="ada", reason="done", now=NOW, owner="audit")
    assert [hold.owner for hold in catalog.holds_in_force(old)] == ["legal"]
    with pytest.raises(UsageProblem, match="is not held by audit"):
        catalog.release_hold(old, released_by="ada", reason="done", now=NOW, owner="audit")
    status = catalog.source_status("app")
    assert status is not None
    assert status.held_count == 1


def test_backup_that_is_not_complete_cannot_be_held(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    catalog.mark_expiring(old, "too old", run=None, now=NOW)
    with pytest.raises(RetentionRefused, match="is expiring and cannot be held"):
        catalog.place_hold(old, owner="legal", reason="too late", now=NOW)


@pytest.mark.parametrize("number", [1, 3])
def test_newest_complete_and_newest_proven_backup_cannot_expire(catalog: Catalog, number: int) -> None:
    history = _history(catalog, proven=1)
    with pytest.raises(RetentionRefused, match="newest complete or the newest proven"):
        catalog.mark_expiring(history[number].backup_id, "too old", run=None, now=NOW)
    assert catalog.backup(history[number].backup_id).status is BackupStatus.COMPLETE


def test_damage_of_the_newest_protects_the_newest_sound_ones_as_well(catalog: Catalog) -> None:
    history = _history(catalog, proven=2)
    prove(catalog, history[1].backup_id, Outcome.PASSED, NOW + 5 * DAY)
    for number in (2, 3):
        catalog.mark_object_damaged(make_object(f"own {number}").key, "gone", NOW + 6 * DAY)
    for number in (1, 2, 3):
        with pytest.raises(RetentionRefused):
            catalog.mark_expiring(history[number].backup_id, "too old", run=None, now=NOW)
    catalog.mark_expiring(history[0].backup_id, "too old", run=None, now=NOW)


def test_backup_in_use_cannot_expire(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    run = catalog.begin_run("restore-test", "app", exclusive=False, now=NOW)
    catalog.record_restore_test_started(test_id="rt", backup_id=old, picked="oldest", now=NOW, run=run)
    with pytest.raises(RetentionRefused, match="reads it now"):
        catalog.mark_expiring(old, "too old", run=None, now=NOW)


def test_expiry_goes_step_by_step_to_its_end(catalog: Catalog) -> None:
    history = _history(catalog, proven=3)
    old, own = history[0].backup_id, make_object("own 0")
    run = catalog.begin_run("cleanup", "app", exclusive=True, now=NOW)
    catalog.plan_cleanup([(old, "older than 7 d")], run=run, now=NOW)
    assert catalog.unfinished_cleanups() == ()
    catalog.mark_expiring(old, "older than 7 d", run=run, now=NOW + HOUR)
    assert catalog.backup(old).status is BackupStatus.EXPIRING
    catalog.record_manifest_removed(old, NOW + 2 * HOUR)
    assert [item.key for item in catalog.unshared_objects(old)] == [own.key]
    catalog.record_objects_removed(old, [own.key], own.stored_bytes, NOW + 3 * HOUR)
    (action,) = catalog.unfinished_cleanups("app")
    assert (action.state, action.freed_bytes, action.run_id) == (CleanupState.OBJECTS_REMOVED, 100, run.id)
    catalog.record_expired(old, NOW + 4 * HOUR)
    assert catalog.unfinished_cleanups() == ()
    assert catalog.backup(old).status is BackupStatus.EXPIRED
    assert old not in {row.id for row in catalog.backups("app")}
    assert old in {row.id for row in catalog.backups("app", include_expired=True)}
    assert catalog.tables(old) == ()
    assert catalog.objects(old) == ()
    status = catalog.source_status("app")
    assert status is not None
    assert (status.backup_count, status.stored_bytes) == (3, 400)
    (done,) = catalog.cleanup_actions(backup_id=old)
    assert (done.state, done.reason) == (CleanupState.DONE, "older than 7 d")


def test_interrupted_expiry_can_be_taken_up_again_at_any_step(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    first = catalog.begin_run("cleanup", "app", exclusive=True, now=NOW)
    catalog.mark_expiring(old, "too old", run=first, now=NOW)
    catalog.record_manifest_removed(old, NOW)
    second = catalog.begin_run("cleanup", "", exclusive=False, now=NOW)
    action = catalog.mark_expiring(old, "too old", run=second, now=NOW + DAY)
    assert (action.state, action.run_id) == (CleanupState.MANIFEST_REMOVED, second.id)
    for _ in range(2):
        catalog.record_manifest_removed(old, NOW + DAY)
        catalog.record_objects_removed(old, [make_object("own 0").key], 0, NOW + DAY)
    catalog.record_expired(old, NOW + DAY)
    assert len(catalog.cleanup_actions(backup_id=old)) == 1


def test_objects_that_another_backup_names_are_never_forgotten(catalog: Catalog) -> None:
    history = _history(catalog, proven=3)
    old = history[0].backup_id
    catalog.mark_expiring(old, "too old", run=None, now=NOW)
    catalog.record_objects_removed(old, [SHARED.key, make_object("own 0").key], 200, NOW)
    catalog.record_expired(old, NOW)
    assert SHARED.key in {item.key for item in catalog.objects(history[1].backup_id)}


def test_expired_backup_stays_counted_on_its_day(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    before = catalog.backup_days(since=NOW.date())
    catalog.mark_expiring(old, "too old", run=None, now=NOW + 9 * DAY)
    catalog.record_expired(old, NOW + 9 * DAY)
    assert catalog.backup_days(since=NOW.date()) == before


def test_every_decision_is_in_the_audit_trail(catalog: Catalog) -> None:
    old = _history(catalog, proven=3)[0].backup_id
    catalog.place_hold(old, owner="legal", reason="case 12", now=NOW)
    catalog.release_hold(old, released_by="ada", reason="case closed", now=NOW)
    catalog.mark_expiring(old, "older than 7 d", run=None, now=NOW)
    catalog.record_expired(old, NOW)
    told = [(entry.actor, entry.action, entry.reason) for entry in catalog.audit_entries() if entry.object == old]
    assert told[1:] == [
        ("legal", "hold.place", "case 12"),
        ("ada", "hold.release", "case closed"),
        ("tester", "backup.expire", "older than 7 d"),
        ("tester", "backup.expired", "older than 7 d"),
    ]
    assert catalog.verify_audit_chain().is_intact
