"""What a watch says of whoever fires the schedules: nothing known, nobody there, not as configured."""

import pytest

import flows.firing
from flows.firing import SCHEDULES_DIFFER, SERVER_GONE, WORKER_GONE, firing_reasons
from shared.config.load import Config
from shared.errors import GoldcopyError, ProgramFailed, ProgramMissing

CONFIG: Config = None  # type: ignore[assignment]  # what is asked of Prefect is put in its place


def answer(monkeypatch: pytest.MonkeyPatch, *, pool: str | GoldcopyError, differences: list[str]) -> None:
    def check_pool(_config: Config) -> str:
        if isinstance(pool, GoldcopyError):
            raise pool
        return pool

    monkeypatch.setattr(flows.firing, "check_pool", check_pool)
    monkeypatch.setattr(flows.firing, "check_deployments", lambda _config: differences)


def codes() -> list[str]:
    return [reason.code for reason in firing_reasons(CONFIG) or ()]


def test_all_is_well_when_a_worker_lives_and_deployments_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, pool="", differences=[])
    assert firing_reasons(CONFIG) == ()


def test_where_no_prefect_is_known_nobody_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, pool=ProgramMissing("no Prefect server is known here", hint="Start it."), differences=[])
    assert firing_reasons(CONFIG) is None


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, pool=ProgramFailed("Prefect's API does not answer", hint="Check it."), differences=[])
    assert codes() == [SERVER_GONE]


def test_a_worker_that_is_gone_and_schedules_that_differ_are_both_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, pool="no worker lives", differences=["deployment backup/daily is paused", "another"])
    assert codes() == [WORKER_GONE, SCHEDULES_DIFFER]
    differs = (firing_reasons(CONFIG) or ())[1]
    assert "backup/daily is paused (and 1 more)" in differs.sentence
    assert differs.colour == "yellow"
