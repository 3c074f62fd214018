"""The real `goldcopy app` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from shared.clock import monotonic_seconds, wait

_START_SECONDS = 90.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class RunningApp:
    """An app that answers.

    Attributes:
        url: Its address, without a slash at its end.
        log: What it prints.
    """

    url: str
    log: Path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(
    config: Path, *arguments: str, port: int | None = None, environment: dict[str, str] | None = None
) -> Iterator[RunningApp]:
    """Start the app from a folder that is not its own, wait until it answers, and stop it at the end."""
    chosen = port or free_port()
    log = config.with_suffix(f".{chosen}.log")
    command = [sys.executable, "-m", "shared.cli.main", "--config", str(config), "app", "--port", str(chosen)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=config.parent,
            env=_environment() | (environment or {}),
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(process, chosen, log)
        yield RunningApp(f"http://127.0.0.1:{chosen}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STREAMLIT_"))}
    return kept | {"PYTHONPATH": str(ROOT)}


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = monotonic_seconds() + _START_SECONDS
    while monotonic_seconds() < deadline:
        assert process.poll() is None, log.read_text("utf-8", "replace")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            wait(0.1)
    raise AssertionError(f"the app did not answer: {log.read_text('utf-8', 'replace')}")
