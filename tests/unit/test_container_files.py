"""The container files fit together: names, files, commands, and the example configuration."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from shared.cli.main import cli
from shared.config.load import load_config

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
PUBLIC_KEY = "age1rs6l0835flvdmhge490wu234frqgpp03wvx8gp60yhv6794yu5vq69279h"
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def variables(path: Path) -> set[str]:
    return set(re.findall(r"^([A-Z_0-9]+)=", path.read_text("utf-8"), re.MULTILINE))


def test_every_variable_of_the_compose_file_is_in_its_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text("utf-8")))
    assert used == variables(ROOT / "deploy" / "compose.env")


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "proxy"])
def test_service_waits_only_for_services_that_are_there(name: str) -> None:
    assert set(SERVICES[name].get("depends_on", {})) <= set(SERVICES)


def test_mounted_files_are_there_or_made_by_the_operator() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service["volumes"]]
    files = {mount.split(":")[0] for mount in mounts if mount.startswith("./")}
    assert [file for file in files if not file.startswith("./deploy/site/") and not (ROOT / file).exists()] == []
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(COMPOSE["volumes"])


def test_example_configuration_is_valid_and_names_only_what_the_services_get(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "goldcopy.toml").read_text("utf-8")
    (tmp_path / "goldcopy.toml").write_text(text.replace("age1...", PUBLIC_KEY))
    config = load_config(str(tmp_path / "goldcopy.toml"), {})
    assert config.file.app.sign_in is not None
    named = set(re.findall(r'"env:([A-Z_0-9]+)"', text))
    given = variables(ROOT / "deploy/worker.env") | variables(ROOT / "deploy/app.env")
    assert named <= given | {*SERVICES["worker"]["environment"], *SERVICES["app"]["environment"]}
    assert "SHOP_DATABASE_URL" not in variables(ROOT / "deploy/app.env")


def test_commands_of_the_services_parse() -> None:
    commands = [service["command"] for service in SERVICES.values() if "command" in service]
    lines = [line.split() for command in commands for line in command[-1].splitlines() if line.startswith("goldcopy")]
    for words in [*lines, *(command for command in commands if command[0] == "goldcopy")]:
        found = cli.get_command(click.Context(cli), words[1])
        assert found is not None
        found.make_context(words[1], list(words[2:]))


def test_image_is_made_of_files_that_are_there_and_does_not_run_as_root() -> None:
    text = (ROOT / "Containerfile").read_text("utf-8")
    copied = [word for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["goldcopy"]
