"""The Prefect server of `goldcopy up`: its port, its health, and where others find it."""

import json
import socket
from pathlib import Path

import httpx

from flows.supervision import Program
from shared.clock import monotonic_seconds, wait
from shared.errors import ConfigInvalid, ProgramFailed

HOST = "127.0.0.1"
DEFAULT_PORT = 4200
# A first start makes Prefect's database: 13 s here, more on a busy machine.
START_TIMEOUT_SECONDS = 180.0
STATE_FILE = "up.json"


def choose_port(wanted: int | None, state_folder: Path) -> int:
    """Return the port to use: the wanted one, else the one of last time, else Prefect's usual, else any free one.

    Raises:
        ConfigInvalid: The wanted port is taken.
    """
    if wanted is not None:
        if not _is_free(wanted):
            raise ConfigInvalid(
                f"port {wanted} is taken by another program", hint="Choose another with --port, or leave --port away."
            )
        return wanted
    return (
        next((port for port in (_last_port(state_folder), DEFAULT_PORT) if port and _is_free(port)), 0) or _any_port()
    )


def free_port_near(wanted: int) -> int:
    """Return the wanted port, or any free one where another program has it."""
    return wanted if _is_free(wanted) else _any_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _last_port(state_folder: Path) -> int | None:
    return _state(state_folder).get("port")


def _state(state_folder: Path) -> dict[str, int]:
    try:
        found = json.loads((state_folder / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember_port(state_folder: Path, port: int) -> None:
    """Note the port, so that the next start uses it again and `goldcopy deploy` finds the server."""
    (state_folder / STATE_FILE).write_text(json.dumps({"port": port}) + "\n", "utf-8")


def api_url_of(state_folder: Path) -> str | None:
    """Return the address of the API of this state folder's server, where one answers."""
    port = _last_port(state_folder)
    return api_url(port) if port and is_healthy(api_url(port)) else None


def api_url(port: int) -> str:
    """Return the address of the API on a port of this machine."""
    return f"http://{HOST}:{port}/api"


def is_healthy(url: str) -> bool:
    """Ask the server whether it is well."""
    try:
        return httpx.get(f"{url}/health", timeout=5).json() is True
    except (httpx.HTTPError, ValueError):
        return False


def wait_until_healthy(server: Program, url: str) -> None:
    """Wait for the first good answer.

    Raises:
        ProgramFailed: The server ended or did not answer in time; the message holds the end of its log.
    """
    deadline = monotonic_seconds() + START_TIMEOUT_SECONDS
    while server.is_running and monotonic_seconds() < deadline:
        if is_healthy(url):
            return
        wait(0.2)
    happened = "did not answer in time" if server.is_running else "ended at once"
    raise ProgramFailed(
        f"the Prefect server {happened}; the end of its log:\n{server.log_tail()}\n", hint=f"Read {server.log}."
    )
