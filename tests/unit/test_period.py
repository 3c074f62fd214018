"""Periods of reports: months, quarters, years and days, in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.period import Stretch, month_before, month_of, parse_period, within


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
    "text",
    [
        "",
        "october",
        "2026-13",
        "2026-00",
        "2026-Q5",
        "2026-10-05..2026-10-01",
        "0000",
        "0001",
        "1999-12",
        "２０２６",
        "../x",
    ],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a period"):
        parse_period(text)


def test_months_are_those_of_utc() -> None:
    new_year_in_tokyo = datetime(2027, 1, 1, 5, tzinfo=timezone(timedelta(hours=9)))

    assert month_of(new_year_in_tokyo).label == "2026-12"
    assert month_before(new_year_in_tokyo).label == "2026-11"
    assert month_before(datetime(2027, 1, 31, tzinfo=UTC)).label == "2026-12"


def test_stretches_are_cut_joined_and_the_short_ones_left_out() -> None:
    begins_at, until = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)

    def stretch(begin_hours: float, end_hours: float) -> Stretch:
        return Stretch(begins_at + timedelta(hours=begin_hours), begins_at + timedelta(hours=end_hours))

    found = [
        stretch(100, 103), stretch(102, 104), stretch(103, 103.5),  # overlap
        stretch(10, 10.9),  # short
        stretch(-50, 2), stretch(-70, -60), stretch(-5, 0.5),  # begin before, or are over
        stretch(740, 900), stretch(743.5, 800), stretch(800, 900),  # last beyond the end, or are later
    ]  # fmt: skip
    assert within(found, begins_at, until) == (stretch(0, 2), stretch(100, 104), stretch(740, 744))
    assert within([], begins_at, until) == ()
