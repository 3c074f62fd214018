"""Supervision of child programs: marks, locks, restarts, ports."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import server
from flows.supervision import Program, clear_leftovers, is_marked, only_supervisor, run_prefect
from flows.supervision_environment import MARKER
from shared.clock import monotonic_seconds, wait
from shared.errors import ConfigInvalid, ProgramFailed, RunConflict

SLEEP = ("-c", "import time; time.sleep(60)")


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    clear_leftovers(str(tmp_path))


def _program(tmp_path: Path, *arguments: str) -> Program:
    return Program("child", arguments, {**os.environ, MARKER: str(tmp_path)}, tmp_path / "child.log")


def _until(condition: object, seconds: float = 10) -> bool:
    deadline = monotonic_seconds() + seconds
    while not condition() and monotonic_seconds() < deadline:  # type: ignore[operator]
        wait(0.02)
    return bool(condition())  # type: ignore[operator]


def test_leftovers_are_ended_by_their_mark_and_nothing_else_is(tmp_path: Path, mark: str) -> None:
    environment = {**os.environ, MARKER: mark}
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    left = subprocess.Popen([sys.executable, *SLEEP], env=environment, start_new_session=True)
    other = subprocess.Popen([sys.executable, *SLEEP], env={**environment, MARKER: mark + "-other"})
    deaf = subprocess.Popen([sys.executable, "-c", stubborn], env=environment)
    spared = subprocess.Popen([sys.executable, *SLEEP], env=environment, start_new_session=True)
    try:
        assert _until(lambda: is_marked(deaf.pid, mark))
        wait(0.3)
        ended = clear_leftovers(mark, spare_sessions={spared.pid})
        assert sorted(ended) == sorted([left.pid, deaf.pid])
        assert left.wait(5) < 0
        assert deaf.wait(5) < 0
        assert other.poll() is None
        assert spared.poll() is None
    finally:
        for process in (left, other, deaf, spared):
            process.kill()
            process.wait()


def test_child_dies_with_its_supervisor_however_that_ends(tmp_path: Path, mark: str) -> None:
    script = (
        "import os, sys; from pathlib import Path; from flows.supervision import Program\n"
        f"Program('child', {SLEEP!r}, dict(os.environ), Path({str(tmp_path)!r}) / 'child.log').start()\n"
        "print('started', flush=True); sys.stdin.read()"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, MARKER: mark, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    supervisor.stdout.readline()
    children = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    children = [pid for pid in children if pid != supervisor.pid and is_marked(pid, mark)]
    assert len(children) == 1
    wait(0.5)
    supervisor.kill()
    supervisor.communicate()
    assert _until(lambda: not is_marked(children[0], mark))


def test_program_logs_to_its_file_and_stops(tmp_path: Path, mark: str) -> None:
    program = _program(tmp_path, "-c", "import time; print('hello', flush=True); time.sleep(60)")
    program.start()
    assert _until(lambda: "hello" in program.log_tail())
    assert program.is_running
    program.stop()
    assert not program.is_running


def test_restarts_wait_longer_each_time(tmp_path: Path) -> None:
    program = _program(tmp_path, "-c", "raise SystemExit(3)")
    program.start()
    assert _until(lambda: not program.is_running)
    assert [program.plan_restart() for _ in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    program.started_at_seconds -= 400
    assert program.plan_restart() == 1.0, "it ran long enough to be well"


def test_second_supervisor_of_a_folder_is_refused_and_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "up.lock"
    with only_supervisor(lock), pytest.raises(RunConflict, match=f"process {os.getpid()}"), only_supervisor(lock):
        pass
    with only_supervisor(lock):
        pass


def test_taken_port_is_refused_when_asked_for_and_avoided_when_not(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigInvalid, match=f"port {port} is taken"):
            server.choose_port(port, tmp_path)
        server.remember_port(tmp_path, port)
        assert server.choose_port(None, tmp_path) != port
    assert server.choose_port(None, tmp_path) == port, "the port of last time, now that it is free"


def test_server_that_ends_at_once_is_explained_with_its_log(tmp_path: Path) -> None:
    program = _program(tmp_path, "-c", "print('Address already in use'); raise SystemExit(1)")
    program.start()
    with pytest.raises(ProgramFailed, match="Address already in use"):
        server.wait_until_healthy(program, server.api_url(9))


def test_failing_prefect_command_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="no-such-command"):
        run_prefect(["no-such-command"], dict(os.environ))
