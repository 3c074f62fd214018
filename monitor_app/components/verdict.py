"""The answer to "are we safe?" in words: pure functions of the status that command line and metrics print too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from monitor_app.components.text import ago, count, instant
from shared.domain.health import Colour, Reason, ReasonCode
from shared.domain.incident import Incident
from shared.operations.status import SourceReport
from shared.units import format_alike

_ORDER = {colour: number for number, colour in enumerate(Colour)}
_ANSWERS = {
    Colour.RED: "Not safe",
    Colour.UNKNOWN: "Not known to be safe",
    Colour.YELLOW: "Safe for now",
    Colour.GREEN: "Safe",
}
_LABELS: Mapping[str, str] = {
    ReasonCode.NO_FACTS: "Nothing known",
    ReasonCode.CATALOG_STALE: "Old facts",
    ReasonCode.CLOCK_WRONG: "Clock wrong",
    ReasonCode.NO_BACKUP: "No backup",
    ReasonCode.BACKUP_STALE: "Objective missed",
    ReasonCode.BACKUP_OVERDUE: "Objective missed",
    ReasonCode.BACKUP_DAMAGED: "Damaged",
    ReasonCode.BACKUP_SLOW: "Slow",
    ReasonCode.LAST_RUN_FAILED: "Last run failed",
    ReasonCode.RUN_LOST: "Run silent",
    ReasonCode.SCHEDULE_GAP: "Nothing came",
    ReasonCode.NEVER_PROVEN: "Never proven",
    ReasonCode.PROVEN_STALE: "Proof too old",
    ReasonCode.TEST_FAILED: "Test failed",
    ReasonCode.TEST_NOT_MEASURED: "Not measured",
    ReasonCode.TEST_OVERDUE: "Test overdue",
    ReasonCode.VERIFY_FAILED: "Bytes damaged",
    ReasonCode.VERIFY_NOT_MEASURED: "Not read",
    ReasonCode.VERIFY_OVERDUE: "Verify overdue",
    ReasonCode.RECOVERY_TOO_SLOW: "Too slow",
    ReasonCode.RESTORE_TOO_SLOW: "Too slow",
    ReasonCode.ANOMALY: "Unusual",
    ReasonCode.REPOSITORY_UNREACHABLE: "No repository",
    ReasonCode.REPOSITORY_NOT_MEASURED: "Not asked",
    ReasonCode.PROVIDER_OUTAGE: "Server down",
    ReasonCode.PROVIDER_NOT_MEASURED: "Not asked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer in plain texts.

    Attributes:
        colour: That of the worst source.
        title: The answer in one sentence.
        worst: Which source is worst, or has the longest exposure where all is well.
        body: What is wrong with it, since when, and who has it.
        is_new: Whether nothing was ever backed up, so that nobody has failed yet.
    """

    colour: Colour
    title: str
    worst: str
    body: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A trouble that some sources share, in words for one source and for several."""

    shared_by: Callable[[SourceReport], bool]
    one: str
    many: str


def _has(*codes: ReasonCode) -> Callable[[SourceReport], bool]:
    return lambda report: any(
        reason.code in codes and reason.colour is not Colour.GREEN for reason in report.health.reasons
    )


# Worst first: the first that any source of the worst colour has is told.
_TROUBLES = (
    _Trouble(_has(ReasonCode.NO_FACTS), "could not be judged", "could not be judged"),
    _Trouble(
        lambda report: report.facts is not None and report.facts.newest is None, "has no backup", "have no backup"
    ),
    _Trouble(
        lambda report: report.standing.rpo_met is False,
        "is past its recovery point objective",
        "are past their recovery point objective",
    ),
    _Trouble(_has(ReasonCode.BACKUP_DAMAGED), "has a damaged backup", "have a damaged backup"),
    _Trouble(_has(ReasonCode.TEST_FAILED), "failed its last restore test", "failed their last restore test"),
    _Trouble(
        _has(ReasonCode.REPOSITORY_UNREACHABLE, ReasonCode.PROVIDER_OUTAGE),
        "cannot be backed up now",
        "cannot be backed up now",
    ),
    _Trouble(
        _has(ReasonCode.PROVEN_STALE, ReasonCode.NEVER_PROVEN),
        "is not proven to restore in time",
        "are not proven to restore in time",
    ),
    _Trouble(lambda _: True, "needs a look", "need a look"),
)
_RPO = 2
_NOBODY_KNOWS: Mapping[str, datetime] = {}


def worst_first(reports: Sequence[SourceReport]) -> tuple[SourceReport, ...]:
    """Order sources by risk: colour, then what is wrong, then how far they are past their objective."""
    return tuple(sorted(reports, key=_risk))


def need_someone(reports: Sequence[SourceReport]) -> tuple[SourceReport, ...]:
    """Return the sources that are not green, worst first."""
    return worst_first([report for report in reports if report.health.colour is not Colour.GREEN])


def label(reason: Reason) -> str:
    """Name a reason in two or three words."""
    return cause_label(reason.code)


def cause_label(code: str) -> str:
    """Name a code of a reason, or a rule about anomalies, in two or three words."""
    return _LABELS.get(code) or code.replace("-", " ").capitalize()


def fleet_verdict(
    reports: Sequence[SourceReport],
    incidents: Mapping[str, Incident],
    where: tzinfo,
    now: datetime,
    known_since: Mapping[str, datetime] = _NOBODY_KNOWS,
) -> Verdict:
    """Answer whether all is safe, name the worst, since when, and who has it.

    Args:
        reports: One per source, at least one.
        incidents: Open ones by source.
        where: The viewer's time zone.
        now: Aware instant.
        known_since: When each source was registered.
    """
    ranked = worst_first(reports)
    first = ranked[0]
    colour = first.health.colour
    if colour is Colour.GREEN:
        longest = max(ranked, key=_times_objective)
        worst = f"Longest exposure: {longest.source.name}"
        return Verdict(colour=colour, title=_all_well(len(ranked)), worst=worst, body=f"{_upper(_at_risk(longest))}.")
    worst, body = f"Worst: {first.source.name}", _worst_words(first, incidents, where, now, known_since)
    if all(report.facts is not None and report.facts.first_backup_at is None for report in ranked):
        title = f"Not safe yet: {count(len(ranked), 'source')} without a first backup"
        return Verdict(colour=colour, title=title, worst=worst, body=body, is_new=True)
    return Verdict(colour=colour, title=f"{answer(first)}: {_what(ranked)}", worst=worst, body=body)


def _what(ranked: Sequence[SourceReport]) -> str:
    """Say what is wrong with how many, by the worst trouble of the worst source."""
    number = _trouble(ranked[0])
    sharing = [report for report in ranked if _TROUBLES[number].shared_by(report)]
    if number == _RPO and all(_is_unprotected(report) for report in sharing):
        number -= 1
    if number == len(_TROUBLES) - 1:
        sharing = list(need_someone(ranked))
    trouble = _TROUBLES[number]
    predicate = trouble.one if len(sharing) == 1 else trouble.many
    return f"{len(sharing)} of {count(len(ranked), 'source')} {predicate}"


def answer(report: SourceReport) -> str:
    """Answer for one source; a missed objective is never called safe, even while it is young enough to be yellow."""
    colour = report.health.colour
    return "Not safe" if colour is Colour.YELLOW and report.standing.rpo_met is False else _ANSWERS[colour]


def who_has_it(incident: Incident | None, where: tzinfo) -> str:
    """Say who is at it."""
    if incident is None or incident.acknowledgement is None:
        return "nobody has taken it yet"
    return f"taken by {incident.acknowledgement.by} since {instant(incident.acknowledgement.at, where)}"


def since_words(colour: Colour, since: datetime | None, where: tzinfo, now: datetime) -> str:
    """Say since when something has its colour: the instant, and how long ago that is; nothing where nobody knows."""
    return f"{colour.value} since {instant(since, where)} ({ago(since, now)})" if since else ""


def missed_words(report: SourceReport, where: tzinfo, now: datetime) -> str:
    """Say since when the recovery point objective is missed, which is before the source becomes red."""
    newest = report.facts.newest if report.facts else None
    if newest is None or report.standing.rpo_met is not False:
        return ""
    since = newest.recovery_point_at + report.source.objectives.rpo
    return f"objective missed since {instant(since, where)} ({ago(since, now)})"


def reason_since(report: SourceReport, known_since: Mapping[str, datetime]) -> datetime | None:
    """Return since when a source's worst reason holds; without any backup ever, since it was registered."""
    since = report.health.reasons[0].since
    return since or (known_since.get(report.source.name) if _is_unprotected(report) else None)


def _all_well(number: int) -> str:
    if number == 1:
        return "Safe: the one source is within its objectives and proven to restore"
    return f"Safe: all {number} sources are within their objectives and proven to restore"


def _at_risk(report: SourceReport) -> str:
    """Say what would be lost now, and what was agreed, in one unit; empty where that is not known."""
    exposure, rpo = report.standing.exposure, report.source.objectives.rpo
    if exposure is None:
        return ""
    lost, agreed = format_alike(exposure.total_seconds(), rpo.total_seconds())
    return f"{lost} of data would be lost, the objective is {agreed}"


def _worst_words(
    report: SourceReport,
    incidents: Mapping[str, Incident],
    where: tzinfo,
    now: datetime,
    known_since: Mapping[str, datetime],
) -> str:
    reason = report.health.reasons[0]
    missed = _at_risk(report) if report.standing.rpo_met is False else ""
    since = since_words(reason.colour, reason_since(report, known_since), where, now)
    parts = [missed or reason.sentence, missed_words(report, where, now), since]
    parts.append(who_has_it(incidents.get(report.source.name), where))
    return " ".join(f"{_upper(part).rstrip('.')}." for part in parts if part)


def _risk(report: SourceReport) -> tuple[int, int, float, str]:
    return (_ORDER[report.health.colour], _trouble(report), -_times_objective(report), report.source.name)


def _trouble(report: SourceReport) -> int:
    """Number of the first trouble that the source has; no backup at all ranks with a missed objective."""
    number = next(number for number, trouble in enumerate(_TROUBLES) if trouble.shared_by(report))
    return _RPO if _is_unprotected(report) else number


def _is_unprotected(report: SourceReport) -> bool:
    return report.facts is not None and report.facts.newest is None


def _times_objective(report: SourceReport) -> float:
    """Exposure in objectives; without any backup there is no end to it."""
    exposure = report.standing.exposure
    return float("inf") if exposure is None else exposure / report.source.objectives.rpo


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
