"""Quiet hours and maintenance windows that swallow everything are found by a check."""

from datetime import timedelta

import pytest

from shared.domain.quiet import MaintenanceWindow, parse_quiet_hours
from shared.domain.schedule import Cron
from shared.domain.silence import check_silence
from shared.domain.source_watch import WatchPolicy
from tests.support.watch_story import at

NOW = at("2026-03-02 12:00")


@pytest.mark.parametrize(
    ("hours", "is_found"),
    [
        ("00:00-23:59", True),
        ("08:00-07:00", True),
        ("00:00-22:01", True),
        ("22:00-07:00", False),
        ("18:00-16:00", False),
    ],
)
def test_quiet_hours_of_nearly_all_day_are_found(hours: str, is_found: bool) -> None:
    found = list(check_silence(WatchPolicy(quiet=parse_quiet_hours(hours)), NOW))
    assert [item.object for item in found] == (["watch.quiet_hours"] if is_found else [])


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (MaintenanceWindow(reason="w", cron=Cron("0 22 * * 6"), lasts=timedelta(days=8)), "never ends"),
        (MaintenanceWindow(reason="w", cron=Cron("0 22 1 * *"), lasts=timedelta(days=9)), "7 days each time"),
        (MaintenanceWindow(reason="w", begins_at=NOW, ends_at=at("9999-01-01 00:00")), "until 9999-01-01 00:00 UTC"),
        (MaintenanceWindow(reason="w", cron=Cron("0 22 * * 6"), lasts=timedelta(hours=4)), ""),
        (MaintenanceWindow(reason="w", begins_at=NOW, ends_at=NOW + timedelta(days=2)), ""),
        (MaintenanceWindow(reason="w", begins_at=at("2025-01-01 00:00"), ends_at=at("2025-03-01 00:00")), ""),
    ],
)
def test_maintenance_that_lasts_for_very_long_is_found(window: MaintenanceWindow, words: str) -> None:
    found = [item.message for item in check_silence(WatchPolicy(maintenance=(window,)), NOW)]
    assert len(found) == bool(words)
    assert words in "".join(found)
