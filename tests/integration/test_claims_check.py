"""What the catalog claims without evidence, and evidence that was made without the key, is found and not believed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.catalog.connection import open_database
from shared.domain.evidence import RestoreTestEvidence, encode_evidence, evidence_name
from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome, Severity
from shared.operations.audit import AuditResult, run_audit
from shared.operations.holds import place_hold, release_hold
from shared.operations.verify import VerifyResult, run_verify
from shared.repository.evidence import evidence_keys, read_evidence
from shared.repository.layout import evidence_key, evidence_prefix
from shared.repository.repository import Repository
from tests.support.catalogs import make_test_result
from tests.support.repository_builder import NOW, BuiltRepository, build_repository


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def audit(built: BuiltRepository) -> AuditResult:
    return run_audit(built.repository, built.catalog, now=lambda: NOW)


def verify(built: BuiltRepository) -> VerifyResult:
    return run_verify(built.repository, built.catalog, None, now=lambda: NOW)


def forge(built: BuiltRepository, statement: str) -> None:
    """Write to the catalog past Goldcopy, as someone with its password can."""
    database = open_database(f"sqlite:///{built.folder / 'catalog.db'}")
    with database.writing() as connection:
        connection.execute(text(statement))
    database.close()


def delete_evidence(built: BuiltRepository, manifest: Manifest) -> None:
    for key in evidence_keys(built.repository, "app", manifest.backup_id)[manifest.backup_id]:
        built.store.delete(key)


def hold(built: BuiltRepository, manifest: Manifest) -> None:
    at = NOW - timedelta(days=1)
    place_hold(built.repository, built.catalog, manifest.backup_id, reason="case 7", now=at, owner="Ada")


def messages(result: AuditResult) -> tuple[list[str], list[str]]:
    return [item.message for item in result.missing], [item.message for item in result.drifted]


def test_whatever_is_backed_by_evidence_is_nothing_to_report(built: BuiltRepository) -> None:
    manifest, failed = built.back_up(9, is_proven=True), built.back_up(8)
    built.test_restore(failed.backup_id, Outcome.PASSED, at=NOW - timedelta(hours=4))
    built.test_restore(failed.backup_id, Outcome.FAILED, at=NOW - timedelta(hours=3))
    built.back_up(1)
    hold(built, manifest)
    hold(built, failed)
    release_hold(built.repository, built.catalog, failed.backup_id, now=NOW, reason="closed", owner="Ada")

    assert messages(audit(built)) == ([], [])
    assert verify(built).findings == ()


def test_a_proof_that_was_written_into_the_catalog_is_found(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    forge(built, "UPDATE backup SET proven_at = '2026-11-21 05:00:00.000000', test_outcome = 'passed'")

    missing, drifted = messages(audit(built))

    assert missing == []
    assert drifted == [
        "the catalog says that the backup is proven at 2026-11-21T05:00:00Z, and its restore tests do not say so"
    ]
    (finding,) = verify(built).findings
    assert (finding.severity, finding.object) == (Severity.ERROR, evidence_prefix("app", manifest.backup_id))


def test_a_restore_test_that_only_the_catalog_knows_is_found(built: BuiltRepository) -> None:
    """Forged with everything that belongs to it: its row, the backup's row, and what pages read."""
    manifest = built.back_up(1)
    built.catalog.record_restore_test(make_test_result(manifest.backup_id, Outcome.PASSED, at=NOW, id="forged"), NOW)

    result = audit(built)

    (item,) = result.missing
    assert item.name == evidence_prefix("app", manifest.backup_id)
    assert item.message.startswith("the catalog says that restore test forged passed at 2026-11-21T")
    assert item.message.endswith("and no evidence of it is stored")
    assert f"goldcopy restore-test {manifest.backup_id}" in item.hint
    assert item.document()["hint"] == item.hint


def test_deleted_evidence_is_found_by_audit_and_by_verify(built: BuiltRepository) -> None:
    proven, held = built.back_up(2, is_proven=True), built.back_up(1)
    hold(built, held)
    delete_evidence(built, proven)
    delete_evidence(built, held)

    result, verified = audit(built), verify(built)

    assert sorted(item.backup_ids for item in result.missing) == sorted([(proven.backup_id,), (held.backup_id,)])
    assert "Ada holds the backup, and no evidence of it is stored" in " ".join(messages(result)[0])
    assert sorted(item.object for item in verified.findings) == sorted(
        evidence_prefix("app", manifest.backup_id) for manifest in (proven, held)
    )
    assert {item.severity for item in verified.findings} == {Severity.WARNING}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE restore_test SET finished_at = '2026-11-21 05:59:00.000000'", "its evidence says that it passed at"),
        ("UPDATE backup SET proven_at = NULL, test_outcome = ''", "the backup is not proven"),
        ("UPDATE hold SET released_at = '2026-11-21 05:00:00.000000'", "and the evidence says that it is in force"),
        ("DELETE FROM hold", "the catalog lacks what the repository keeps: hold of Ada"),
        ("UPDATE restore_test SET outcome = 'failed'", "and its evidence says that it passed"),
        ("UPDATE source_status SET newest_proven_tested_at = '2026-11-21 05:59:00.000000'", "pages show"),
    ],
)
def test_whatever_else_is_changed_in_the_catalog_has_drifted(
    built: BuiltRepository, statement: str, words: str
) -> None:
    manifest = built.back_up(1, is_proven=True)
    hold(built, manifest)
    assert messages(audit(built)) == ([], [])
    forge(built, statement)

    drifted = messages(audit(built))[1]

    assert any(words in message for message in drifted), drifted


def test_evidence_that_was_made_without_the_key_is_found_and_proves_nothing(built: BuiltRepository) -> None:
    """Someone with write access to both places, but without the key, writes a proof into both."""
    manifest = built.back_up(1)
    result = make_test_result(manifest.backup_id, Outcome.PASSED, at=NOW, id="forged")
    evidence = RestoreTestEvidence(result=result, manifest_sha256=built.repository.digest_of(manifest))
    key = evidence_key("app", manifest.backup_id, evidence_name(evidence))
    built.store.put(key, encode_evidence(evidence, b"x" * 32))
    built.catalog.record_restore_test(result, NOW)

    audited, verified = audit(built), verify(built)

    assert [(item.name, "mac" in item.message) for item in audited.drifted] == [(key, True)]
    assert [(item.object, item.severity) for item in verified.findings] == [(key, Severity.ERROR)]


def test_evidence_moved_from_another_backup_proves_nothing(built: BuiltRepository) -> None:
    proven, other = built.back_up(2, is_proven=True), built.back_up(1)
    (key,) = evidence_keys(built.repository, "app", proven.backup_id)[proven.backup_id]
    (evidence,) = read_evidence(built.repository, [key]).evidence
    assert isinstance(evidence, RestoreTestEvidence)
    moved = replace(evidence, result=replace(evidence.result, backup_id=other.backup_id))
    built.store.put(key.replace(proven.backup_id, other.backup_id), built.store.get(key))
    built.catalog.record_restore_test(replace(moved.result, id="moved"), NOW)

    assert len(audit(built).drifted) == 1


def test_a_hold_that_is_just_being_placed_is_no_alarm(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    built.catalog.place_hold(manifest.backup_id, owner="Ada", reason="case 7", now=NOW - timedelta(seconds=10))

    assert messages(audit(built)) == ([], [])


def test_a_machine_without_the_key_does_not_pass_evidence(built: BuiltRepository) -> None:
    built.back_up(1, is_proven=True)
    keyless = Repository.open(built.store)

    result = run_verify(keyless, built.catalog, None, now=lambda: NOW)

    assert result.outcome is Outcome.NOT_MEASURED
    assert [(item.check, "fingerprint key" in item.reason) for item in result.not_measured] == [("evidence", True)]
