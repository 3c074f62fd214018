"""The audit finds what is stored and not named, what is named and not stored, and what two sides say differently."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.catalog.connection import open_database
from shared.catalog.engine import open_catalog
from shared.domain.source import Source
from shared.errors import BackupUnknown, RetentionRefused, UsageProblem
from shared.operations.audit import AuditResult, run_audit
from shared.operations.cleanup import run_cleanup
from shared.operations.holds import place_hold, release_hold
from shared.repository.layout import files_key, manifest_key
from tests.support.repository_builder import NOW, BuiltRepository, build_repository

STRAY = f"sources/app/objects/ab/{'ab' * 32}.00000001"


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def audit(built: BuiltRepository) -> AuditResult:
    return run_audit(built.repository, built.catalog, now=lambda: NOW)


def names(result: AuditResult) -> tuple[list[str], list[str], list[str]]:
    return (
        [item.name for item in result.orphans],
        [item.name for item in result.missing],
        [item.name for item in result.drifted],
    )


def test_a_repository_and_its_catalog_fit_after_backups_tests_holds_and_cleanups(built: BuiltRepository) -> None:
    for day in (20, 10, 1):
        built.back_up(day, is_proven=day == 10)
    built.back_up(3, source="shop")
    run_cleanup(built.repository, built.catalog, {}, now=lambda: NOW)

    result = audit(built)

    assert names(result) == ([], [], [])
    assert result.audit_trail == "intact"
    assert result.audit_head == built.catalog.newest_audit_entries(1)[0].hash


def test_an_audit_changes_nothing(built: BuiltRepository) -> None:
    built.back_up(1)
    built.back_up(2, is_recorded=False)
    before, trail = built.contents(), built.catalog.audit_entries()

    audit(built)

    assert built.contents() == before
    assert built.catalog.audit_entries() == trail


def test_what_nobody_names_is_an_orphan_and_a_cleanup_removes_just_that(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    lone = files_key("app", manifest.backup_id.replace("-app-", "-app-ff"))
    built.store.put(STRAY, b"left by a dead backup")
    built.store.put(lone, b"left by a dead backup")
    built.store.put("sources/app/notes.txt", b"not ours")
    built.store.put("lost+found", b"not ours")

    assert sorted(names(audit(built))[0]) == sorted([STRAY, lone, "sources/app/notes.txt", "lost+found"])

    run_cleanup(built.repository, built.catalog, {}, now=lambda: NOW)
    run_cleanup(built.repository, built.catalog, {"app": Source(name="app")}, now=lambda: NOW)
    assert sorted(names(audit(built))[0]) == ["lost+found", "sources/app/notes.txt"]


def test_a_young_orphan_is_told_apart(built: BuiltRepository) -> None:
    built.back_up(1)
    written_at = built.store.put(STRAY, b"half a backup").modified_at

    young = run_audit(built.repository, built.catalog, now=lambda: written_at + timedelta(hours=1))
    assert "backup in the making" in young.orphans[0].message


def test_what_is_named_and_not_stored_is_missing_with_its_backups(built: BuiltRepository) -> None:
    manifests = [built.back_up(day, tables={"customers": b"1\tAda\n"}) for day in (2, 1)]
    (shared,) = {item.key for item in manifests[0].objects if not item.bundle}
    built.store.delete(shared)
    built.store.delete(files_key("app", manifests[0].backup_id))
    built.store.delete(manifest_key("app", manifests[1].backup_id))
    built.store.delete("recover.sh")

    result = audit(built)

    assert sorted(names(result)[1]) == sorted(
        [
            shared,
            files_key("app", manifests[0].backup_id),
            manifest_key("app", manifests[1].backup_id),
            "recover.sh",
        ]
    )
    by_name = {item.name: item.backup_ids for item in result.missing}
    assert by_name[shared] == (manifests[0].backup_id,)


def test_a_repository_that_lost_everything_is_told_backup_by_backup(built: BuiltRepository) -> None:
    manifests = [built.back_up(day) for day in (2, 1)]
    for manifest in manifests:
        built.store.delete(manifest_key("app", manifest.backup_id))

    missing = names(audit(built))[1]

    assert sorted(missing) == sorted(manifest_key("app", manifest.backup_id) for manifest in manifests)


def test_backups_that_the_catalog_does_not_know_have_drifted(built: BuiltRepository) -> None:
    built.back_up(2)
    unknown = built.back_up(1, is_recorded=False)

    assert names(audit(built))[2] == [unknown.backup_id]


def test_an_empty_catalog_is_no_agreement(built: BuiltRepository, tmp_path: Path) -> None:
    manifest = built.back_up(1)
    with open_catalog(f"sqlite:///{tmp_path / 'new.db'}") as empty:
        result = audit(replace(built, catalog=empty))

    assert names(result)[2] == [manifest.backup_id]


def test_rows_that_were_changed_in_the_catalog_have_drifted(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    database = open_database(f"sqlite:///{built.folder / 'catalog.db'}")
    with database.writing() as connection:
        connection.execute(text("update backup set row_count = row_count + 1"))
    database.close()

    result = audit(built)

    assert names(result)[2] == [manifest.backup_id]
    assert "row_count" in result.drifted[0].message


def test_an_object_of_another_size_and_an_unreadable_manifest_have_drifted(built: BuiltRepository) -> None:
    first, second = built.back_up(2, tables={"orders": b"a\n"}), built.back_up(1, tables={"orders": b"b\n"})
    cut = next(item.key for item in first.objects if not item.bundle)
    built.store.put(cut, built.store.get(cut)[:-1], replace=True)
    broken = manifest_key("app", second.backup_id)
    built.store.put(broken, b"{}", replace=True)

    result = audit(built)

    assert {cut, broken} <= set(names(result)[2])
    assert all("cannot be read" in item.message for item in result.orphans)


def test_a_changed_audit_trail_shows(built: BuiltRepository) -> None:
    built.back_up(1)
    database = open_database(f"sqlite:///{built.folder / 'catalog.db'}")
    with database.writing() as connection:
        for trigger in (
            connection.execute(text("select name from sqlite_master where type = 'trigger'")).scalars().all()
        ):
            connection.execute(text(f'drop trigger "{trigger}"'))
        connection.execute(text("update audit_entry set actor = 'nobody' where seq = 1"))
    database.close()

    assert audit(built).audit_trail != "intact"


def test_the_document_has_what_the_command_promises(built: BuiltRepository) -> None:
    built.back_up(1, is_recorded=False)

    document = audit(built).document()

    assert {"orphans", "missing", "drifted", "audit_trail"} <= document.keys()


def test_a_hold_needs_a_reason_and_takes_a_shortened_id(built: BuiltRepository) -> None:
    manifest = built.back_up(1)

    with pytest.raises(UsageProblem, match="needs a reason"):
        place_hold(built.repository, built.catalog, manifest.backup_id, reason="  ", now=NOW)
    held = place_hold(built.repository, built.catalog, manifest.backup_id[:14], reason=" legal case 7 ", now=NOW)

    assert (held.backup_id, held.reason, held.owner) == (manifest.backup_id, "legal case 7", "tester")
    entry = built.catalog.newest_audit_entries(1)[0]
    assert (entry.actor, entry.action, entry.object, entry.reason) == (
        "tester",
        "hold.place",
        manifest.backup_id,
        "legal case 7",
    )


def test_a_released_hold_is_told_in_the_audit_trail_and_frees_the_backup(built: BuiltRepository) -> None:
    old = built.back_up(10)
    built.back_up(1)
    policy = {"app": Source(name="app")}
    place_hold(built.repository, built.catalog, old.backup_id, reason="case", now=NOW, owner="Ada")
    assert run_cleanup(built.repository, built.catalog, policy, now=lambda: NOW).expired == ()

    release_hold(built.repository, built.catalog, old.backup_id, reason="closed", now=NOW, actor="Bob")

    entry = built.catalog.newest_audit_entries(1)[0]
    assert (entry.actor, entry.action, entry.reason) == ("Bob", "hold.release", "closed")
    assert len(run_cleanup(built.repository, built.catalog, policy, now=lambda: NOW).expired) == 1


def test_what_is_gone_or_unknown_cannot_be_held(built: BuiltRepository) -> None:
    old = built.back_up(10)
    built.back_up(1)
    run_cleanup(built.repository, built.catalog, {"app": Source(name="app")}, now=lambda: NOW)

    with pytest.raises(RetentionRefused):
        place_hold(built.repository, built.catalog, old.backup_id, reason="too late", now=NOW)
    with pytest.raises(BackupUnknown):
        place_hold(built.repository, built.catalog, "20200101T", reason="never was", now=NOW)
    with pytest.raises(UsageProblem, match="not held"):
        release_hold(built.repository, built.catalog, old.backup_id, now=NOW)
