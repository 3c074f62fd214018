"""Proofs and holds outlive the catalog: what is kept beside a backup, and what a catalog written anew knows of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.catalog.engine import open_catalog
from shared.domain.backup import BackupKind
from shared.domain.evidence import RestoreTestEvidence, RestoreTestResult
from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome, Severity
from shared.domain.source import KeepRule, Source
from shared.errors import ConfigInvalid, StoreRefused, UsageProblem
from shared.operations.audit import run_audit
from shared.operations.cleanup import CleanupResult, run_cleanup
from shared.operations.cleanup_plan import PROOFS_UNKNOWN
from shared.operations.evidence import keep_test
from shared.operations.holds import place_hold, release_hold
from shared.operations.progress import no_progress
from shared.operations.rebuild import DifferenceKind, RebuildResult, rebuild_catalog
from shared.operations.verify import run_verify
from shared.repository.evidence import evidence_keys, write_evidence
from shared.repository.layout import manifest_key
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.repository.store import ObjectStore
from tests.support.catalogs import make_test_result
from tests.support.faulty_store import MayOnlyRead, MemoryStore
from tests.support.repository_builder import NOW, BuiltRepository, build_repository

POLICY = {"app": Source(name="app", retention={BackupKind.DAILY: KeepRule(age=timedelta(days=7))})}


@pytest.fixture(params=["memory", "local"])
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BuiltRepository]:
    store: ObjectStore = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "repository")
    made = build_repository(tmp_path, store)
    yield made
    made.catalog.close()


@contextmanager
def lost_and_rebuilt(built: BuiltRepository) -> Iterator[BuiltRepository]:
    """The same repository with a catalog that was written anew from it."""
    with open_catalog(f"sqlite:///{built.folder / 'rebuilt.db'}", actor="tester") as catalog:
        again = replace(built, catalog=catalog)
        rebuild(again)
        yield again


def rebuild(built: BuiltRepository, *, dry_run: bool = False) -> RebuildResult:
    return rebuild_catalog(built.repository, built.catalog, now=lambda: NOW, on_progress=no_progress, dry_run=dry_run)


def clean_up(built: BuiltRepository) -> CleanupResult:
    return run_cleanup(built.repository, built.catalog, POLICY, now=lambda: NOW)


def hold(built: BuiltRepository, manifest: Manifest, *, owner: str = "Ada", reason: str = "case 7") -> None:
    place_hold(built.repository, built.catalog, manifest.backup_id, reason=reason, now=NOW, owner=owner)


def release(built: BuiltRepository, manifest: Manifest, *, after: timedelta = timedelta(hours=1)) -> None:
    release_hold(built.repository, built.catalog, manifest.backup_id, now=NOW + after, reason="closed", owner="Ada")


def passed(built: BuiltRepository, manifest: Manifest, **changes: object) -> RestoreTestEvidence:
    """A passed restore test that only the repository knows, as a crash before the catalog's record leaves it."""
    result = make_test_result(manifest.backup_id, Outcome.PASSED, at=NOW, id="20261121T060000Z-app-0a1b2c3d")
    evidence = RestoreTestEvidence(result=result, manifest_sha256=built.repository.digest_of(manifest))
    evidence = replace(evidence, **changes)  # type: ignore[arg-type]
    write_evidence(built.repository, evidence)
    return evidence


def only_key(built: BuiltRepository, manifest: Manifest) -> str:
    (key,) = evidence_keys(built.repository, "app", manifest.backup_id)[manifest.backup_id]
    return key


def test_a_rebuilt_catalog_lets_no_cleanup_expire_the_last_proven_or_a_held_backup(built: BuiltRepository) -> None:
    held, proven, old = built.back_up(40), built.back_up(30, is_proven=True), built.back_up(20)
    newest = built.back_up(9)
    hold(built, held)

    with lost_and_rebuilt(built) as again:
        result = clean_up(again)

    assert [item.backup_id for item in result.expired] == [old.backup_id]
    assert built.restorable_ids() == {held.backup_id, proven.backup_id, newest.backup_id}


def test_a_failed_test_takes_the_proof_away_in_a_rebuilt_catalog_as_well(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    built.test_restore(manifest.backup_id, Outcome.PASSED, at=NOW - timedelta(hours=2))
    built.test_restore(manifest.backup_id, Outcome.FAILED, at=NOW)

    with lost_and_rebuilt(built) as again:
        row = again.catalog.backup(manifest.backup_id)

    assert (row.proven_at, row.test_outcome) == (None, Outcome.FAILED)


def test_nothing_of_an_imported_source_expires_until_a_restore_test_passes(built: BuiltRepository) -> None:
    """A repository of before there was evidence: which of the backups was proven, nobody knows any more."""
    old, newest = built.back_up(20), built.back_up(9)

    with lost_and_rebuilt(built) as again:
        result = clean_up(again)
        assert result.expired == ()
        assert all(PROOFS_UNKNOWN in decision.reasons for decision in result.kept)
        assert [(item.severity, item.object, item.hint) for item in result.findings] == [
            (Severity.WARNING, "app", "Run `goldcopy restore-test app`.")
        ]

        again.test_restore(newest.backup_id, Outcome.PASSED)
        assert [item.backup_id for item in clean_up(again).expired] == [old.backup_id]


def test_a_source_whose_backups_were_all_made_here_is_not_in_doubt(built: BuiltRepository) -> None:
    old, _ = built.back_up(20), built.back_up(9)

    assert [item.backup_id for item in clean_up(built).expired] == [old.backup_id]


def test_a_living_catalog_gets_what_it_lacks_and_says_so(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    evidence = passed(built, manifest)

    dry = rebuild(built, dry_run=True)
    assert built.catalog.backup(manifest.backup_id).proven_at is None
    audited = run_audit(built.repository, built.catalog, now=lambda: NOW)
    result = rebuild(built)

    assert result == dry
    (difference,) = result.differences
    assert (difference.backup_id, difference.kind) == (manifest.backup_id, DifferenceKind.EVIDENCE)
    assert difference.message == (
        f"the catalog lacks what the repository keeps: restore test {evidence.result.id} (passed)"
    )
    assert [item.name for item in audited.drifted] == [manifest.backup_id]
    assert audited.orphans == ()
    assert built.catalog.backup(manifest.backup_id).proven_at == NOW
    assert rebuild(built).differences == ()


def test_a_test_whose_process_died_before_the_catalog_knew_is_taken_up(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    evidence = passed(built, manifest)
    lost = replace(evidence.result, outcome=Outcome.NOT_MEASURED)
    built.catalog.record_restore_test(lost, NOW)

    assert [item.kind for item in rebuild(built).differences] == [DifferenceKind.EVIDENCE]

    assert built.catalog.restore_tests("app")[0].outcome is Outcome.PASSED
    assert built.catalog.backup(manifest.backup_id).proven_at == NOW


def test_evidence_of_another_manifest_proves_nothing(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    passed(built, manifest, manifest_sha256="ab" * 32)

    result = rebuild(built)

    assert result.differences == ()
    (finding,) = result.unreadable
    assert (finding.severity, "proves nothing" in finding.message) == (Severity.WARNING, True)
    with lost_and_rebuilt(built) as again:
        assert again.catalog.backup(manifest.backup_id).proven_at is None
        assert again.catalog.restore_tests() == ()


def test_a_backup_whose_expiry_has_begun_gets_no_evidence(built: BuiltRepository) -> None:
    old, _ = built.back_up(20), built.back_up(1)
    built.catalog.mark_expiring(old.backup_id, "old", run=None, now=NOW)
    passed(built, old)

    assert rebuild(built).differences == ()


def test_a_release_is_not_undone_by_a_rebuild(built: BuiltRepository) -> None:
    manifest = built.back_up(20)
    hold(built, manifest)
    hold(built, manifest, owner="Bob")
    release(built, manifest)

    with lost_and_rebuilt(built) as again:
        assert [item.owner for item in again.catalog.holds_in_force()] == ["Bob"]
        assert [replace(item, id=0) for item in again.catalog.holds()] == [
            replace(item, id=0) for item in built.catalog.holds()
        ]


def test_a_release_ends_holds_that_only_the_lost_catalog_knew(built: BuiltRepository) -> None:
    """Someone places a hold again in a new catalog before it is rebuilt, and releases it: both holds end."""
    manifest = built.back_up(20)
    hold(built, manifest)
    with open_catalog(f"sqlite:///{built.folder / 'new.db'}") as catalog:
        new = replace(built, catalog=catalog)
        catalog.import_manifest(manifest, built.repository.digest_of(manifest), NOW, reason="by hand")
        place_hold(new.repository, catalog, manifest.backup_id, reason="again", now=NOW + timedelta(1), owner="Ada")
        assert rebuild(new).differences == ()  # she holds it already
        release(new, manifest, after=timedelta(days=2))
        rebuild(new)
        assert catalog.holds_in_force() == ()
    with lost_and_rebuilt(built) as again:
        assert again.catalog.holds_in_force() == ()
        assert len(again.catalog.holds()) == 2


def test_a_hold_that_cannot_be_kept_fails_loudly_and_is_placed_by_saying_it_again(built: BuiltRepository) -> None:
    manifest = built.back_up(20)
    refused = built.over(MayOnlyRead(built.store))

    with pytest.raises(StoreRefused, match=r"is in the catalog but not in the repository.* may only be read"):
        hold(refused, manifest)
    assert built.catalog.backup(manifest.backup_id).held  # the safe side
    assert evidence_keys(built.repository, "app") == {}

    place_hold(built.repository, built.catalog, manifest.backup_id, reason="x", now=NOW + timedelta(1), owner="Ada")
    with lost_and_rebuilt(built) as again:
        (kept,) = again.catalog.holds_in_force()
    assert (kept.owner, kept.reason, kept.placed_at) == ("Ada", "case 7", NOW)


def test_a_release_that_cannot_be_kept_leaves_the_hold_in_force(built: BuiltRepository) -> None:
    manifest = built.back_up(20)
    hold(built, manifest)

    with pytest.raises(StoreRefused):
        release(built.over(MayOnlyRead(built.store)), manifest)
    assert built.catalog.backup(manifest.backup_id).held


def test_a_release_that_died_before_the_catalog_knew_is_taken_up(
    built: BuiltRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = built.back_up(20)
    hold(built, manifest)
    with monkeypatch.context() as patched:
        patched.setattr(built.catalog, "release_hold", _die)
        with pytest.raises(KeyboardInterrupt):
            release(built, manifest)
    assert built.catalog.backup(manifest.backup_id).held

    (difference,) = rebuild(built).differences

    assert difference.message == "the catalog lacks what the repository keeps: release of Ada"
    assert not built.catalog.backup(manifest.backup_id).held
    assert rebuild(built).differences == ()


def test_what_the_catalog_refuses_is_not_written(built: BuiltRepository) -> None:
    manifest = built.back_up(20)
    hold(built, manifest)
    hold(built, manifest, owner="Bob")
    before = built.contents()

    for wrong in ({}, {"owner": "Eve"}):
        with pytest.raises(UsageProblem):
            release_hold(built.repository, built.catalog, manifest.backup_id, now=NOW, **wrong)
    with pytest.raises(ConfigInvalid):
        place_hold(Repository.open(built.store), built.catalog, manifest.backup_id, reason="x", now=NOW, owner="Eve")

    assert built.contents() == before
    assert len(built.catalog.holds_in_force()) == 2


def test_a_repository_that_may_only_be_read_costs_a_warning_and_not_the_test(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    result = make_test_result(manifest.backup_id, Outcome.PASSED, at=NOW)
    digest = built.repository.digest_of(manifest)

    kept = keep_test(built.over(MayOnlyRead(built.store)).repository, result, digest)

    (finding,) = kept.findings
    assert (finding.check, finding.severity, kept.outcome) == ("evidence", Severity.WARNING, Outcome.PASSED)
    assert "kept in the catalog only" in finding.message
    assert keep_test(built.repository, result, digest) == result
    assert keep_test(built.repository, result, digest) == result  # the same again is no conflict


@pytest.mark.parametrize(
    "result_of",
    [
        lambda result: (replace(result, outcome=Outcome.NOT_MEASURED), "ab" * 32),
        lambda result: (replace(result, outcome=Outcome.FAILED), ""),
    ],
    ids=["nothing measured", "manifest unreadable"],
)
def test_what_says_nothing_about_a_manifest_is_no_evidence(
    built: BuiltRepository, result_of: Callable[[RestoreTestResult], tuple[RestoreTestResult, str]]
) -> None:
    manifest = built.back_up(1)
    result, digest = result_of(make_test_result(manifest.backup_id, Outcome.PASSED, at=NOW))

    assert keep_test(built.repository, result, digest) == result
    assert evidence_keys(built.repository, "app") == {}


@pytest.mark.parametrize("damage", ["flipped", "cut", "moved", "forged"])
def test_damaged_evidence_is_found_and_believed_by_nobody(built: BuiltRepository, damage: str) -> None:
    manifest, other = built.back_up(2), built.back_up(1)
    hold(built, manifest)
    key = only_key(built, manifest)
    data = built.store.get(key)
    if damage == "moved":
        built.store.delete(key)
        key = key.replace(manifest.backup_id, other.backup_id)
        built.store.put(key, data)
    elif damage == "forged":
        built.store.put(key, data.replace(b"case 7", b"case 8"), replace=True)
    else:
        built.store.put(key, data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:], replace=True)

    verified = run_verify(built.repository, built.catalog, None, now=lambda: NOW)
    audited = run_audit(built.repository, built.catalog, now=lambda: NOW)

    assert [(item.check, item.object, item.severity) for item in verified.findings] == [
        ("evidence", key, Severity.ERROR)
    ]
    assert verified.evidence_checked == 1
    assert (verified.outcome, [item.name for item in audited.drifted]) == (Outcome.FAILED, [key])
    with lost_and_rebuilt(built) as again:
        assert again.catalog.holds() == ()


def test_whole_evidence_is_counted_and_fits(built: BuiltRepository) -> None:
    manifest, _ = built.back_up(2, is_proven=True), built.back_up(1)
    hold(built, manifest)
    release(built, manifest)

    verified = run_verify(built.repository, built.catalog, None, now=lambda: NOW)
    audited = run_audit(built.repository, built.catalog, now=lambda: NOW)

    assert (verified.outcome, verified.evidence_checked, verified.findings) == (Outcome.PASSED, 3, ())
    assert verified.document()["evidence_checked"] == 3
    assert (audited.orphans, audited.missing, audited.drifted) == ((), (), ())


def test_evidence_without_its_manifest_is_an_orphan_that_a_cleanup_removes(built: BuiltRepository) -> None:
    gone, _ = built.back_up(2), built.back_up(1)
    hold(built, gone)
    key = only_key(built, gone)
    built.store.delete(manifest_key("app", gone.backup_id))
    rebuild(built)

    audited = run_audit(built.repository, built.catalog, now=lambda: NOW)
    assert key in [item.name for item in audited.orphans]
    later = built.store.stat(key)
    assert later is not None
    run_cleanup(built.repository, built.catalog, POLICY, now=lambda: later.modified_at + timedelta(hours=23))
    assert built.store.stat(key) is not None
    run_cleanup(built.repository, built.catalog, POLICY, now=lambda: later.modified_at + timedelta(hours=25))
    assert built.store.stat(key) is None


def test_what_an_expiring_backup_leaves_is_counted_as_freed(built: BuiltRepository) -> None:
    old, _ = built.back_up(20), built.back_up(1, is_proven=True)
    hold(built, old)
    release(built, old)
    before = built.stored_bytes()

    result = clean_up(built)

    assert [item.backup_id for item in result.expired] == [old.backup_id]
    assert before - built.stored_bytes() == result.freed_bytes
    assert old.backup_id not in evidence_keys(built.repository, "app")


def _die(*_arguments: object, **_more: object) -> None:
    raise KeyboardInterrupt
