"""What `goldcopy check` says of quiet hours and maintenance windows: can people still be told of anything?"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from shared.domain.detection import longest_interval
from shared.domain.proof import Finding, Severity
from shared.domain.quiet import MaintenanceWindow, QuietHours
from shared.domain.source_watch import WatchPolicy
from shared.units import format_minute

# So much of a day must be left to tell what quiet hours held back.
_LOUD_AT_LEAST = timedelta(hours=2)
_LONGEST_WINDOW = timedelta(days=7)
_DAY = timedelta(days=1)


def check_silence(policy: WatchPolicy, now: datetime) -> Iterator[Finding]:
    """Find quiet hours and maintenance windows that keep quiet for so long that trouble is never, or hardly, told.

    Args:
        policy: How people are told.
        now: Aware instant; windows that are over are nobody's mistake.
    """
    if policy.quiet is not None and _DAY - quiet_length(policy.quiet) < _LOUD_AT_LEAST:
        yield Finding(
            check="silence",
            severity=Severity.WARNING,
            object="watch.quiet_hours",
            message=f"quiet hours from {policy.quiet.begin:%H:%M} to {policy.quiet.end:%H:%M} last nearly all day: "
            "what is not red is hardly ever told",
            hint="Make watch.quiet_hours shorter, such as 22:00-07:00.",
        )
    for window in policy.maintenance:
        words = _too_long(window, now)
        if words:
            yield Finding(
                check="silence",
                severity=Severity.WARNING,
                object="watch.maintenance",
                message=f"maintenance window {window.reason!r} {words}: nothing bad is told of its sources in it",
                hint="Let watch.maintenance hold only for as long as the work takes.",
            )


def quiet_length(quiet: QuietHours) -> timedelta:
    """Return how long quiet hours last on a day without a jump of the clock."""
    begin, end = (datetime.combine(date.min, at) for at in (quiet.begin, quiet.end))
    return end - begin if begin <= end else end - begin + _DAY


def _too_long(window: MaintenanceWindow, now: datetime) -> str:
    if window.cron is not None:
        if window.lasts >= longest_interval(window.cron.expression, window.cron.timezone, now):
            return "begins again before it is over and so never ends"
        return "lasts longer than 7 days each time" if window.lasts > _LONGEST_WINDOW else ""
    begins, ends = window.begins_at, window.ends_at
    is_long = begins is not None and ends is not None and ends > now and ends - begins > _LONGEST_WINDOW
    return f"lasts longer than 7 days, until {format_minute(ends)}" if is_long and ends is not None else ""
