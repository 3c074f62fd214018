"""prefect.yaml says what it means: its flows load, its parameters fit, its schedules fire on the right days."""

from calendar import FRIDAY, monthrange
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.server.schemas.schedules import CronSchedule
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.utilities.callables import parameter_schema

from flows.deploy import PREFECT_FILE, read_definitions
from flows.supervision_environment import POOL, SETTINGS
from shared.domain.source import Schedule

DOCUMENT = yaml.safe_load(Path(PREFECT_FILE).read_text("utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DOCUMENT["deployments"]
NEEDED = {"restore": {"backup_id": "20261121T020000Z-app-7f3a", "to": "env:TARGET", "reason": "drill"}}
TEN_YEARS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))


def _title(deployment: dict[str, Any]) -> str:
    return f"{deployment['entrypoint']}/{deployment['name']}"


def _flow(deployment: dict[str, Any]) -> Flow[..., Any]:
    return load_flow_from_entrypoint(deployment["entrypoint"])


def _dates(name: str) -> list[datetime]:
    planned = read_definitions()[name]
    assert planned.cron is not None
    schedule = CronSchedule(cron=planned.cron, timezone=planned.timezone)
    start, end = TEN_YEARS
    dates: list[datetime] = []
    # Prefect gives at most a thousand at once.
    while True:
        found: Any = run_coro_as_sync(schedule.get_dates(n=1000, start=start, end=end - timedelta(seconds=1)))
        if not found:
            return dates
        dates += found
        start = found[-1] + timedelta(seconds=1)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=_title)
def test_entrypoint_loads_and_parameters_are_valid(deployment: dict[str, Any]) -> None:
    flow = _flow(deployment)
    given = NEEDED.get(flow.name, {}) | deployment.get("parameters", {})
    flow.validate_parameters(given)
    assert set(given) <= set(parameter_schema(flow).properties)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=_title)
def test_every_deployment_has_what_operators_rely_on(deployment: dict[str, Any]) -> None:
    assert deployment["work_pool"]["name"] == POOL
    assert "goldcopy" in deployment["tags"]
    assert len(deployment["description"]) > 40
    assert deployment["concurrency_limit"]["limit"] >= 1
    assert "schedules" in deployment, "absent means: schedules of an older deploy stay"
    strategy = "CANCEL_NEW" if deployment["schedules"] else "ENQUEUE"
    assert deployment["concurrency_limit"]["collision_strategy"] == strategy
    assert _flow(deployment).timeout_seconds


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=_title)
def test_flows_persist_nothing_and_explain_their_parameters(deployment: dict[str, Any]) -> None:
    flow = _flow(deployment)
    assert flow.persist_result is False
    for name, schema in parameter_schema(flow).properties.items():
        assert schema.get("description"), f"{flow.name}: {name} has no description in the run form"


def test_names_are_what_goldcopy_deploy_builds_on() -> None:
    names = [f"{_flow(deployment).name}/{deployment['name']}" for deployment in DEPLOYMENTS]
    assert sorted(names) == sorted(read_definitions())
    assert len(set(names)) == len(names)


def test_nothing_in_the_file_needs_an_environment_variable() -> None:
    assert "{{" not in Path(PREFECT_FILE).read_text("utf-8")


def test_workers_elsewhere_get_the_settings_of_goldcopy_up() -> None:
    for name, value in DEPLOYMENTS[0]["work_pool"]["job_variables"]["env"].items():
        assert SETTINGS[name] == value


def test_daily_backup_fires_every_day_at_two() -> None:
    start, end = TEN_YEARS
    days = (end - start).days
    assert _dates("backup/daily") == [start.replace(hour=2) + timedelta(days=day) for day in range(days)]


def test_weekly_backup_fires_every_sunday_at_two() -> None:
    assert _dates("backup/weekly") == [at for at in _dates("backup/daily") if at.isoweekday() == 7]


def test_monthly_restore_test_fires_on_the_last_friday_at_four() -> None:
    months = [(year, month) for year in range(2026, 2036) for month in range(1, 13)]
    expected = [datetime(*_last_friday(year, month), 4, tzinfo=UTC) for year, month in months]
    assert _dates("restore-testing/monthly") == expected


def _last_friday(year: int, month: int) -> tuple[int, int, int]:
    last = date(year, month, monthrange(year, month)[1])
    last -= timedelta(days=(last.weekday() - FRIDAY) % 7)
    return last.year, last.month, last.day


def test_cleanup_follows_the_backups_and_verify_is_weekly() -> None:
    assert {at.hour for at in _dates("cleanup/daily")} == {5}
    assert {at.isoweekday() for at in _dates("verify/weekly")} == {6}


def test_report_comes_after_the_month_that_it_is_about() -> None:
    assert {(at.day, at.hour) for at in _dates("report/monthly")} == {(1, 7)}
    assert len(_dates("report/monthly")) == 120


def test_schedules_are_those_that_the_configuration_expects_by_default() -> None:
    definitions, default = read_definitions(), Schedule()
    assert definitions["backup/daily"].cron == default.daily
    assert definitions["backup/weekly"].cron == default.weekly
    assert default.restore_test == "last friday 04:00"
    assert definitions["restore-testing/monthly"].cron == "0 4 * * L5"
