"""What pages read, on SQLite and Postgres: bounded, complete, and told the same everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from monitor_app.components.source_view import segments_of
from monitor_app.queries import source_history
from monitor_app.queries.findings import FindingKind, FindingState, load_findings
from monitor_app.queries.fleet import load_day_counts, load_fleet
from monitor_app.queries.freshness import is_generated
from monitor_app.queries.recovery import EVIDENCE_LIMIT, load_evidence
from monitor_app.queries.requests import load_choices, load_requests
from monitor_app.queries.source_history import load_source_history
from shared.catalog.connection import Database, open_database
from shared.catalog.engine import Catalog
from shared.catalog.restore_requests import RequestState
from shared.demo.generated_history import HistoryShape, fill_catalog
from shared.domain.backup import BackupKind
from shared.domain.exposure import find_breaches
from shared.domain.health import Colour
from shared.domain.heartbeat import DayCount
from shared.domain.proof import Outcome, Severity
from shared.domain.source import Source
from shared.errors import SourceUnreachable, UsageProblem
from tests.support.app_findings import find_something_odd, request_of
from tests.support.catalogs import NOW, complete, make_id, make_manifest, make_table, prove

DAY = timedelta(days=1)
# A manifest of these tests has its snapshot a second after its start.
SNAPSHOT = timedelta(seconds=1)


@pytest.fixture
def opened(catalog_url: str) -> Iterator[Database]:
    database = open_database(catalog_url, read_only=True)
    yield database
    database.close()


def back_up(catalog: Catalog, at: datetime, source: str = "app", *, rows: int = 10) -> str:
    manifest = make_manifest(
        at=at, source=source, suffix=f"{at.day:02}{at.hour:02}", tables=(make_table("orders", rows=rows),)
    )
    return complete(catalog, manifest).backup_id


def fail(catalog: Catalog, at: datetime, source: str = "app") -> None:
    backup_id = make_id(at, source, "dead")
    catalog.backup_started(backup_id=backup_id, source=source, kind=BackupKind.DAILY, reason="", now=at)
    catalog.backup_failed(backup_id, SourceUnreachable("no answer", hint="Is it running?"), at + timedelta(minutes=1))


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_history_of_a_source_holds_its_attempts_tests_tables_and_what_they_mean(
    catalog: Catalog, opened: Database
) -> None:
    ids = [back_up(catalog, NOW - age * DAY, rows=100 - age) for age in (5, 4, 3, 1)]
    fail(catalog, NOW - 2 * DAY)
    prove(catalog, ids[1], Outcome.PASSED, NOW - 3 * DAY, source="app")
    history = load_source_history(opened, "app", NOW - 10 * DAY)
    assert [item.is_complete for item in history.attempts] == [True, True, True, False, True]
    assert [item.is_proven for item in history.attempts] == [False, True, False, False, False]
    assert [test.outcome for test in history.tests] == [Outcome.PASSED]
    assert [test.backup_id for test in history.evidence] == [ids[1]]
    assert [(item.name, item.rows, item.rows_before) for item in history.growth] == [("public.orders", 99, 95)]
    breaches = find_breaches(segments_of(history, proven=False, now=NOW), timedelta(hours=26))
    assert len(breaches) == 1
    proven = segments_of(history, proven=True, now=NOW)
    assert proven[0].recovery_point_at is None
    assert proven[-1].recovery_point_at == NOW - 4 * DAY + SNAPSHOT


def test_history_knows_what_could_be_restored_when_the_window_began(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - 20 * DAY)
    segments = segments_of(load_source_history(opened, "app", NOW - 10 * DAY), proven=False, now=NOW)
    assert [(item.begins_at, item.recovery_point_at) for item in segments] == [
        (NOW - 10 * DAY, NOW - 20 * DAY + SNAPSHOT)
    ]


def test_of_too_many_attempts_only_the_newest_are_read_and_the_window_says_so(
    catalog: Catalog, opened: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in range(9, 0, -1):
        back_up(catalog, NOW - age * DAY)
    monkeypatch.setattr(source_history, "ATTEMPT_LIMIT", 4)
    history = load_source_history(opened, "app", NOW - 30 * DAY)
    assert len(history.attempts) == 4
    assert history.begins_at == NOW - 4 * DAY


def test_source_without_anything_has_an_empty_history(catalog: Catalog, opened: Database) -> None:
    catalog.register_source("app", "postgres", NOW)
    history = load_source_history(opened, "app", NOW - 10 * DAY)
    assert (history.attempts, history.tests, history.evidence, history.growth) == ((), (), (), ())
    assert segments_of(history, proven=False, now=NOW) == ()


def test_fleet_is_judged_as_the_command_line_judges(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - timedelta(hours=1))
    fleet = load_fleet(opened, {"app": Source(name="app"), "new": Source(name="new")}, NOW)
    assert [(item.source.name, item.standing.rpo_met) for item in fleet.status.sources] == [
        ("app", True),
        ("new", False),
    ]
    assert fleet.incidents == {}
    counts = load_day_counts(opened, ["app", "new"], (NOW - DAY).date())
    assert counts == {"app": {NOW.date(): DayCount(ok=1)}, "new": {}}


def test_failed_test_is_open_until_a_later_one_passes(catalog: Catalog, opened: Database) -> None:
    first, second = back_up(catalog, NOW - 3 * DAY), back_up(catalog, NOW - 2 * DAY)
    prove(catalog, first, Outcome.FAILED, NOW - 2 * DAY, source="app")
    found = load_findings(opened, NOW)
    assert [(item.kind, item.state, item.colour) for item in found] == [
        (FindingKind.CHECK, FindingState.OPEN, Colour.RED)
    ]
    prove(catalog, second, Outcome.PASSED, NOW - DAY, source="app")
    (after,) = load_findings(opened, NOW)
    assert after.state is FindingState.RESOLVED
    assert after.closed_because == "a later restore test passed"
    assert after.lasted(NOW) == DAY


def test_anomaly_is_open_then_taken_and_one_for_information_never_was(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - DAY)
    find_something_odd(catalog, NOW, source="app", name="app")
    (found,) = load_findings(opened, NOW)
    assert (found.kind, found.state, found.colour) == (FindingKind.ANOMALY, FindingState.OPEN, Colour.YELLOW)
    catalog.acknowledge_anomaly(int(found.id), by="olga", reason="a big import", now=NOW)
    (taken,) = load_findings(opened, NOW)
    assert (taken.state, taken.owner, taken.comment) == (FindingState.ACKNOWLEDGED, "olga", "a big import")
    back_up(catalog, NOW - timedelta(hours=1), "shop")
    find_something_odd(catalog, NOW, severity=Severity.INFO)
    assert {item.source: item.state for item in load_findings(opened, NOW)}["shop"] is FindingState.NOTED


def test_evidence_is_bounded_and_names_the_bytes(catalog: Catalog, opened: Database) -> None:
    backup_id = back_up(catalog, NOW - DAY)
    for number in range(3):
        prove(catalog, backup_id, Outcome.PASSED, NOW + timedelta(minutes=number), source="app")
    with statements() as seen:
        evidence = load_evidence(opened, NOW)
    assert len(evidence.tests) == 3
    assert len(evidence.digests[backup_id]) == 64
    assert EVIDENCE_LIMIT == 2_000
    assert all("LIMIT" in item for item in seen if "FROM restore_test \n" in item or "FROM backup" in item)


def test_request_is_kept_once_per_token_with_its_audit_entry(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - DAY, "shop")
    request = request_of(catalog)
    for _ in range(3):
        catalog.request_restore("token", request, actor="vera", now=NOW)
    (found,) = load_requests(opened)
    assert (found.state, found.requested_by, found.tables) == (RequestState.REQUESTED, "vera", ("public.orders",))
    assert [entry.action for entry in catalog.newest_audit_entries(50)].count("restore.request") == 1
    with pytest.raises(UsageProblem, match="another request"):
        catalog.request_restore("token", request, actor="someone else", now=NOW)


def test_only_sound_backups_can_be_asked_for_newest_first(catalog: Catalog, opened: Database) -> None:
    first, second = back_up(catalog, NOW - 2 * DAY), back_up(catalog, NOW - DAY)
    prove(catalog, first, Outcome.PASSED, NOW, source="app")
    fail(catalog, NOW)
    assert load_choices(opened, "app") == ((second, False), (first, True))
    assert load_choices(opened, "nobody") == ()


def test_generated_history_is_known_as_such(catalog_url: str, opened: Database) -> None:
    fill_catalog(catalog_url, NOW, HistoryShape(sources=1, days=3))
    assert is_generated(opened)


def test_real_history_is_not_generated(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - DAY)
    assert not is_generated(opened)


def test_no_page_reads_backups_without_a_bound(catalog: Catalog, opened: Database) -> None:
    back_up(catalog, NOW - DAY)
    sources = {"app": Source(name="app")}
    with statements() as seen:
        load_fleet(opened, sources, NOW)
        load_source_history(opened, "app", NOW - 90 * DAY)
        load_findings(opened, NOW)
        load_evidence(opened, NOW)
        load_choices(opened, "app")
    # One look at the end of an index is bounded too.
    bounded = ("LIMIT", "backup.started_at >=", "min(backup.started_at)")
    assert [item for item in seen if "FROM backup " in item and not any(word in item for word in bounded)] == []
