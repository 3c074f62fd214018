"""Exposure over time: what could have been restored at any instant, recomputed from facts for any period.

At an instant, the newest copy counts that was complete, not known to be damaged and not expired *then*. For proven
exposure it must also have passed its latest restore test by then: a test that failed takes the proof back when it was
known. Exposure counts from the snapshot's instant, so it falls when a backup is complete and then grows: a sawtooth.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from shared.domain.proof import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBackup:
    """A backup that was complete at some time.

    Attributes:
        complete_at: When its manifest was durable: from here on it could be restored.
        gone_at: When it expired or was known to be damaged, whichever came first; None while it is there.
    """

    backup_id: str
    recovery_point_at: datetime
    complete_at: datetime
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTest:
    """A restore test that came to an end."""

    backup_id: str
    outcome: Outcome
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when a recovery point could be had; `ends_at` is None where it still can."""

    recovery_point_at: datetime
    begins_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A time in which the newest recovery point was the same; None where there was none at all."""

    begins_at: datetime
    ends_at: datetime
    recovery_point_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A time in which exposure was above its objective; `worst` is None where there was nothing to restore."""

    begins_at: datetime
    ends_at: datetime
    worst: timedelta | None

    @property
    def duration(self) -> timedelta:
        """How long it lasted."""
        return self.ends_at - self.begins_at


def backup_spans(backups: Iterable[PastBackup]) -> list[Span]:
    """Return when which recovery point could be had."""
    return [
        Span(recovery_point_at=item.recovery_point_at, begins_at=item.complete_at, ends_at=item.gone_at)
        for item in backups
    ]


def proven_spans(backups: Iterable[PastBackup], tests: Iterable[PastTest]) -> list[Span]:
    """Return when which proven recovery point could be had; tests that measured nothing change nothing."""
    of_backup: dict[str, list[PastTest]] = defaultdict(list)
    for test in sorted(tests, key=lambda test: test.finished_at):
        if test.outcome is not Outcome.NOT_MEASURED:
            of_backup[test.backup_id].append(test)
    return [span for backup in backups for span in _proven(backup, of_backup[backup.backup_id])]


def _proven(backup: PastBackup, tests: Sequence[PastTest]) -> Iterator[Span]:
    since: datetime | None = None
    for test in tests:
        if test.outcome is Outcome.PASSED:
            since = since or max(test.finished_at, backup.complete_at)
        elif since is not None:
            yield from _while_there(backup, since, test.finished_at)
            since = None
    if since is not None:
        yield from _while_there(backup, since, None)


def _while_there(backup: PastBackup, begins_at: datetime, ends_at: datetime | None) -> Iterator[Span]:
    ends = [at for at in (ends_at, backup.gone_at) if at is not None]
    end = min(ends) if ends else None
    if end is None or begins_at < end:
        yield Span(recovery_point_at=backup.recovery_point_at, begins_at=begins_at, ends_at=end)


def newest_over_time(spans: Iterable[Span], begins_at: datetime, ends_at: datetime) -> tuple[Segment, ...]:
    """Return for every instant of a period the newest recovery point that could be had.

    Args:
        spans: When which recovery point could be had; in any order, overlapping as they like.
        begins_at: Start of the period, aware.
        ends_at: Its end, not itself part of it.

    Returns:
        Segments that follow each other without a gap, from start to end; neighbours differ. None for an empty period.
    """
    if begins_at >= ends_at:
        return ()
    waiting = sorted((span for span in spans if span.ends_at is None or span.ends_at > begins_at), key=_begins)
    edges = {at for span in waiting for at in (span.begins_at, span.ends_at) if at and begins_at < at < ends_at}
    there: list[tuple[float, int, Span]] = []
    segments: list[Segment] = []
    taken = 0
    for begin, end in zip([begins_at, *sorted(edges)], [*sorted(edges), ends_at], strict=True):
        while taken < len(waiting) and waiting[taken].begins_at <= begin:
            heappush(there, (-waiting[taken].recovery_point_at.timestamp(), taken, waiting[taken]))
            taken += 1
        while there and (gone := there[0][2].ends_at) is not None and gone <= begin:
            heappop(there)
        point = there[0][2].recovery_point_at if there else None
        if segments and segments[-1].recovery_point_at == point:
            begin = segments.pop().begins_at  # noqa: PLW2901 - the segment before goes on
        segments.append(Segment(begins_at=begin, ends_at=end, recovery_point_at=point))
    return tuple(segments)


def _begins(span: Span) -> datetime:
    return span.begins_at


def sawtooth(segments: Iterable[Segment]) -> tuple[tuple[datetime, timedelta | None], ...]:
    """Return the corners of exposure over time, to be drawn as a line; None where there was nothing to restore."""
    return tuple(
        (at, None if item.recovery_point_at is None else at - item.recovery_point_at)
        for item in segments
        for at in (item.begins_at, item.ends_at)
    )


def find_breaches(segments: Iterable[Segment], limit: timedelta) -> tuple[Breach, ...]:
    """Return the times in which exposure was above `limit`, oldest first; neighbours are one breach."""
    found: list[Breach] = []
    for item in segments:
        point = item.recovery_point_at
        begin = item.begins_at if point is None else max(item.begins_at, point + limit)
        if begin >= item.ends_at:
            continue
        worst = None if point is None else item.ends_at - point
        if found and found[-1].ends_at == begin:
            before = found.pop()
            begin = before.begins_at
            worst = None if worst is None or before.worst is None else max(worst, before.worst)
        found.append(Breach(begins_at=begin, ends_at=item.ends_at, worst=worst))
    return tuple(found)


def met_ratio(segments: Sequence[Segment], limit: timedelta) -> float | None:
    """Return the share of the period in which exposure was within `limit`; None for an empty period."""
    whole = sum(((item.ends_at - item.begins_at) for item in segments), timedelta())
    broken = sum((breach.duration for breach in find_breaches(segments, limit)), timedelta())
    return 1 - broken / whole if whole else None
