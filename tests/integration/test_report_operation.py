"""A report from a real catalog: facts of the period only, the same bytes again, written and recorded."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind
from shared.domain.compliance import ComplianceReport
from shared.domain.compliance_facts import RepositoryFact
from shared.domain.control import Status
from shared.domain.period import parse_period
from shared.domain.person import Role
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.domain.source import Source
from shared.domain.watch_texts import Words
from shared.errors import SourceUnreachable, StoreProblem, UsageProblem
from shared.operations.report import ReportRequest, ReportResult, make_report, read_facts, save_report
from shared.operations.watch_events import REPORT_MADE, EventReader
from tests.support.catalogs import complete, make_id, make_manifest, prove

OCTOBER = parse_period("2026-10")
LATER = datetime(2026, 11, 20, 9, tzinfo=UTC)
REPOSITORY = RepositoryFact(place="s3://acme/goldcopy", is_elsewhere=True, recipients=2)


def request(source: str | None = None, policies: dict[str, Source] | None = None) -> ReportRequest:
    return ReportRequest(
        period=OCTOBER, policies=policies or {"app": Source(name="app")}, source=source, repository=REPOSITORY
    )


def october(day: int, hour: int = 2) -> datetime:
    return datetime(2026, 10, day, hour, tzinfo=UTC)


@pytest.fixture
def month(catalog: Catalog) -> Catalog:
    """A month of `app`: a backup missing on the 5th, a failed one on the 6th, the monthly test passed with a gap."""
    for age in range(39, -1, -1):
        begun = OCTOBER.ends_at - timedelta(days=age, hours=22)
        if begun.date() == october(5).date():
            continue
        if begun.date() == october(6).date():
            backup_id = make_id(begun)
            catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=begun)
            catalog.backup_failed(
                backup_id, SourceUnreachable("app could not be reached", hint="Start it."), begun + timedelta(minutes=1)
            )
        else:
            complete(catalog, make_manifest(at=begun))
    prove(
        catalog,
        make_id(october(30)),
        Outcome.PASSED,
        october(30, 5),
        started_at=october(30, 4),
        findings=(Finding(check="c", severity=Severity.WARNING, object="public.orders", message="is unlogged"),),
        not_measured=(NotMeasured(check="x", object="pg_cron", reason="is not here"),),
    )
    return catalog


def answers(report: ComplianceReport) -> dict[str, Status]:
    return {item.control.id: item.status for item in report.controls}


def digests(made: ReportResult) -> dict[str, str]:
    return {item.name: item.sha256 for item in made.files}


def test_a_month_is_judged_from_what_the_catalog_recorded(month: Catalog) -> None:
    report = make_report(month, request(), LATER).report

    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert dict(frequency.evidence) == {"backups expected": 31, "backups that came": 29, "failed attempts": 1}
    assert [item.sentence for item in frequency.deviations] == [
        (
            "2 backups due from 2026-10-05T02:00:00Z to 2026-10-06T02:00:00Z did not come; "
            "last error: app could not be reached. Start it."
        )
    ]
    assert answers(report)["restore-tested"] is Status.MET
    assert answers(report)["recovery-point"] is Status.NOT_MET
    assert answers(report)["audit-trail"] is Status.MET
    assert answers(report)["incidents"] is Status.NOT_MEASURED
    assert report.sources[0].completed == 29


def test_a_trail_in_which_an_entry_was_given_another_date_is_broken(month: Catalog) -> None:
    assert answers(make_report(month, request(), LATER).report)["audit-trail"] is Status.MET
    with month._database.writing() as connection:
        for trigger in _triggers(connection):
            connection.exec_driver_sql(trigger)
        connection.exec_driver_sql("UPDATE audit_entry SET at = '2031-01-01 00:00:00.000000' WHERE seq = 5")
    report = make_report(month, request(), LATER).report
    assert answers(report)["audit-trail"] is Status.NOT_MET
    assert (report.trail.entry_count, report.trail.problem) == (4, "entry 5 was changed after it was written")


def _triggers(connection: Connection) -> list[str]:
    """Statements that take away what keeps the trail from being changed; whoever owns the database can do this."""
    if connection.dialect.name == "postgresql":
        return ["ALTER TABLE audit_entry DISABLE TRIGGER ALL"]
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
    return [f"DROP TRIGGER {name}" for name in names]


def test_restore_tests_are_shown_as_expected_and_found(month: Catalog) -> None:
    (test,) = make_report(month, request(), LATER).report.tests

    assert (test.tables_proven, test.tables_expected, test.rows_proven, test.rows_expected) == (2, 2, 13, 13)
    assert test.findings == ("public.orders: is unlogged",)
    assert test.not_measured == 1
    assert test.manifest_sha256


def test_what_is_recorded_after_the_period_leaves_its_report_as_it_was(month: Catalog) -> None:
    old = complete(month, make_manifest(at=october(1) - timedelta(days=150)))
    before = digests(make_report(month, request(), LATER))

    prove(month, make_id(october(29)), Outcome.FAILED, LATER)
    complete(month, make_manifest(at=LATER))
    month.place_hold(make_id(october(28)), owner="ada", reason="legal case 7", now=LATER)
    month.mark_manifest_gone(make_id(october(20)), LATER)
    month.mark_expiring(make_id(october(15)), "daily, limit 7 d", run=None, now=LATER)
    month.mark_expiring(old.backup_id, "monthly, limit 100 d", run=None, now=LATER)

    assert digests(make_report(month, request(), LATER + timedelta(days=9))) == before


def test_a_backup_that_expired_counts_until_then_and_is_checked_against_its_rule(month: Catalog) -> None:
    for day, decided in ((10, october(18)), (11, october(13))):
        backup_id = make_id(october(day))
        month.mark_expiring(backup_id, "daily, limit 7 d", run=None, now=decided)
        month.record_manifest_removed(backup_id, decided)
        month.record_objects_removed(backup_id, [], 100, decided)
        month.record_expired(backup_id, decided)

    report = make_report(month, request(), LATER).report

    retention = next(item for item in report.controls if item.control.id == "retention")
    assert [(item.object, item.sentence) for item in retention.deviations] == [
        (make_id(october(11)), "expired 48 h old, 168 h are agreed for daily backups")
    ]
    assert dict(retention.evidence)["backups expired"] == 2
    assert answers(report)["frequency"] is Status.NOT_MET, "the two that never came, not those that expired"
    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert dict(frequency.evidence)["backups that came"] == 29


def test_a_backup_that_vanished_is_an_exception_of_the_month_in_which_it_was_noticed(month: Catalog) -> None:
    month.mark_manifest_gone(make_id(october(20)), october(25))

    report = make_report(month, request(), LATER).report

    removal = next(item for item in report.controls if item.control.id == "removal")
    assert [(item.object, item.at) for item in removal.deviations] == [(make_id(october(20)), october(25))]
    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert dict(frequency.evidence)["failed attempts"] == 1, "it was no failed attempt: it had been complete"


def test_only_deeds_of_people_are_listed(month: Catalog) -> None:
    month.place_hold(make_id(october(28)), owner="ada", reason="legal case 7", now=october(29))

    actions = make_report(month, request(), LATER).report.actions

    assert [(item.actor, item.action, item.reason) for item in actions] == [("ada", "hold.place", "legal case 7")]


def test_access_that_was_given_with_a_reason_or_without_is_told_apart(month: Catalog) -> None:
    month.add_api_key("ci", "ab" * 32, Role.OPERATOR, now=october(20), reason="nightly release")
    month.revoke_api_key("ci", now=october(21))

    report = make_report(month, request(), LATER).report

    actions = next(item for item in report.controls if item.control.id == "actions")
    assert [(item.action, item.reason) for item in report.actions] == [
        ("key.add", "nightly release"),
        ("key.revoke", ""),
    ]
    assert [item.sentence.partition(": ")[2] for item in actions.deviations] == ["ended a key, and gave no reason"]


def test_one_source_or_all_and_strangers_are_named(month: Catalog) -> None:
    complete(month, make_manifest(at=october(9), source="old"))
    both = {"app": Source(name="app"), "shop": Source(name="shop")}

    alone = make_report(month, request("app", both), LATER)
    everything = make_report(month, request(policies=both), LATER)

    assert alone.name == "goldcopy-report-2026-10-app"
    assert [item.name for item in alone.report.sources] == ["app"]
    assert [item.name for item in everything.report.sources] == ["app", "old", "shop"]
    assert any("not judged: old" in note for note in everything.report.notes)
    with pytest.raises(UsageProblem, match="no source 'nowhere'"):
        make_report(month, request("nowhere", both), LATER)


def test_a_period_that_has_not_begun_has_no_report(catalog: Catalog) -> None:
    with pytest.raises(UsageProblem, match="October 2026 has not begun"):
        make_report(catalog, request(), datetime(2026, 9, 1, tzinfo=UTC))


def test_an_empty_catalog_is_not_measured_rather_than_good(catalog: Catalog) -> None:
    report = make_report(catalog, request(), LATER).report

    assert set(answers(report).values()) == {Status.NOT_MEASURED}


def test_a_report_is_written_with_digests_that_fit_and_recorded(month: Catalog, tmp_path: Path) -> None:
    made = make_report(month, request(), LATER)
    for _ in range(2):  # again is the same
        saved = save_report(month, made, tmp_path, LATER)

    assert saved.folder == tmp_path / "goldcopy-report-2026-10"
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        check=False,
        cwd=saved.folder,
        capture_output=True,
        timeout=30,
    )
    assert checked.returncode == 0
    assert sorted(str(path.relative_to(saved.folder)) for path in saved.folder.rglob("*") if path.is_file()) == sorted(
        item.name for item in made.files
    )
    entry = month.newest_audit_entries(1)[0]
    assert (entry.action, entry.object) == (REPORT_MADE, "goldcopy-report-2026-10")
    assert entry.details["sha256"] == next(item.sha256 for item in made.files if item.name == "SHA256SUMS")
    assert digests(make_report(month, request(), LATER)) == digests(made)


def test_people_are_told_of_every_report_that_was_written(month: Catalog, tmp_path: Path) -> None:
    made = make_report(month, request(), LATER)
    before = month.newest_audit_seq()
    for _ in range(2):
        save_report(month, made, tmp_path, LATER)

    events, _ = EventReader(catalog=month, sources={}, words=Words(), now=LATER).read(before)

    assert [event.notice.title for event in events] == ["The backup report for October 2026 is ready"] * 2
    assert len({event.notice.key for event in events}) == 2
    assert made.report.finding in dict(events[0].notice.facts)["In short"]


def test_a_folder_that_cannot_be_written_is_named(month: Catalog, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StoreProblem, match="taken"):
        save_report(month, make_report(month, request(), LATER), tmp_path / "taken", LATER)


def test_facts_of_a_running_month_end_now(month: Catalog) -> None:
    facts = read_facts(month, request(), october(20, 12))

    assert facts.until == october(20, 12)
    assert max(item.started_at for item in facts.sources[0].attempts) == october(20)
