"""The numeric rules: size, duration and compression of a backup against the source's own earlier ones of its kind."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from shared.domain.anomaly import (
    NUMERIC_RULES,
    Anomaly,
    AnomalyPolicy,
    BackupPoint,
    Episode,
    History,
    Rule,
    Subject,
)
from shared.domain.proof import Severity
from shared.domain.robust import Expectation, Value, expect
from shared.units import format_bytes, format_duration

# For so many backups after an acknowledgement both levels are normal: it may have been a single event, and weekends
# may lie between the two. Then the middle of the newest ones says which level it is.
_STILL_SETTLING = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """How one rule measures a backup.

    Attributes:
        of: The number; None where the backup has none.
        floor: Share by which a value may always differ, however calm the series is.
        slack: The same as an absolute amount in the measure's own unit.
        both_sides: Whether too little is an anomaly as well.
        name: What the sentence calls it.
        print: Prints a value for people.
    """

    of: Callable[[BackupPoint], float | None]
    floor: float
    slack: float = 0.0
    both_sides: bool = True
    name: str
    print: Callable[[float], str]


def _ratio(point: BackupPoint) -> float | None:
    return point.dumped_bytes / point.stored_bytes if point.dumped_bytes and point.stored_bytes else None


def _size(value: float) -> str:
    return format_bytes(round(value))


_MEASURES = {
    Rule.DUMPED_SIZE: _Measure(
        of=lambda point: float(point.dumped_bytes), floor=0.1, name="the dump's size", print=_size
    ),
    Rule.STORED_SIZE: _Measure(
        of=lambda point: float(point.stored_bytes), floor=0.1, name="the stored size", print=_size
    ),
    Rule.DURATION: _Measure(
        of=lambda point: point.duration_seconds,
        floor=0.5,
        slack=60.0,
        both_sides=False,
        name="the duration",
        print=format_duration,
    ),
    Rule.COMPRESSION: _Measure(
        of=_ratio, floor=0.1, name="the compression ratio", print=lambda value: f"{value:.2f} to 1"
    ),
}


def detect_numeric(history: History, subject: Subject, policy: AnomalyPolicy) -> list[Anomaly]:
    """Apply the numeric rules.

    Until the source has enough backups they find nothing; `unjudged_rules` says which those are.
    """
    found = (_judge(rule, history, subject, policy) for rule in NUMERIC_RULES)
    return [anomaly for anomaly in found if anomaly is not None]


def unjudged_rules(history: History, subject: Subject, policy: AnomalyPolicy) -> tuple[tuple[Rule, int], ...]:
    """Return the numeric rules that have too few backups to judge by, each with how many there are."""
    counts = ((rule, len(_series(_MEASURES[rule], history, subject, policy))) for rule in NUMERIC_RULES)
    return tuple((rule, count) for rule, count in counts if count < policy.minimum_points)


def _judge(rule: Rule, history: History, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    measure = _MEASURES[rule]
    value = measure.of(subject.point)
    if value is None or policy.ignores(rule, subject.source):
        return None
    series = _series(measure, history, subject, policy)
    own = [episode for episode in history.episodes if episode.rule is rule and episode.object == subject.source]
    expected = [
        expectation
        for points in _baselines(series, own)
        if (expectation := expect(points, subject.point.at, minimum_points=policy.minimum_points))
    ]
    normal = partial(_is_normal, measure, value, policy)
    if not expected or any(map(normal, expected)):
        return None
    return _anomaly(rule, measure, value, expected[0], subject, policy)


def _series(measure: _Measure, history: History, subject: Subject, policy: AnomalyPolicy) -> list[Value]:
    """Take the backups of the same kind, or of all kinds while there are too few of those: all are full copies."""
    points = [point for point in history.points if point.at < subject.point.at]
    same = [point for point in points if point.kind is subject.point.kind]
    used = same if len(same) >= policy.minimum_points else points
    values = ((point.at, measure.of(point)) for point in used)
    return [Value(at, _log(value)) for at, value in values if value is not None]


def _baselines(series: Sequence[Value], episodes: Sequence[Episode]) -> list[list[Value]]:
    """Return what to compare with: the series without what was odd, at the level that was acknowledged last.

    While that level is young the old one is normal too, for what was acknowledged may have been a single event.
    """
    usual = list(series)
    settling: list[Value] | None = None
    for episode in sorted(episodes, key=lambda episode: episode.started_at):
        inside = [item for item in usual if item.at >= episode.started_at and not _is_over(episode, item)]
        before = [item for item in usual if item.at < episode.started_at]
        after = [item for item in usual if item.at >= episode.started_at and item not in inside]
        if episode.acknowledged_at is None or not episode.expected_value or not episode.found_value:
            usual = before + after
            continue
        shift = _log(episode.found_value) - _log(episode.expected_value)
        since = inside + after
        if len(since) > _STILL_SETTLING and _returned(since, episode):
            usual = before + [item for item in since if not _is_near(item.value, episode)]
            continue
        settling = before + after if len(since) <= _STILL_SETTLING else None
        usual = [Value(item.at, item.value + shift) for item in before] + since
    return [usual] if settling is None else [usual, settling]


def _is_over(episode: Episode, item: Value) -> bool:
    return episode.closed_at is not None and item.at >= episode.closed_at


def _returned(since: Sequence[Value], episode: Episode) -> bool:
    """Whether the newest values lie nearer the old level than the acknowledged one."""
    return not _is_near(median(item.value for item in since[-_STILL_SETTLING:]), episode)


def _is_near(value: float, episode: Episode) -> bool:
    old, new = _log(episode.expected_value or 0), _log(episode.found_value or 0)
    return abs(value - new) <= abs(value - old)


def _is_normal(measure: _Measure, value: float, policy: AnomalyPolicy, expected: Expectation) -> bool:
    distance = expected.distance(_log(value))
    if abs(distance) <= _width(measure, expected, policy):
        return True
    if distance < 0 and not measure.both_sides:
        return True
    return abs(value - math.exp(expected.middle)) <= measure.slack


def _width(measure: _Measure, expected: Expectation, policy: AnomalyPolicy) -> float:
    return max(policy.deviations * expected.deviation, math.log1p(measure.floor))


def _anomaly(
    rule: Rule, measure: _Measure, value: float, expected: Expectation, subject: Subject, policy: AnomalyPolicy
) -> Anomaly:
    width = _width(measure, expected, policy)
    high = max(math.exp(expected.middle + width), math.exp(expected.middle) + measure.slack)
    low = math.exp(expected.middle - width)
    words = f"{measure.print(low)} to {measure.print(high)}" if measure.both_sides else f"at most {measure.print(high)}"
    return Anomaly(
        rule=rule,
        source=subject.source,
        backup_id=subject.backup_id,
        object=subject.source,
        severity=Severity.WARNING,
        sentence=f"{measure.name} is {measure.print(value)}; {words} would be normal after {expected.points} backups",
        expected=words,
        found=measure.print(value),
        started_at=subject.point.at,
        expected_value=math.exp(expected.middle),
        found_value=value,
    )


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))
