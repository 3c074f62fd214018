"""One source in parts: how it stands and why, its exposure, sizes, days, tables, runs and restore tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components import finding, tables
from monitor_app.components.backup_view import show_test
from monitor_app.components.calendar import show_calendar
from monitor_app.components.charts import show
from monitor_app.components.exposure_chart import exposure_figure
from monitor_app.components.series import Exposure, exposure_finding, exposure_series, size_series
from monitor_app.components.size_chart import size_figure
from monitor_app.components.strip import LEGEND
from monitor_app.components.text import ago, beside, count, duration, esc, instant, plain, span
from monitor_app.components.theme import HEALTH, palette
from monitor_app.components.verdict import answer
from monitor_app.queries.source_history import EVIDENCE_LIMIT, Attempt, SourceHistory
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.exposure import Segment, backup_spans, newest_over_time, proven_spans
from shared.domain.health import Colour
from shared.domain.heartbeat import BAD_DAYS, DayCount, DayState, day_states
from shared.domain.incident import Incident
from shared.domain.objectives import SuccessRate
from shared.domain.schedule import Cron, cron_expression
from shared.operations.status import SourceReport

RUNS_SHOWN = 10
_LONGEST_REASON = 200


def segments_of(history: SourceHistory, *, proven: bool, now: datetime) -> tuple[Segment, ...]:
    """Return what could be restored at every moment; it begins with the first backup ever, not with nothing."""
    past = [item for item in (attempt.past() for attempt in history.attempts) if item is not None]
    if not past:
        return ()
    begins_at = max(history.begins_at, min(item.complete_at for item in past))
    if begins_at >= now:
        return ()
    spans = proven_spans(past, history.tests) if proven else backup_spans(past)
    return newest_over_time(spans, begins_at, now)


def source_sentence(history: SourceHistory, report: SourceReport, where: tzinfo, *, days: int, now: datetime) -> str:
    """Say what the page found: the verdict, why it is not safe, then what is at risk."""
    health = report.health
    said = f"{report.source.name} is {answer(report).lower()}"
    segments = segments_of(history, proven=False, now=now)
    if not segments:
        return f"{said}: never backed up, nothing is protected"
    if health.colour is not Colour.GREEN:
        at_risk = report.standing.exposure
        risk = f"; {span(at_risk.total_seconds())} at risk now" if at_risk is not None else ""
        return f"{said}: {plain(health.reasons[0].sentence, longest=_LONGEST_REASON)}{risk}"
    series = exposure_series(segments, report.source.objectives.rpo, report.source.schedule.grace, where)
    found = exposure_finding(series, report.standing.exposure, days, begun=_begun(history, segments, now))
    return f"{said}: {found[:1].lower()}{found[1:]}"


def proven_segments(history: SourceHistory, report: SourceReport, now: datetime) -> tuple[Segment, ...]:
    """Return what was proven at every moment; before a first proof could be due, none is missed."""
    segments = segments_of(history, proven=True, now=now)
    first_backup_at = report.facts.first_backup_at if report.facts else None
    if not segments or segments[0].recovery_point_at is not None:
        return segments
    first, *rest = segments
    due_at = (first_backup_at or first.begins_at) + report.source.objectives.proven
    if due_at >= first.ends_at:
        return tuple(rest)
    return (replace(first, begins_at=max(first.begins_at, due_at)), *rest)


def _begun(history: SourceHistory, segments: Sequence[Segment], now: datetime) -> timedelta | None:
    """Return how long ago the first backup was, where the window is longer than that."""
    begun_at = segments[0].begins_at
    return now - begun_at if begun_at > history.begins_at else None


def missing_days(
    report: SourceReport, counts: Mapping[date, DayCount], now: datetime, *, of_last: Sequence[int]
) -> tuple[int, ...]:
    """Count on how many of the last UTC days, today included, something was expected and nothing began."""
    days = [now.date() - timedelta(days=age) for age in range(max(of_last) - 1, -1, -1)]
    begun = report.facts.first_backup_at if report.facts else None
    states = day_states(report.source, counts, days, first_backup_at=begun, now=now)
    return tuple(sum(state is DayState.MISSING for state in states[-number:]) for number in of_last)


def show_standing(
    report: SourceReport, incident: Incident | None, where: tzinfo, now: datetime, missing: Sequence[int]
) -> None:
    """Show the colour, its reasons with what to do, and the numbers beside what was agreed."""
    with st.container(horizontal=True):
        finding.badge(HEALTH[report.health.colour.value])
        if incident is not None and incident.acknowledgement is not None:
            taken = incident.acknowledgement
            st.badge(esc(f"{taken.by} has it since {instant(taken.at, where)}"), icon=":material/person:")
    finding.reasons(report.health.reasons)
    tables.facts(
        standing_facts(report, where, now, missing), alt=f"Numbers of {report.source.name} and what was agreed"
    )


def standing_facts(report: SourceReport, where: tzinfo, now: datetime, missing: Sequence[int]) -> dict[str, str]:
    """Return the numbers of a source, each beside its objective in the same unit.

    Args:
        report: How it stands.
        where: The viewer's time zone.
        now: Aware instant.
        missing: On how many of the last 30 and 90 days nothing came.
    """
    standing, agreed, schedule, facts = report.standing, report.source.objectives, report.source.schedule, report.facts
    newest = facts.newest if facts else None
    proven = facts.proven if facts else None
    next_backup = Cron(schedule.daily, schedule.timezone).next_after(now)
    next_test = Cron(cron_expression(schedule.restore_test), schedule.timezone).next_after(now)
    predicted = standing.predicted
    return {
        "Newest backup": _point(newest.recovery_point_at if newest else None, where, now),
        "At risk now": _beside(standing.exposure, agreed.rpo),
        "Newest proven backup": _point(proven.recovery_point_at if proven else None, where, now),
        "Proven exposure": _beside(standing.proven_exposure, agreed.proven),
        "Back in service": _beside(timedelta(seconds=predicted.seconds) if predicted else None, agreed.rto)
        + (f", from {count(predicted.tests, 'restore test')}" if predicted else ""),
        "Backups that succeeded": f"{_rate(standing.success_30)} in 30 days{_never_came(missing[0])}, "
        f"{_rate(standing.success_90)} in 90 days{_never_came(missing[1])}",
        "Next backup expected": instant(next_backup, where),
        "Next restore test expected": instant(next_test, where),
    }


def show_exposure(history: SourceHistory, report: SourceReport, where: tzinfo, *, days: int, now: datetime) -> None:
    """Show exposure over time, plain and proven, each beside its own objective."""
    name, agreed = report.source.name, report.source.objectives
    plain_ones = segments_of(history, proven=False, now=now)
    if not plain_ones:
        finding.nothing_here("No backup yet", "There is no exposure to draw: nothing is protected.", is_bad=True)
        return
    series = exposure_series(plain_ones, agreed.rpo, report.source.schedule.grace, where)
    note = "What would have been lost if the database had died at that moment."
    begun = _begun(history, plain_ones, now)
    sentence = exposure_finding(series, report.standing.exposure, days, begun=begun)
    _exposure(series, sentence, note, key="exposure", alt=f"Exposure of {name} over time")
    proven = proven_segments(history, report, now)
    if not proven:
        due = f"A first restore test is due within {span(agreed.proven.total_seconds())} of the first backup."
        finding.section("Proven: not yet", due)
        return
    series = exposure_series(proven, agreed.proven, timedelta(0), where)
    note = "The same, counting only backups that were restored and compared by then."
    found = exposure_finding(series, report.standing.proven_exposure, days, begun=begun)
    sentence = f"Proven: {found[:1].lower()}{found[1:]}"
    _exposure(series, sentence, note, key="proven", alt=f"Proven exposure of {name} over time")


def show_sizes(attempts: Sequence[Attempt], begins_at: datetime, where: tzinfo, *, name: str) -> None:
    """Show sizes of the kind that is taken most often, with what was to be expected."""
    done = [item for item in attempts if item.is_complete and item.started_at >= begins_at]
    kinds = sorted({item.kind for item in done}, key=lambda kind: -sum(item.kind is kind for item in done))
    if not kinds:
        return
    place = st.container()
    options = [kind.value for kind in kinds]
    chosen = st.segmented_control("Kind", options, default=options[0], required=True, key="kind") or options[0]
    kind = BackupKind(chosen)
    # The band is learnt from those before the window too.
    known = [item for item in attempts if item.is_complete and item.kind is kind]
    backups = [(item.recovery_point_at or item.started_at, item.id, item.dumped_bytes, item.anomaly) for item in known]
    sizes = size_series(backups, where).since(begins_at, where)
    with place:
        number = len(sizes.unusual)
        note = "Uncompressed. Band: median of the 28 before, four robust deviations, on a logarithmic scale."
        found = f"{count(number, f'{kind} backup')} outside the expected size" if number else "Every size as expected"
        finding.section(found, note)
        alt = f"Size of {kind} backups of {name} with what was to be expected"
        show(size_figure(sizes, palette()), alt=alt, key="sizes")


def show_days(report: SourceReport, counts: Mapping[date, DayCount], first: date, now: datetime) -> None:
    """Show the calendar from a day on."""
    days = [first + timedelta(days=number) for number in range((now.date() - first).days + 1)]
    begun = report.facts.first_backup_at if report.facts else None
    states = day_states(report.source, counts, days, first_backup_at=begun, now=now)
    bad = sum(state in BAD_DAYS for state in states)
    finding.section(f"{count(bad, 'bad day') if bad else 'No bad day'} in {len(days)}", LEGEND)
    show_calendar(days, states, caption=f"Backups of {report.source.name} per day")


def show_growth(history: SourceHistory, where: tzinfo) -> None:
    """Show the tables of the newest backup beside those of the oldest that is still there."""
    if not history.growth:
        return
    if history.growth_since is None:
        finding.section(count(len(history.growth), "table"), "One backup so far: growth shows from the second on.")
    else:
        note = f"Newest backup beside that of {instant(history.growth_since, where)}; older ones have expired."
        changed = sum(item.rows != item.rows_before for item in history.growth)
        finding.section(f"{changed} of {count(len(history.growth), 'table')} changed their number of rows", note)
    shown = [
        {
            "Table": item.name,
            "Rows": item.rows,
            "Rows then": item.rows_before,
            "More rows": None if item.rows is None or item.rows_before is None else item.rows - item.rows_before,
            "MB": None if item.plain_bytes is None else item.plain_bytes / 1e6,
            "MB then": None if item.plain_bytes_before is None else item.plain_bytes_before / 1e6,
        }
        for item in history.growth
    ]
    number, size = (st.column_config.NumberColumn(format=form) for form in ("localized", "%.2f"))
    columns = {"Rows": number, "Rows then": number, "More rows": number, "MB": size, "MB then": size}
    tables.rows(shown, alt="Tables now and then, largest first", columns=columns, tallest=8, key="growth")


def runs_sentence(attempts: Sequence[Attempt], missing: int) -> str:
    """Say how many of the last attempts failed, and on how many of the last 30 days none came that was expected."""
    last = attempts[-RUNS_SHOWN:]
    failed = sum(item.status is BackupStatus.FAILED for item in last)
    said = f"{failed or 'None'} of the last {len(last)} runs failed"
    if len(last) == 1:
        said = f"The one run so far {'failed' if failed else 'did not fail'}"
    never = f"; in 30 days {missing} expected {'one' if missing == 1 else 'ones'} never came"
    return f"{said}{never}" if missing else said


def show_runs(attempts: Sequence[Attempt], where: tzinfo, missing: int) -> None:
    """Show the last attempts."""
    last = attempts[::-1][:RUNS_SHOWN]
    if not last:
        return
    finding.section(runs_sentence(attempts, missing))
    columns: dict[str, Any] = {
        "Began": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "Dump MB": st.column_config.NumberColumn(format="%.1f"),
        "Note": st.column_config.TextColumn(width="large"),
    }
    tables.rows([_run(item, where) for item in last], alt="Last runs, newest first", columns=columns, key="runs")


def show_evidence(history: SourceHistory, where: tzinfo) -> None:
    """Show the last restore tests with what they found, row by row."""
    tests = history.evidence
    if not tests:
        there = any(item.is_complete for item in history.attempts)
        what = "nothing proves these backups yet" if there else "there is no backup to test yet"
        finding.section(f"Never restored: {what}")
        return
    last = tests[0].outcome.value.replace("_", " ") if tests[0].outcome else "still running"
    finding.section(
        f"The last restore test {'is ' if tests[0].outcome is None else ''}{last}",
        f"The newest {EVIDENCE_LIMIT}; each was restored to a throwaway server and compared.",
    )
    for number, test in enumerate(tests):
        show_test(test, where, is_open=number == 0)


def _exposure(series: Exposure, sentence: str, note: str, *, key: str, alt: str) -> None:
    finding.section(sentence, note)
    show(exposure_figure(series, palette()), alt=f"{alt}. {sentence}", key=key)


def _run(item: Attempt, where: tzinfo) -> dict[str, Any]:
    words = {BackupStatus.FAILED: "✕ failed", BackupStatus.RUNNING: "… running"}
    good = "✓ proven" if item.is_proven else "○ not proven"
    result = words.get(item.status, "✕ damaged" if item.damaged_at else good)
    return {
        "Began": item.started_at.astimezone(where),
        "Result": f"{result}, expired" if item.status is BackupStatus.EXPIRED else result,
        "Kind": item.kind.value,
        "Took": duration(item.duration_seconds),
        "Dump MB": item.dumped_bytes / 1e6 if item.dumped_bytes else None,
        "Note": item.error_message or item.anomaly,
    }


def _point(at: datetime | None, where: tzinfo, now: datetime) -> str:
    return f"{instant(at, where)} ({ago(at, now)})" if at else "none"


def _beside(value: timedelta | None, limit: timedelta) -> str:
    if value is None:
        return "not known"
    shown, agreed = beside(value.total_seconds(), limit.total_seconds())
    return f"{shown}, objective {agreed}"


def _rate(rate: SuccessRate) -> str:
    return f"{rate.ok:,} of {rate.ok + rate.failed:,}"


def _never_came(number: int) -> str:
    return f" ({number} expected {'one' if number == 1 else 'ones'} never came)" if number else ""
