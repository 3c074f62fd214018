"""What the commands about evidence and money print."""

from datetime import UTC, date, datetime

from monitor_app.components.storage_chart import volume_figure
from monitor_app.components.text import scale_of
from monitor_app.components.theme import LIGHT
from shared.cli.report_commands import _bill, _damage
from shared.domain.compliance import judge_period
from shared.domain.forecast import DayVolume
from shared.reports.content import compose
from shared.reports.csv_files import csv_files
from tests.support.compliance_facts import quiet_month

LATE = {"is_damage_noticed_in_time": False, "unseen_seconds": 35 * 86400.0, "retention_seconds": 2 * 86400.0}


def test_a_sum_below_a_cent_is_not_nothing() -> None:
    lines = list(_bill({"currency": "EUR", "cost": {"storage": "0.00000035", "reads": None, "total": "0.00000035"}}))

    assert lines == ["a month: storage under 0.01 EUR, total under 0.01 EUR; no price for reads"]


def test_without_prices_an_example_is_given() -> None:
    assert "  [prices]" in list(_bill({"currency": "", "cost": {"storage": None, "total": None}}))


def test_a_policy_that_notices_damage_too_late_is_told_beside_todays() -> None:
    today = {**LATE, "retention_seconds": 28 * 86400.0}

    assert list(_damage(LATE | {"is_damage_noticed_in_time": True}, today)) == []
    alone = list(_damage(LATE, {**today, "is_damage_noticed_in_time": True}))
    assert len(alone) == 1
    assert list(_damage(LATE, today))[1].startswith("  today's policy fails alike: it keeps them for")


def test_durations_in_csv_name_their_unit() -> None:
    files = dict(csv_files(compose(judge_period(quiet_month()))))

    head = files["agreed.csv"].decode("utf-8-sig").splitlines()[0]
    assert head == "Source,Schedule,Retention,Recovery point_seconds,Proven_seconds,Recovery time_seconds,Success rate"
    assert "Worst exposure: Limit_seconds" in files["sources.csv"].decode("utf-8-sig").splitlines()[0]


def test_one_day_is_drawn_with_a_mark_and_the_days_around_it() -> None:
    figure = volume_figure([DayVolume(day=date(2026, 11, 21), stored_bytes=58_000)], (), None, LIGHT)

    stored = next(trace for trace in figure.data if trace.name == "stored")
    assert stored.mode == "lines+markers"
    assert list(figure.layout.xaxis.range) == [datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)]


def test_the_unit_of_a_column_follows_its_largest_value() -> None:
    assert [scale_of(value)[1] for value in (0, 12, 58_000, 4.3e6, 127_777.9e6, 4.3e12)] == [
        "B",
        "B",
        "kB",
        "MB",
        "GB",
        "TB",
    ]
