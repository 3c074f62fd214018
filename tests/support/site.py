"""A folder with a configuration, as an operator has one, and the command line driven from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.operations.setup import write_configuration
from shared.postgres.connection import DatabaseAddress

if TYPE_CHECKING:
    from shared.wiring import Workspace

MakeSite = Callable[..., "Site"]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed


@dataclass
class Site:
    """One configuration and what lies beside it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config_path(self) -> Path:
        return self.folder / "goldcopy.toml"

    @property
    def repository_folder(self) -> Path:
        return self.folder / ".goldcopy" / "repository"

    @property
    def identity_path(self) -> Path:
        return self.folder / ".goldcopy" / "identity.txt"

    def add_source(self, name: str, address: DatabaseAddress, settings: str = "") -> None:
        """Name a database; its URL goes by a file, as a secret does."""
        secret = self.folder / f"{name}-url.txt"
        secret.write_text(conninfo(address))
        with self.config_path.open("a") as config:
            config.write(f'\n[sources.{name}]\nurl = "file:{name}-url.txt"\n{settings}\n')

    def change(self, old: str, new: str) -> None:
        """Edit the configuration."""
        text = self.config_path.read_text()
        assert old in text
        self.config_path.write_text(text.replace(old, new))

    def command(self, *arguments: str) -> list[str]:
        """The argument list of a command."""
        return [sys.executable, "-m", "shared.cli.main", "--config", str(self.config_path), *arguments]

    def goldcopy(self, *arguments: str, timeout_seconds: float = 240) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=self._environment(),
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
            start_new_session=True,
        )

    @contextmanager
    def open(self) -> Iterator["Workspace"]:
        """The same without a process in between."""
        from shared.wiring import open_workspace

        os.environ.setdefault("GOLDCOPY_TOOLS", str(Path(__file__).parents[2] / ".goldcopy" / "tools"))
        with open_workspace(str(self.config_path)) as workspace:
            yield workspace

    def _environment(self) -> dict[str, str]:
        checkout = Path(__file__).parents[2]
        tools = os.environ.get("GOLDCOPY_TOOLS") or str(checkout / ".goldcopy" / "tools")
        return {**os.environ, "PYTHONPATH": str(checkout), "GOLDCOPY_TOOLS": tools, **self.environment}


def conninfo(address: DatabaseAddress, **changes: str) -> str:
    """Print an address in libpq's keyword form, password included."""
    parameters: Mapping[str, str] = {**address.parameters, **changes}

    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace("'", "\\'")

    return " ".join(f"{name}='{quoted(value)}'" for name, value in parameters.items())


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """Make a folder with a fresh configuration; name sources by keyword."""

    def make(folder: str = "site", **sources: DatabaseAddress) -> Site:
        site = Site(tmp_path / folder)
        write_configuration(site.config_path)
        for name, address in sources.items():
            site.add_source(name, address)
        return site

    return make
