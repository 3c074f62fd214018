"""Cleanup on real repositories: what goes, what stays, and that a dry run tells the truth."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome, Severity
from shared.domain.signed_document import canonical_json
from shared.domain.source import KeepRule, Source
from shared.errors import RunConflict, StoreRefused, UsageProblem
from shared.operations.cleanup import CleanupResult, run_cleanup
from shared.repository.layout import manifest_key
from shared.repository.local import LocalStore
from shared.repository.store import ObjectStore
from tests.support.faulty_store import MemoryStore, WrappedStore
from tests.support.repository_builder import NOW, BuiltRepository, build_repository
from tests.support.s3_server import S3Place

POLICY = {"app": Source(name="app", retention={BackupKind.DAILY: KeepRule(age=timedelta(days=7))})}
STATIC = {"customers": b"1\tAda\n", "countries": b"1\tCH\n"}


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def clean_up(
    built: BuiltRepository, *, dry_run: bool = False, sources: dict[str, Source] | None = None, **options: object
) -> CleanupResult:
    return run_cleanup(
        built.repository,
        built.catalog,
        POLICY if sources is None else sources,
        now=lambda: NOW,
        dry_run=dry_run,
        **options,  # type: ignore[arg-type]
    )


def expired_ids(result: CleanupResult) -> list[str]:
    return [item.backup_id for item in result.expired]


def fill(built: BuiltRepository) -> None:
    """Two sources, shared objects, a hold, a proof, a failed test, an orphan, an unknown key."""
    held = built.back_up(40, tables=STATIC | {"orders": b"a\n"})
    built.back_up(30, tables=STATIC | {"orders": b"b\n"}, is_proven=True)
    built.back_up(20, tables=STATIC | {"orders": b"b\n"}, small={"toc.dat": b"other"})
    built.back_up(12, tables={"orders": b"c\n"})
    built.back_up(1, tables={"orders": b"e\n"})
    built.back_up(50, source="shop")
    built.back_up(60, source="gone")
    built.catalog.place_hold(held.backup_id, owner="Ada", reason="audit", now=NOW)
    built.store.put(f"sources/app/objects/ab/{'ab' * 32}.00000001", b"what a dead backup left")
    built.store.put("sources/app/objects/notes.txt", b"not ours")


@pytest.fixture(params=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        place: S3Place = request.getfixturevalue("s3_place")
        return place.store()
    return LocalStore(tmp_path / "repository") if request.param == "local" else MemoryStore()


def test_a_dry_run_says_exactly_what_the_real_run_does_and_touches_nothing(tmp_path: Path, store: ObjectStore) -> None:
    built = build_repository(tmp_path, store)
    fill(built)
    sources = POLICY | {"shop": Source(name="shop")}
    before, bytes_before = built.contents(), built.stored_bytes()
    trail, runs = built.catalog.audit_entries(), built.catalog.runs()

    dry = clean_up(built, dry_run=True, sources=sources)
    assert built.contents() == before
    assert built.catalog.audit_entries() == trail
    assert built.catalog.runs() == runs

    real = clean_up(built, sources=sources)
    assert replace(real, dry_run=True) == dry
    assert len(real.expired) == 2
    assert bytes_before - built.stored_bytes() == real.freed_bytes
    assert built.restorable_ids() == {decision.backup.id for decision in real.kept}
    built.catalog.close()


def test_a_second_cleanup_has_nothing_to_do(built: BuiltRepository) -> None:
    fill(built)
    first = clean_up(built)
    before = built.contents()

    second = clean_up(built)

    assert first.expired
    assert (second.expired, second.freed_bytes, second.orphans_removed) == ((), 0, 0)
    assert built.contents() == before


def test_the_catalog_tells_the_same_story(built: BuiltRepository) -> None:
    old = built.back_up(10, tables=STATIC | {"orders": b"a\n"})
    new = built.back_up(1, tables=STATIC | {"orders": b"b\n"})

    clean_up(built)

    row = built.catalog.backup(old.backup_id)
    assert row.status is BackupStatus.EXPIRED
    assert built.catalog.objects(old.backup_id) == ()
    assert {item.key for item in built.catalog.objects(new.backup_id)} == {item.key for item in new.objects}
    assert built.catalog.unfinished_cleanups() == ()
    (action,) = built.catalog.cleanup_actions(backup_id=old.backup_id)
    assert action.reason == "daily, 9 d 23 h old, limit 7 d"
    assert action.freed_bytes > 0
    actions = [entry.action for entry in built.catalog.audit_entries() if entry.object == old.backup_id]
    assert actions[-2:] == ["backup.expire", "backup.expired"]
    assert built.catalog.verify_audit_chain().is_intact


def test_kept_and_expired_carry_their_reasons_into_the_document(built: BuiltRepository) -> None:
    built.back_up(10)
    built.back_up(1)

    document = clean_up(built, dry_run=True).document()

    assert [item["reason"] for item in document["kept"]] == [
        "newest complete backup; the newest daily; daily, 23 h 59 min old, kept for 7 d"
    ]
    assert [item["reason"] for item in document["expired"]] == ["daily, 9 d 23 h old, limit 7 d"]
    assert document["dry_run"] is True


def test_a_failing_source_keeps_its_proven_backups(built: BuiltRepository) -> None:
    old = [built.back_up(days, is_proven=True).backup_id for days in (40, 30, 20)]
    built.fail(1)

    assert expired_ids(clean_up(built)) == []

    built.back_up(0.5)
    assert expired_ids(clean_up(built)) == old[:2]


def test_a_failed_restore_test_of_a_newer_backup_keeps_the_proven_ones(built: BuiltRepository) -> None:
    old = [built.back_up(days, is_proven=True).backup_id for days in (40, 30)]
    newer = built.back_up(1)
    built.test_restore(newer.backup_id, Outcome.FAILED)

    assert expired_ids(clean_up(built)) == []

    built.test_restore(newer.backup_id, Outcome.PASSED, at=NOW)
    assert expired_ids(clean_up(built)) == old


def test_damage_of_the_newest_proven_backup_keeps_the_one_before(built: BuiltRepository) -> None:
    older = built.back_up(40, is_proven=True)
    newer = built.back_up(30, is_proven=True)
    built.back_up(1)
    built.catalog.mark_object_damaged(newer.objects[0].key, "flipped", NOW)

    assert older.backup_id not in expired_ids(clean_up(built))


def break_manifest(built: BuiltRepository, backup_id: str, how: str) -> None:
    key = manifest_key("app", backup_id)
    data = built.store.get(key)
    changed = {
        "flipped bit": data[:100] + bytes([data[100] ^ 1]) + data[101:],
        "cut": data[:-10],
        "empty": b"",
        "newer format": canonical_json({"format": 2, "whatever": "it names"}),
    }
    if how == "missing":
        built.store.delete(key)
    else:
        built.store.put(key, changed[how], replace=True)


@pytest.mark.parametrize("how", ["flipped bit", "cut", "empty", "newer format", "missing"])
def test_nothing_is_removed_that_an_unreadable_manifest_might_name(built: BuiltRepository, how: str) -> None:
    fill(built)
    other = {"shop": Source(name="shop"), **POLICY}
    broken = built.back_up(25, tables={"orders": b"only here\n"})
    break_manifest(built, broken.backup_id, how)
    objects = {key for key in built.contents() if "/app/" in key}

    result = clean_up(built, sources=other)

    assert expired_ids(result) == []
    assert {key for key in built.contents() if "/app/" in key} == objects
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    assert [finding.object for finding in errors] == [manifest_key("app", broken.backup_id)]
    assert errors[0].hint


def test_a_manifest_that_was_replaced_by_another_valid_one_stops_the_removal(built: BuiltRepository) -> None:
    replaced = built.back_up(10, tables={"orders": b"real\n"})
    built.back_up(1)
    key = manifest_key("app", replaced.backup_id)
    built.store.delete(key)
    forged = replace(replaced, objects=(), files=(), tables=(), files_tsv_sha256="")
    built.store.delete(key.replace("manifest.json", "files.tsv"))
    built.repository.commit_manifest(forged)
    before = built.contents()

    result = clean_up(built)

    assert built.contents() == before
    assert [finding.severity for finding in result.findings] == [Severity.ERROR]
    assert "digest differs" in result.findings[0].message


def test_a_listing_that_leaves_a_manifest_out_costs_nothing(built: BuiltRepository) -> None:
    kept = built.back_up(1, tables={"orders": b"a\n"})
    built.back_up(0.5, tables={"orders": b"b\n"})
    before = built.contents()

    class ForgetfulStore(WrappedStore):
        """Lists everything but one manifest."""

        def list(self, prefix: str) -> Iterator:
            return (item for item in super().list(prefix) if item.key != manifest_key("app", kept.backup_id))

    result = clean_up(built.over(ForgetfulStore(built.store)))

    assert result.orphans_removed == 0
    assert built.contents() == before


def test_a_backup_that_the_catalog_does_not_know_stays(built: BuiltRepository) -> None:
    unknown = built.back_up(30, is_recorded=False)
    built.back_up(1)

    result = clean_up(built)

    assert expired_ids(result) == []
    assert [finding.object for finding in result.findings] == [unknown.backup_id]


def test_a_crash_between_manifest_and_catalog_keeps_the_backup(built: BuiltRepository) -> None:
    built.back_up(9)
    lost = built.back_up(30, is_recorded=False)
    built.catalog.backup_started(
        backup_id=lost.backup_id, source="app", kind=BackupKind.DAILY, reason="", now=lost.started_at
    )
    built.catalog.backup_failed(lost.backup_id, KeyboardInterrupt(), NOW)

    result = clean_up(built)

    assert expired_ids(result) == []
    assert "its manifest is stored" in result.findings[0].message


def test_with_an_empty_catalog_nothing_expires(built: BuiltRepository) -> None:
    for days in (1, 10, 20):
        built.back_up(days, is_recorded=False)

    assert expired_ids(clean_up(built)) == []


def test_orphans_of_a_backup_in_the_making_elsewhere_stay_for_a_day(tmp_path: Path) -> None:
    built = build_repository(tmp_path, LocalStore(tmp_path / "repository"))
    built.back_up(1)
    stray = f"sources/app/objects/ab/{'ab' * 32}.00000001"
    written_at = built.store.put(stray, b"half a backup").modified_at

    def orphans_removed(after: timedelta) -> int:
        return run_cleanup(built.repository, built.catalog, POLICY, now=lambda: written_at + after).orphans_removed

    assert orphans_removed(timedelta(hours=23, minutes=59)) == 0
    assert orphans_removed(timedelta(hours=24)) == 1
    assert built.store.stat(stray) is None
    built.catalog.close()


def test_cut_writes_older_than_a_day_are_discarded(built: BuiltRepository) -> None:
    asked = []

    class AskedStore(WrappedStore):
        """Notes from when on cut writes are discarded."""

        def discard_unfinished(self, *, before: object) -> int:
            asked.append(before)
            return 1

    clean_up(built.over(AskedStore(built.store)))

    assert asked == [NOW - timedelta(hours=24)]


def test_a_source_in_use_is_passed_over_and_the_others_are_cleaned_up(built: BuiltRepository) -> None:
    for source in ("app", "shop"):
        for days in (10, 1):
            built.back_up(days, source=source)
    sources = POLICY | {"shop": Source(name="shop")}

    with built.catalog.claimed_run("backup", "app", exclusive=True, now=lambda: NOW):
        result = clean_up(built, sources=sources)
        with pytest.raises(RunConflict, match="a backup"):
            clean_up(built, sources=sources, only=["app"])

    assert {item.source for item in result.expired} == {"shop"}
    assert [(finding.object, finding.severity) for finding in result.findings] == [("app", Severity.WARNING)]
    assert expired_ids(clean_up(built, sources=sources)) != []


def test_a_source_that_nobody_knows_is_refused(built: BuiltRepository) -> None:
    built.back_up(1)

    with pytest.raises(UsageProblem, match="no source 'ap'"):
        clean_up(built, only=["ap"])


def test_a_cleanup_that_was_taken_for_dead_stops_before_it_removes_anything(
    built: BuiltRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.back_up(10)
    built.back_up(1)
    before = built.contents()
    monkeypatch.setattr(built.catalog, "heartbeat", lambda *_: False)

    with pytest.raises(RunConflict, match="taken for dead"):
        clean_up(built)

    assert built.contents() == before


def test_a_store_that_refuses_to_delete_ends_the_run_and_the_next_one_finishes(built: BuiltRepository) -> None:
    old = built.back_up(10)
    built.back_up(1)

    class Locked(WrappedStore):
        """Refuses to delete objects."""

        def delete(self, key: str) -> None:
            if "/objects/" in key:
                raise StoreRefused(f"{key} may not be deleted", hint="Give the login the right to delete.")
            super().delete(key)

    with pytest.raises(StoreRefused):
        clean_up(built.over(Locked(built.store)))
    assert built.catalog.backup(old.backup_id).status is BackupStatus.EXPIRING

    assert expired_ids(clean_up(built)) == [old.backup_id]
    assert built.catalog.backup(old.backup_id).status is BackupStatus.EXPIRED


def test_a_backup_that_is_being_restored_stays(built: BuiltRepository) -> None:
    old = built.back_up(10)
    built.back_up(1)

    with built.catalog.claimed_run("restore", "app", exclusive=False, now=lambda: NOW, backup_id=old.backup_id):
        assert expired_ids(clean_up(built)) == []
    assert expired_ids(clean_up(built)) == [old.backup_id]


def test_bundles_and_shared_objects_survive_with_the_backups_that_name_them(built: BuiltRepository) -> None:
    """Sixty days of backups, most tables unchanged: after every cleanup everything that is kept still restores."""
    for day in range(60, 0, -1):
        built.back_up(
            day,
            tables=STATIC | {"orders": f"{day // 3}\n".encode(), "log": f"{day}\n".encode()},
            small={"toc.dat": b"same", "roles.sql": f"{day // 5}".encode()},
            is_proven=day == 45,
        )

    result = clean_up(built)

    kept = {decision.backup.id for decision in result.kept}
    assert built.restorable_ids() == kept
    assert len(result.expired) == 60 - len(kept)
    named = {item.key for manifest in built.repository.read_all().manifests for item in manifest.objects}
    assert {key for key in built.contents() if "/objects/" in key} == named
    digests = {item.key: item.sha256 for m in built.repository.read_all().manifests for item in m.objects}
    assert all(hashlib.sha256(built.store.get(key)).hexdigest() == digest for key, digest in digests.items())
