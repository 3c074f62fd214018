"""The notices that come by the calendar: the weekly digest, the monthly report, the canary; and the test by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.cost import MonthCost, format_money
from shared.domain.health_reason import Colour
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.notice_words import Links, age, count, duration, moment
from shared.units import format_bytes

_ORDER = {colour: number for number, colour in enumerate(Colour)}
_WORD = {Colour.RED: "RED", Colour.UNKNOWN: "UNKNOWN", Colour.YELLOW: "yellow", Colour.GREEN: "green"}
_LINES_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLine:
    """One source over the time of a digest.

    Attributes:
        reason: The worst reason, one sentence; empty for a green source.
        exposure: Age of its newest complete recovery point at the end; None where there is none.
        proven_exposure: Age of its newest proven one.
        rpo: What was agreed.
        backups: Complete ones that began in that time.
        failures: Backups that failed in it.
        tests_passed, tests_failed, tests_not_measured: Restore tests that ended in it.
        recovery_time_seconds: Of the newest restore test that measured it.
        stored_bytes: What its backups take in the repository at the end.
        stored_bytes_before: The same at the beginning; None where nobody knows.
    """

    source: str
    colour: Colour
    reason: str
    exposure: timedelta | None
    proven_exposure: timedelta | None
    rpo: timedelta
    backups: int
    failures: int
    tests_passed: int
    tests_failed: int
    tests_not_measured: int
    recovery_time_seconds: float | None
    stored_bytes: int
    stored_bytes_before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What happened in a time, over all sources.

    Attributes:
        cost: What the last 30 days cost; None where no price is configured.
        incidents: How many began; `open_incidents` go on.
        failing_channels: Names of channels that reach nobody now.
    """

    begins_at: datetime
    ends_at: datetime
    lines: tuple[DigestLine, ...]
    cost: MonthCost | None = None
    incidents: int = 0
    open_incidents: int = 0
    failing_channels: tuple[str, ...] = ()


def weekly_digest(digest: Digest, *, links: Links = ()) -> Notice:
    """Tell managers how everything stands: all sources, worst first."""
    lines = sorted(digest.lines, key=lambda line: (_ORDER[line.colour], line.source))
    counts = {colour: sum(line.colour is colour for line in lines) for colour in Colour}
    bad = ", ".join(f"{number:,} {colour.value}" for colour, number in counts.items() if number and colour != "green")
    total = count(len(lines), "source")
    good = f"{total} and all green" if lines else "no source is configured"
    rest = len(lines) - _LINES_SHOWN
    shown = [*map(_line, lines[:_LINES_SHOWN]), *([f"and {count(rest, 'source')} more"] if rest > 0 else [])]
    return Notice(
        key=f"digest:{digest.ends_at:%Y%m%dT%H%M%SZ}",
        event=NoticeEvent.DIGEST,
        severity=NoticeSeverity.INFO,
        source="",
        title=f"Backups this week: {f'{bad}, of {total}' if bad else good}",
        at=digest.ends_at,
        impact=_promise(lines),
        action="Start with the first line below; `goldcopy status` shows every reason and the next step."
        if bad
        else "",
        facts=_totals(digest, lines),
        findings=tuple(shown),
        links=links,
    )


def report_ready(month: str, what: str, at: datetime, *, links: Links = ()) -> Notice:
    """Tell that the monthly report can be read.

    Args:
        month: Which one, such as `October 2026`.
        what: One sentence that sums it up.
        at: When it was written.
        links: Where it is.
    """
    return Notice(
        key=f"report-ready:{month}",
        event=NoticeEvent.REPORT_READY,
        severity=NoticeSeverity.INFO,
        source="",
        title=f"The backup report for {month} is ready",
        at=at,
        facts=(("In short", what), ("Written", moment(at))),
        action="Read it, sign it and file it: it is the evidence for auditors.",
        links=links,
    )


def canary(week: str, at: datetime) -> Notice:
    """Prove a channel from end to end, once a week.

    Args:
        week: Which one, such as `2026-W47`.
        at: When it is sent.
    """
    return Notice(
        key=f"canary:{week}",
        event=NoticeEvent.CANARY,
        severity=NoticeSeverity.INFO,
        source="",
        title=f"Canary {week}: notices of Goldcopy reach you here",
        at=at,
        action="Nothing to do. One comes every week; when it stays away, run `goldcopy notify-test`.",
        facts=(("Sent", moment(at)),),
    )


def notify_test(at: datetime, by: str) -> Notice:
    """Try a channel by hand; every call is a new notice.

    Args:
        at: When.
        by: Who asked for it.
    """
    return Notice(
        key=f"test:{at:%Y%m%dT%H%M%S.%fZ}",
        event=NoticeEvent.TEST,
        severity=NoticeSeverity.INFO,
        source="",
        title="Test from Goldcopy: notices reach you here",
        at=at,
        action="Nothing to do. A notice about trouble says here what to do next, such as `goldcopy status`.",
        facts=(("Sent", moment(at)), ("Asked for by", by)),
    )


def _promise(lines: Sequence[DigestLine]) -> str:
    """Say for how many sources what was promised is true."""
    if not lines:
        return "Nothing is protected."
    kept = sum(line.exposure is not None and line.exposure <= line.rpo for line in lines)
    proven = sum(line.proven_exposure is not None for line in lines)
    return (
        f"{kept:,} of {count(len(lines), 'source')} could be brought back within the agreed loss of data;"
        f" {proven:,} {'has' if proven == 1 else 'have'} a backup that was restored and compared."
    )


def _totals(digest: Digest, lines: Sequence[DigestLine]) -> tuple[tuple[str, str], ...]:
    failures, tests = sum(line.failures for line in lines), sum(line.tests_passed for line in lines)
    failed, unmeasured = sum(line.tests_failed for line in lines), sum(line.tests_not_measured for line in lines)
    stored = sum(line.stored_bytes for line in lines)
    known = [line.stored_bytes_before for line in lines if line.stored_bytes_before is not None]
    trend = _trend(stored, sum(known)) if lines and len(known) == len(lines) else ""
    cost = _cost(digest.cost) if digest.cost else ""
    channels = ", ".join(digest.failing_channels)
    return (
        ("From", moment(digest.begins_at)),
        ("To", moment(digest.ends_at)),
        ("Backups", f"{sum(line.backups for line in lines):,} complete, {failures:,} failed"),
        ("Restore tests", f"{tests:,} passed, {failed:,} failed, {unmeasured:,} not measured"),
        ("Stored", f"{format_bytes(stored)}{trend}"),
        *((("Cost", cost),) if cost else ()),
        ("Incidents", f"{digest.incidents:,} began, {digest.open_incidents:,} open"),
        *((("Failing channels", channels),) if channels else ()),
    )


def _cost(cost: MonthCost) -> str:
    """Print a month's bill, and which parts of it have no price."""
    if cost.total is None:
        return ""
    left_out = f", without {', '.join(cost.unpriced)}: no price is configured" if cost.unpriced else ""
    return f"{format_money(cost.total, cost.currency)} in the last 30 days{left_out}"


def _line(line: DigestLine) -> str:
    newest = f"newest {age(line.exposure)} old (agreed {age(line.rpo)})" if line.exposure is not None else "no backup"
    proven = f"proven {age(line.proven_exposure)} old" if line.proven_exposure is not None else "never proven"
    done = f"{count(line.backups, 'backup')}" + (f", {line.failures:,} failed" if line.failures else "")
    all_tests = line.tests_passed + line.tests_failed + line.tests_not_measured
    tests = f"{line.tests_passed} of {count(all_tests, 'restore test')} passed" if all_tests else "no restore test"
    before = line.stored_bytes_before
    size = f"{format_bytes(line.stored_bytes)}{_trend(line.stored_bytes, before) if before is not None else ''}"
    took = f", restores in {duration(line.recovery_time_seconds)}" if line.recovery_time_seconds is not None else ""
    reason = f"{line.reason.rstrip('.')}; " if line.reason else ""
    return f"{line.source} is {_WORD[line.colour]}: {reason}{newest}, {proven}; {done}, {tests}; {size}{took}"


def _trend(now_bytes: int, before_bytes: int) -> str:
    """Say how a size changed; nothing where it began at zero."""
    if not before_bytes:
        return ""
    percent = round(100 * (now_bytes - before_bytes) / before_bytes)
    return f" ({percent:+d} %)" if percent else " (unchanged)"
