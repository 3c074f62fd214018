"""The words of a schedule are read as Prefect and cron read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from prefect._vendor.croniter import croniter  # type: ignore[attr-defined]

from shared.domain.schedule import Cron, cron_expression, parse_restore_test_schedule

TEN_YEARS_FROM = datetime(2026, 1, 1, tzinfo=UTC)
TEN_YEARS_TO = datetime(2036, 1, 1, tzinfo=UTC)


def instants(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found = []
    at = cron.next_after(start)
    while at < end:
        found.append(at)
        at = cron.next_after(at)
    return found


@pytest.mark.parametrize(
    "expression",
    [
        "0 2 * * *",
        "0 2 * * 0",
        "0 2 * * 7",
        "30 3 1 * *",
        "15 4 * * mon-fri",
        "0 0 13 * 5",
        "0 4 * * L5",
        "59 23 31 dec *",
        "0 5 29 2 *",
        "0 6 1-7/2 jan,jul sun",
        "20/20 8-10 */9 * *",
    ],
)
def test_ten_years_of_instants_equal_those_of_prefect(expression: str) -> None:
    ours = instants(Cron(expression), TEN_YEARS_FROM, TEN_YEARS_TO)

    theirs = croniter(expression, TEN_YEARS_FROM, ret_type=datetime)  # type: ignore[no-untyped-call]
    assert ours == [theirs.get_next() for _ in ours]  # type: ignore[no-untyped-call]
    assert theirs.get_next() >= TEN_YEARS_TO  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("expression", ["0 2 * * *", "*/20 9-17 * * mon-fri", "0 6 10 * 3", "5 0 */7 * *"])
def test_a_year_of_instants_in_a_zone_equals_that_of_prefect(expression: str) -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # 5 h 45 min ahead, and no daylight saving whose reading may differ
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ours = instants(Cron(expression, zone.key), start, start + timedelta(days=365))

    theirs = croniter(expression, start.astimezone(zone), ret_type=datetime)  # type: ignore[no-untyped-call]
    assert ours == [theirs.get_next().astimezone(UTC) for _ in ours]  # type: ignore[no-untyped-call]


def test_last_friday_comes_once_a_month_and_is_the_last_one() -> None:
    found = instants(parse_restore_test_schedule("last friday 04:00"), TEN_YEARS_FROM, TEN_YEARS_TO)

    assert len(found) == 120
    for at in found:
        assert (at.weekday(), at.hour, at.minute) == (4, 4, 0)
        assert (at + timedelta(days=7)).month != at.month


def test_last_day_words_become_the_cron_that_prefect_understands() -> None:
    assert cron_expression("last friday 04:00") == "0 4 * * L5"
    assert cron_expression("Last  Sunday 23:45") == "45 23 * * L0"
    assert cron_expression(" 0 2  * * * ") == "0 2 * * *"


def test_previous_and_next_surround_an_instant() -> None:
    cron = Cron("0 2 * * *")
    fired = datetime(2026, 11, 21, 2, tzinfo=UTC)

    assert cron.previous_before(fired) == fired
    assert cron.previous_before(fired - timedelta(microseconds=1)) == fired - timedelta(days=1)
    assert cron.next_after(fired) == fired + timedelta(days=1)
    assert cron.next_after(fired - timedelta(microseconds=1)) == fired


def test_walking_back_visits_the_same_instants_as_walking_forward() -> None:
    cron = Cron("0,30 4 * * L5,mon", "Europe/Zurich")
    forward = instants(cron, TEN_YEARS_FROM, TEN_YEARS_FROM + timedelta(days=400))

    backward = [forward[-1]]
    while len(backward) < len(forward):
        backward.append(cron.previous_before(backward[-1] - timedelta(seconds=1)))

    assert backward[::-1] == forward


def test_a_zone_moves_the_instants_with_its_daylight_saving() -> None:
    cron = Cron("0 2 * * *", "America/New_York")

    assert cron.next_after(datetime(2026, 1, 10, tzinfo=UTC)).hour == 7
    assert cron.next_after(datetime(2026, 7, 10, tzinfo=UTC)).hour == 6


def test_a_skipped_wall_time_still_comes_once_and_a_doubled_one_only_once() -> None:
    cron = Cron("30 2 * * *", "America/New_York")
    spring = instants(cron, datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))
    autumn = instants(
        Cron("30 1 * * *", "America/New_York"),
        datetime(2026, 10, 31, tzinfo=UTC),
        datetime(2026, 11, 3, tzinfo=UTC),
    )

    assert spring == [
        datetime(2026, 3, 7, 7, 30, tzinfo=UTC),
        datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
        datetime(2026, 3, 9, 6, 30, tzinfo=UTC),
    ]
    assert [at.day for at in autumn] == [31, 1, 2]


def test_two_ways_to_write_a_schedule_are_the_same() -> None:
    assert parse_restore_test_schedule("last friday 04:00") == Cron("0 4 * * L5")
    assert Cron("0 2 * * 7") == Cron("0 2 * * sun")
    assert Cron("0 2 * * *") != Cron("0 3 * * *")
    assert Cron("0 2 * * *") != Cron("0 2 * * *", "Europe/Zurich")


@pytest.mark.parametrize(
    ("words", "zone", "said"),
    [
        ("", "UTC", "five cron fields"),
        ("daily", "UTC", "five cron fields"),
        ("0 2 * *", "UTC", "five cron fields"),
        ("0 0 2 * * *", "UTC", "five cron fields"),
        ("60 2 * * *", "UTC", "'60' is not between 0 and 59"),
        ("0 24 * * *", "UTC", "'24' is not between 0 and 23"),
        ("0 2 0 * *", "UTC", "'0' is not between 1 and 31"),
        ("0 2 * 13 *", "UTC", "'13' is not between 1 and 12"),
        ("0 2 * * 8", "UTC", "'8' is not between 0 and 7"),
        ("0 2 * * 5L", "UTC", "'5L' is not between 0 and 7"),
        ("0 2 * * L", "UTC", "'L' is not between"),
        ("*/0 2 * * *", "UTC", "'0' is not between 1 and 59"),
        ("0 5-3 * * *", "UTC", "runs backwards"),
        ("0 2, * * *", "UTC", "'' is not between"),
        ("0 2 30 2 *", "UTC", "never comes"),
        ("last friday 25:00", "UTC", "five cron fields"),
        ("last freitag 04:00", "UTC", "five cron fields"),
        ("0 2 * * *", "Mars/Olympus", "not a time zone"),
        ("0 2 * * *", "../etc/passwd", "not a time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_part_that_is_wrong(words: str, zone: str, said: str) -> None:
    with pytest.raises(ValueError, match="not a") as caught:
        parse_restore_test_schedule(words, zone)

    assert said in str(caught.value)
