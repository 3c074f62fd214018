"""Runs the real `goldcopy up` with a fake workspace, and asks its server over plain HTTP."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from shared.clock import monotonic_seconds, wait
from tests.support.fake_workspace import FOLDER_VARIABLE, FakeWorkspace

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = """
[repository]
recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
[sources.app]
url = "env:APP"
[sources.shop]
url = "env:SHOP"
schedule = { daily = "30 1 * * *" }
"""
_COMMAND = "import sys; from flows.up import command; sys.exit(command.main(args=sys.argv[1:], standalone_mode=False))"


class UpProcess:
    """One folder in which `goldcopy up` is started, stopped and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"GOLDCOPY_SUPERVISOR={folder / '.goldcopy'}".encode()
        self.output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        (folder / "goldcopy.toml").write_text(CONFIG)

    def start(self, *arguments: str) -> float:
        """Start it and wait until it is ready; returns the seconds that took."""
        began = monotonic_seconds()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        environment = kept | {
            "PYTHONPATH": os.pathsep.join((str(ROOT / "tests/support/fake_site"), str(ROOT))),
            FOLDER_VARIABLE: str(self.folder),
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *arguments],
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until(lambda: "Goldcopy is up: " in self.output.read_text() or self._has_ended(), "ready", 150)
        assert not self._has_ended(), self.output.read_text()
        self.url = self.output.read_text().partition("Goldcopy is up: ")[2].split()[0] + "/api"
        return monotonic_seconds() - began

    def _has_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def signal(self, kind: int) -> None:
        assert self.process is not None
        self.process.send_signal(kind)

    def ended(self, timeout_seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(timeout_seconds)

    def marked(self) -> list[int]:
        """Process ids of everything it started that lives."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill_everything(self) -> None:
        """Do what a power cut does."""
        assert self.process is not None
        victims = [self.process.pid, *self.marked()]
        for _ in range(3):
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            victims = self.marked()
        self.process.wait(10)

    def close(self) -> None:
        if self.process is not None:
            self.kill_everything()

    def post(self, path: str, document: dict[str, Any]) -> Any:
        answer = httpx.post(f"{self.url}{path}", json=document, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def run(self, deployment: str, **parameters: object) -> str:
        """Start a run of a deployment; returns its id."""
        found = self.get(f"/deployments/name/{deployment}")
        return str(self.post(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"])

    def state(self, run_id: str) -> str:
        return str(self.get(f"/flow_runs/{run_id}")["state"]["name"])

    def until_state(self, run_id: str, *names: str, timeout_seconds: float = 60) -> str:
        self.until(lambda: self.state(run_id) in names, f"{names}, is {self.state(run_id)}", timeout_seconds)
        return self.state(run_id)

    def until(self, condition: Any, what: str, timeout_seconds: float = 60) -> None:
        deadline = monotonic_seconds() + timeout_seconds
        while not condition():
            assert monotonic_seconds() < deadline, f"not {what}; output:\n{self.output.read_text()}"
            wait(0.2)

    def workspace(self) -> FakeWorkspace:
        return FakeWorkspace(self.folder)
