"""When the notices of the calendar are due: each period has one instant, and that instant is its name."""

from datetime import datetime, timedelta

from shared.domain.schedule import Cron


def due_period(cron: Cron | None, started_at: datetime, now: datetime) -> datetime | None:
    """Return the instant of the period whose notice should have been told by now, whether it was or not.

    Args:
        cron: When such notices are told; None for never.
        started_at: When the watch looked for the first time; nothing is due from before.
        now: Aware instant.
    """
    if cron is None:
        return None
    period = cron.previous_before(now)
    return period if period > started_at else None


def period_before(cron: Cron, period: datetime) -> datetime:
    """Return the instant at which the period before began."""
    return cron.previous_before(period - timedelta(microseconds=1))
