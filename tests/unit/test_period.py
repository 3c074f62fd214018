"""Periods of reports: months, quarters, years and days, in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.period import month_before, month_of, parse_period


@pytest.mark.parametrize(
    ("text", "label", "title", "begin", "days"),
    [
        ("2026-10", "2026-10", "October 2026", (2026, 10, 1), 31),
        ("2024-02", "2024-02", "February 2024", (2024, 2, 1), 29),
        ("2026-12", "2026-12", "December 2026", (2026, 12, 1), 31),
        ("2026-q4", "2026-Q4", "Q4 2026", (2026, 10, 1), 92),
        (" 2026 ", "2026", "2026", (2026, 1, 1), 365),
        ("2026-10-05..2026-10-05", "2026-10-05..2026-10-05", "2026-10-05 to 2026-10-05", (2026, 10, 5), 1),
    ],
)
def test_a_period_is_read(text: str, label: str, title: str, begin: tuple[int, int, int], days: int) -> None:
    period = parse_period(text)

    assert (period.label, period.title) == (label, title)
    assert period.begins_at == datetime(*begin, tzinfo=UTC)
    assert period.ends_at - period.begins_at == timedelta(days=days)


@pytest.mark.parametrize(
    "text", ["", "october", "2026-13", "2026-00", "2026-Q5", "2026-10-05..2026-10-01", "0000", "../x"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a period"):
        parse_period(text)


def test_months_are_those_of_utc() -> None:
    new_year_in_tokyo = datetime(2027, 1, 1, 5, tzinfo=timezone(timedelta(hours=9)))

    assert month_of(new_year_in_tokyo).label == "2026-12"
    assert month_before(new_year_in_tokyo).label == "2026-11"
    assert month_before(datetime(2027, 1, 31, tzinfo=UTC)).label == "2026-12"
