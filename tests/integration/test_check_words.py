"""What goldcopy check says where little or nothing is there: once, and with advice that helps."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from shared.cli.main import cli
from shared.operations.setup import write_configuration


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("shared.wiring.checking.entry_points", lambda **_group: ())
    path = tmp_path / "goldcopy.toml"
    write_configuration(path)
    return path


def run(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["--config", str(config), *arguments], standalone_mode=False)
    assert result.exception is None, result.output
    return result.return_value, result.output


def check(config: Path) -> tuple[int, list[dict[str, Any]]]:
    code, output = run(config, "check", "--json")
    return code, json.loads(output)["findings"]


def test_without_a_source_nothing_is_protected_and_nothing_is_ready(config: Path) -> None:
    code, output = run(config, "check")
    assert code == 1
    assert "no source is configured: nothing is protected" in output
    assert output.splitlines()[-1].startswith("not ready")
    assert "channels: channels:" not in output
    assert "no source is configured: nothing is protected" in run(config, "watch")[1]


def test_repository_that_is_gone_is_said_once_and_nobody_is_led_to_make_a_new_one(config: Path) -> None:
    check(config)
    repository = config.parent / ".goldcopy" / "repository"
    assert repository.is_dir()
    shutil.rmtree(repository)
    _, findings = check(config)
    [gone] = [finding for finding in findings if "there is no repository at" in finding["message"]]
    assert "mounted" in gone["hint"]
    assert "goldcopy init" not in gone["hint"]
    assert not (repository / "goldcopy.json").exists()
