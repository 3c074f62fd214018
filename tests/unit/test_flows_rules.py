"""Small rules of the flows: retries, picks, plain errors, environment, working folder, progress in words."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from flows import supervision_environment
from flows.backup import back_up
from flows.progress import Progress
from flows.restore_testing import Pick, pick_of_month
from flows.support import PlainErrors, is_retryable
from flows.working_folder import enter_config_folder
from shared.errors import ConfigInvalid, DigestMismatch, GoldcopyError, SourceUnreachable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceUnreachable("down", hint="Wait."), True),
        (DigestMismatch("differs", hint="Look."), False),
        (RuntimeError("bug"), False),
    ],
)
def test_only_retryable_errors_are_retried(error: Exception, expected: bool) -> None:
    run = TaskRun(task_key="back up", dynamic_key="1")
    assert is_retryable(back_up, run, Failed(data=error)) is expected


@pytest.mark.parametrize(
    ("pick", "month", "expected"),
    [
        (Pick.ROTATE, 11, "newest"),
        (Pick.ROTATE, 12, "random"),
        (Pick.OLDEST, 12, "oldest"),
        (Pick.NEWEST, 12, "newest"),
    ],
)
def test_monthly_pick_rotates(pick: Pick, month: int, expected: str) -> None:
    assert pick_of_month(pick, datetime(2026, month, 27, 4, tzinfo=UTC)) == expected


def _record(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error):
        return logging.LogRecord("x", logging.ERROR, __file__, 1, "Encountered exception", (), sys.exc_info())


def test_expected_error_is_logged_as_a_sentence_and_a_bug_with_its_trace() -> None:
    expected, bug = _record(GoldcopyError("disk full", hint="Free some.")), _record(RuntimeError("bug"))
    assert PlainErrors().filter(expected)
    assert PlainErrors().filter(bug)
    assert (expected.getMessage(), expected.exc_info) == ("GoldcopyError: disk full. Free some.", None)
    assert bug.exc_info is not None


def test_environment_of_programs_is_ours_and_not_the_persons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_of_another_place")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://prefect")
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://app")
    found = supervision_environment.program_environment(
        home=tmp_path, api_url="http://127.0.0.1:4200/api", config=tmp_path / "goldcopy.toml", supervisor="mark"
    )
    assert "PREFECT_API_KEY" not in found
    assert found["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://prefect"
    assert found["APP_DATABASE_URL"] == "postgresql://app"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert found["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"
    assert found["GOLDCOPY_CONFIG"] == str(tmp_path / "goldcopy.toml")


def test_run_enters_the_folder_of_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "goldcopy.toml").touch()
    monkeypatch.delenv("GOLDCOPY_CONFIG", raising=False)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert enter_config_folder() == {"directory": str(tmp_path)}
    monkeypatch.setenv("PWD", "/")
    monkeypatch.setenv("GOLDCOPY_CONFIG", str(tmp_path / "goldcopy.toml"))
    assert enter_config_folder() == {"directory": str(tmp_path)}


def test_worker_without_configuration_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOLDCOPY_CONFIG", raising=False)
    monkeypatch.setenv("PWD", str(tmp_path))
    with pytest.raises(ConfigInvalid, match="GOLDCOPY_CONFIG"):
        enter_config_folder()


def test_progress_is_said_in_words_and_per_cent() -> None:
    progress = Progress("app")
    assert (progress.description(), progress.percent()) == ("app: start", 0.0)
    progress.note("dump", 43_000_000, 100_000_000)
    assert (progress.description(), progress.percent()) == ("app: dump 43.0 MB of 100.0 MB", 43.0)
    progress.note("dump", 120, 100)
    assert progress.percent() == 100.0
    progress.note("prove", 7, None)
    assert (progress.description(), progress.percent()) == ("app: prove", 0.0)
