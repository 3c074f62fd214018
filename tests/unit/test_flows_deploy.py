"""Which deployments sources with their own schedule get, and what is said when Prefect and the configuration differ."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.deploy import compare, plan_own, read_definitions
from flows.planned import Deployed, Planned
from shared.domain.source import Schedule, Source
from shared.errors import ProgramMissing

STANDARD = read_definitions()
PLAIN = Source(name="app")
OWN = Source(name="shop", schedule=Schedule(daily="30 1 * * *", timezone="Europe/Zurich", own=True))
SOURCES = {"app": PLAIN, "shop": OWN}


def _as_deployed(planned: Planned) -> Deployed:
    crons = ((planned.cron, planned.timezone),) if planned.cron else ()
    return Deployed(name=planned.name, crons=crons, is_own=planned.is_own)


def _everything() -> dict[str, Deployed]:
    planned = {**STANDARD, **plan_own(SOURCES.values(), STANDARD)}
    return {name: _as_deployed(item) for name, item in planned.items()}


def test_own_deployments_come_from_the_standard_ones() -> None:
    planned = plan_own(SOURCES.values(), STANDARD)
    assert set(planned) == {"backup/shop-daily", "backup/shop-weekly", "restore-testing/shop-restore-test"}
    daily = planned["backup/shop-daily"]
    assert (daily.entrypoint, daily.cron, daily.timezone) == ("flows.backup.backup", "30 1 * * *", "Europe/Zurich")
    assert daily.parameters == {"kind": "daily", "reason": "daily schedule", "source": "shop"}
    assert planned["restore-testing/shop-restore-test"].cron == "0 4 * * L5"


def test_agreement_is_silent() -> None:
    assert compare(list(_everything().values()), SOURCES, STANDARD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backup/daily": None}, "backup/daily is missing in Prefect; run `prefect deploy --all`"),
        ({"backup/shop-daily": None}, "backup/shop-daily is missing in Prefect; run `goldcopy deploy`"),
        ({"cleanup/daily": {"crons": ()}}, "cleanup/daily is paused"),
        ({"backup/weekly": {"is_paused": True}}, "backup/weekly is paused"),
        (
            {"backup/shop-daily": {"crons": (("30 2 * * *", "UTC"),)}},
            "at 30 2 * * * UTC, expected is 30 1 * * * Eur",
        ),
        ({"backup/daily": {"crons": (("every day", "UTC"),)}}, "fires at every day UTC"),
    ],
)
def test_disagreement_is_said_in_one_sentence(change: dict[str, dict[str, Any] | None], said: str) -> None:
    deployed = _everything()
    for name, fields in change.items():
        if fields is None:
            del deployed[name]
        else:
            deployed[name] = replace(deployed[name], **fields)
    [line] = compare(list(deployed.values()), SOURCES, STANDARD)
    assert said in line


def test_same_schedule_in_other_words_is_no_disagreement() -> None:
    deployed = _everything()
    deployed["backup/weekly"] = replace(deployed["backup/weekly"], crons=(("00 2 * * sun", "UTC"),))
    assert compare(list(deployed.values()), SOURCES, STANDARD) == []


def test_deployment_of_a_source_that_is_gone_is_named() -> None:
    lines = compare(list(_everything().values()), {"app": PLAIN}, STANDARD)
    assert len(lines) == 3
    assert "backup/shop-daily belongs to no source" in lines[0]


def test_edited_standard_schedule_is_told_where_sources_expect_the_default() -> None:
    standard = {**STANDARD, "backup/daily": replace(STANDARD["backup/daily"], cron="0 3 * * *")}
    deployed = [_as_deployed(item) for item in standard.values()]
    [line] = compare(deployed, {"app": PLAIN}, standard)
    assert "prefect.yaml fires backup/daily at 0 3 * * * UTC" in line
    assert not [line for line in compare(deployed, {}, standard) if "prefect.yaml" in line]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match=r"prefect\.yaml is missing"):
        read_definitions(tmp_path / "prefect.yaml")
