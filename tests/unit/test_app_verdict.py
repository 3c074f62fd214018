"""The sentence on the first page: are we safe, what is worst, since when, who has it."""

from dataclasses import replace
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from monitor_app.components.findings_view import all_findings, findings_sentence, since_line
from monitor_app.components.fleet_view import heartbeat_sentence, needs_sentence, times_words
from monitor_app.components.recovery_view import evidence_csv, is_predicted, lollipops, recovery_sentence
from monitor_app.components.verdict import fleet_verdict, label, need_someone, worst_first
from monitor_app.queries.findings import Finding, FindingKind, FindingState
from monitor_app.queries.recovery import Evidence
from shared.catalog.records import RestoreTestRow
from shared.domain.health import Colour, ReasonCode, evaluate
from shared.domain.health_reason import Reason
from shared.domain.incident import Acknowledgement, open_incident
from shared.domain.objectives import SuccessRate, measure
from shared.domain.proof import Finding as ProofFinding
from shared.domain.proof import Outcome, Severity
from shared.domain.source import Source
from shared.domain.source_facts import SourceFacts
from shared.operations.status import SourceReport
from tests.support.health_facts import GB, NOW, good_facts, restore_point, restore_test

OPEN = FindingState.OPEN
BERLIN = ZoneInfo("Europe/Berlin")
RATE = (SuccessRate(ok=30), SuccessRate(ok=90))
NOTHING = SourceFacts(read_at=NOW)


def report(name: str, facts: SourceFacts | None) -> SourceReport:
    source = Source(name=name)
    return SourceReport(
        source=source,
        health=evaluate(source, facts, NOW),
        standing=measure(source, facts, NOW, success=RATE),
        facts=facts,
        phases={},
    )


def good(name: str = "shop") -> SourceReport:
    return report(name, good_facts())


def late(name: str, hours: int) -> SourceReport:
    return report(name, good_facts(newest=restore_point(NOW - timedelta(hours=hours))))


def failed_test(name: str = "billing") -> SourceReport:
    test = restore_test(NOW - timedelta(days=1), Outcome.FAILED)
    return report(name, good_facts(last_test=test, last_decisive=test, tests=(test,)))


def slow(name: str = "warehouse") -> SourceReport:
    return report(name, good_facts(newest=restore_point(dumped_bytes=20 * GB)))


def test_all_well_names_the_longest_exposure() -> None:
    answer = fleet_verdict([good("shop"), good("app")], {}, UTC, NOW)
    assert answer.colour is Colour.GREEN
    assert answer.title == "Safe: all 2 sources are within their objectives and proven to restore"
    assert answer.worst == "Longest exposure: app"
    assert answer.body == "4 h of data would be lost, the objective is 24 h."


def test_one_source_is_told_as_one() -> None:
    title = fleet_verdict([good()], {}, UTC, NOW).title
    assert title == "Safe: the one source is within its objectives and proven to restore"


def test_missed_objectives_are_counted_and_the_worst_is_named_in_one_unit() -> None:
    answer = fleet_verdict([good(), late("audit", 98), late("users", 49)], {}, BERLIN, NOW)
    assert answer.title == "Not safe: 2 of 3 sources are past their recovery point objective"
    assert answer.worst == "Worst: audit"
    missed = "Objective missed since 2026-11-18 05:00 CET (3 d 2 h ago)"
    red = "Red since 2026-11-19 05:00 CET (2 d 2 h ago)"
    assert answer.body == (
        f"98 h of data would be lost, the objective is 24 h. {missed}. {red}. Nobody has taken it yet."
    )


def test_a_missed_objective_is_not_called_safe_while_it_is_young() -> None:
    answer = fleet_verdict([good(), late("users", 27)], {}, UTC, NOW)
    assert answer.colour is Colour.YELLOW
    assert answer.title == "Not safe: 1 of 2 sources is past its recovery point objective"


def test_without_any_backup_it_says_so_and_not_that_an_objective_is_missed() -> None:
    assert fleet_verdict([good(), report("new", NOTHING)], {}, UTC, NOW).title == (
        "Not safe: 1 of 2 sources has no backup"
    )
    both = fleet_verdict([late("audit", 98), report("new", NOTHING)], {}, UTC, NOW)
    assert both.title == "Not safe: 2 of 2 sources are past their recovery point objective"
    assert both.worst == "Worst: new"


def test_before_any_backup_nothing_has_failed_yet() -> None:
    answer = fleet_verdict([report("app", NOTHING), report("shop", NOTHING)], {}, UTC, NOW)
    assert answer.is_new
    assert answer.title == "Not safe yet: 2 sources without a first backup"
    assert "nothing is protected" in answer.body
    assert "2026-11-22 02:00 UTC" in answer.body


def test_what_is_not_known_is_never_safe() -> None:
    answer = fleet_verdict([good(), report("shop", None)], {}, UTC, NOW)
    assert answer.colour is Colour.UNKNOWN
    assert answer.title == "Not known to be safe: 1 of 2 sources could not be judged"


def test_failed_test_and_slow_restore_have_words_of_their_own() -> None:
    assert fleet_verdict([good(), failed_test(), slow()], {}, UTC, NOW).title == (
        "Not safe: 1 of 3 sources failed its last restore test"
    )
    assert fleet_verdict([good(), slow()], {}, UTC, NOW).title == "Safe for now: 1 of 2 sources needs a look"


def test_whoever_took_it_is_named() -> None:
    incident = replace(
        open_incident("audit", 3, Colour.RED, (), NOW),
        acknowledgement=Acknowledgement(at=NOW, by="olga@example.com", reason="disk is full"),
    )
    answer = fleet_verdict([late("audit", 98)], {"audit": incident}, BERLIN, NOW)
    assert answer.body.endswith(". Taken by olga@example.com since 2026-11-21 07:00 CET.")


def test_worst_comes_first_by_colour_then_trouble_then_how_far() -> None:
    reports = [good("a"), slow("b"), late("c", 50), late("d", 98), failed_test("e"), report("f", NOTHING)]
    assert [item.source.name for item in worst_first(reports)] == ["f", "d", "c", "e", "b", "a"]
    assert [item.source.name for item in need_someone(reports)] == ["f", "d", "c", "e", "b"]


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_has_a_short_name(code: ReasonCode) -> None:
    name = label(Reason(code=code, colour=Colour.RED, sentence="x"))
    assert name
    assert len(name) <= 20


def finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "kind": FindingKind.INCIDENT,
        "state": FindingState.OPEN,
        "source": "audit",
        "colour": Colour.RED,
        "cause": "backup-stale",
        "sentence": "the newest backup is old",
        "opened_at": NOW - timedelta(days=3),
        "id": "audit#3",
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]


def test_findings_tell_how_many_and_how_old() -> None:
    taken = finding(state=FindingState.ACKNOWLEDGED, owner="olga")
    assert findings_sentence([finding(), taken], OPEN, NOW) == "1 open, the oldest for 3 d; 1 taken and not over"
    assert findings_sentence([taken], OPEN, NOW) == "1 taken and not over; nothing else is open"
    assert findings_sentence([], OPEN, NOW) == "Nothing is open"
    new = finding(opened_at=NOW)
    assert findings_sentence([new], OPEN, NOW) == "1 open"


def test_each_list_of_findings_has_a_title_of_its_own() -> None:
    over = finding(state=FindingState.RESOLVED, closed_at=NOW)
    noted = finding(state=FindingState.NOTED, kind=FindingKind.ANOMALY)
    taken = finding(state=FindingState.ACKNOWLEDGED, owner="olga")
    found = [finding(), over, noted, noted, taken]
    assert findings_sentence(found, FindingState.RESOLVED, NOW) == "1 ended within the last 90 days; 1 open"
    assert findings_sentence(found, FindingState.NOTED, NOW) == "2 noted within the last 90 days; 1 open"
    assert (
        findings_sentence(found, FindingState.ACKNOWLEDGED, NOW) == "1 taken and not over, the oldest for 3 d; 1 open"
    )
    assert findings_sentence([], FindingState.ACKNOWLEDGED, NOW) == "Nothing is taken"
    assert findings_sentence([], FindingState.RESOLVED, NOW) == "Nothing ended within the last 90 days"
    assert findings_sentence([], FindingState.NOTED, NOW) == "Nothing was noted within the last 90 days"


def test_the_worst_of_the_first_page_is_the_first_finding_too() -> None:
    reports = [slow("b"), late("c", 50), late("d", 98), failed_test("e"), report("f", NOTHING)]
    stored = [
        finding(source=name, id=name, opened_at=NOW - timedelta(days=days), colour=Colour.RED)
        for name, days in (("e", 30), ("c", 9), ("d", 3))
    ]
    found = [item.source for item in all_findings(stored, reports, NOW)]
    assert found == [item.source.name for item in need_someone(reports)] == ["f", "d", "c", "e", "b"]


def test_an_open_incident_is_told_in_the_words_of_now() -> None:
    stored = finding(source="audit", sentence="the newest backup is 39 h old", opened_at=NOW - timedelta(hours=1))
    now = late("audit", 98)
    (shown,) = all_findings([stored], [now], NOW)
    assert shown.sentence == now.health.reasons[0].sentence
    assert shown.colour is Colour.RED
    assert shown.since == now.health.reasons[0].since
    assert since_line(shown, UTC, NOW) == "Red since 2026-11-19 04:00 UTC (2 d 2 h ago)"
    over = replace(stored, state=FindingState.RESOLVED, closed_at=NOW)
    assert over in all_findings([over], [now], NOW)


def test_a_source_without_a_backup_is_unprotected_since_it_was_registered() -> None:
    known = {"new": NOW - timedelta(hours=5)}
    (shown,) = all_findings([], [report("new", NOTHING)], NOW, known)
    assert shown.opened_at == known["new"]
    assert since_line(shown, UTC, NOW) == "Red since 2026-11-21 01:00 UTC (5 h ago)"
    (unknown,) = all_findings([], [report("new", NOTHING)], NOW)
    assert since_line(unknown, UTC, NOW) == ""
    answer = fleet_verdict([report("new", NOTHING)], {}, UTC, NOW, known)
    assert "Red since 2026-11-21 01:00 UTC (5 h ago)" in answer.body


def test_those_who_need_someone_are_counted_by_colour() -> None:
    needing = need_someone([good("a"), slow("b"), late("c", 50), late("d", 98), report("e", None)])
    assert needs_sentence(needing) == "4 sources need someone: 2 not safe, 1 unknown, 1 wants a look"
    assert needs_sentence([slow("b")]) == "1 source needs someone: it wants a look"
    assert needs_sentence([late("c", 50)]) == "1 source needs someone: it is not safe"


@pytest.mark.parametrize(("times", "said"), [(0.004, "a fraction of its objective"), (3.41, "3.4 times its objective")])
def test_times_of_an_objective_are_words_where_they_are_small(times: float, said: str) -> None:
    assert times_words(times) == said


def test_no_bad_day_is_told_without_a_nought() -> None:
    assert heartbeat_sentence(0, 45, ["shop"]) == "No bad day in 45: shop"
    assert heartbeat_sentence(2, 45, ["shop", "app"]) == "2 bad days in 45 among the 2 riskiest sources"


def test_a_source_in_trouble_is_a_finding_even_where_nobody_watches() -> None:
    found = all_findings([], [good(), late("audit", 98)], NOW)
    assert [(item.source, item.id) for item in found] == [("audit", "")]
    watched = all_findings([finding()], [good(), late("audit", 98)], NOW)
    assert [(item.source, item.id) for item in watched] == [("audit", "audit#3")]


def test_a_failed_check_is_told_once_and_stays_when_its_incident_is_over() -> None:
    check = finding(kind=FindingKind.CHECK, id="", cause="test-failed")
    incident = finding(cause="test-failed")
    assert all_findings([check, incident], [], NOW) == (incident,)
    over = finding(cause="test-failed", state=FindingState.RESOLVED, closed_at=NOW)
    assert set(all_findings([check, over], [], NOW)) == {check, over}


def test_recovery_counts_and_never_rounds_one_away() -> None:
    known = good_facts(tests=(restore_test(),))
    fast = [report(f"s{number}", known) for number in range(350)]
    too_slow = report("big", good_facts(newest=restore_point(dumped_bytes=200 * GB)))
    assert recovery_sentence([*fast, too_slow], NOW) == (
        "1 of 351 sources would miss its recovery time at today's size"
    )
    assert recovery_sentence(fast, NOW) == "All 350 sources would be back in time at today's size"


def test_a_prediction_from_old_tests_is_no_prediction() -> None:
    old = restore_test(NOW - timedelta(days=91))
    stale = report("app", good_facts(tests=(old,), last_test=old, last_decisive=old))
    assert not is_predicted(stale, NOW)
    assert recovery_sentence([stale, good()], NOW) == "1 of 2 sources has passed no restore test in the last 90 days"
    assert [row.name for row in lollipops([stale, good()], UTC, NOW)] == ["shop"]


def test_lollipops_show_the_slowest_in_times_of_their_objective() -> None:
    rows = lollipops([good("small"), report("big", good_facts(newest=restore_point(dumped_bytes=200 * GB)))], UTC, NOW)
    assert [(row.name, row.label) for row in rows] == [("big", "6 h 40 min of 4 h"), ("small", "2 min of 4 h")]
    assert rows[0].ratio == pytest.approx(24000 / 14400)


def test_evidence_file_has_a_line_for_each_finding_and_no_formula() -> None:
    found = ProofFinding(check="rows", severity=Severity.ERROR, object="=cmd()", message="expected 2, found 1")
    test = RestoreTestRow(
        id="rt-1",
        backup_id="b-1",
        source="shop",
        run_id=None,
        picked="newest",
        outcome=Outcome.FAILED,
        started_at=NOW,
        finished_at=NOW,
        findings=(found, found),
        not_measured=(),
        phases={},
        recovery_time_seconds=1.5,
        tables_proven=1,
        rows_proven=2,
        source_version="17",
        scratch_version="17",
        tool_version="1",
    )
    lines = evidence_csv(Evidence((test,), {"b-1": "abc"})).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("test_id,backup_id,manifest_sha256,source,outcome")
    assert len(lines) == 3
    assert lines[1].startswith("rt-1,b-1,abc,shop,failed,newest,2026-11-21T06:00:00Z")
    assert ",'=cmd()," in lines[1]
