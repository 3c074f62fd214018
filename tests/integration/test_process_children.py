"""Real children: what they say, how they end, and that nobody stays behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.clock import monotonic_seconds, wait
from shared.errors import ProgramMissing, ProgramStalled
from shared.postgres.process import (
    TAIL_LINES,
    OsUser,
    minimal_environment,
    run_program,
    start_program,
)

PYTHON = sys.executable
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run programs as somebody else")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and prctl")


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def await_that(condition: object, timeout_seconds: float = 10) -> None:
    """Wait until a callable is true."""
    deadline = monotonic_seconds() + timeout_seconds
    assert callable(condition)
    while not condition():
        assert monotonic_seconds() < deadline, "it did not happen in time"
        wait(0.01)


def test_output_messages_and_exit_code_come_back() -> None:
    result = run_program(
        ["sh", "-c", "cat; echo careful >&2; exit 3"],
        environment=minimal_environment(),
        timeout_seconds=20,
        stdin=b"some \x00 bytes",
    )
    assert (result.stdout, result.stderr_tail, result.exit_code) == (b"some \x00 bytes", "careful", 3)


def test_large_input_and_output_do_not_block_each_other() -> None:
    data = bytes(range(256)) * 40_000
    assert run_program(["cat"], environment=minimal_environment(), timeout_seconds=30, stdin=data).stdout == data


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    result = run_program(["true"], environment=minimal_environment(), timeout_seconds=20, stdin=b"x" * 1_000_000)
    assert result.exit_code == 0


def test_endless_messages_are_kept_to_the_last_lines() -> None:
    script = "import sys\nfor n in range(100_000): print('line', n, file=sys.stderr)"
    result = run_program([PYTHON, "-c", script], environment=minimal_environment(), timeout_seconds=30)
    lines = result.stderr_tail.split("\n")
    assert len(lines) == TAIL_LINES
    assert lines[-1] == "line 99999"


def test_one_endless_line_does_not_fill_memory_and_its_end_is_kept() -> None:
    script = "import sys; sys.stderr.write('x' * 5_000_000 + 'the end')"
    result = run_program([PYTHON, "-c", script], environment=minimal_environment(), timeout_seconds=30)
    assert len(result.stderr_tail) < 2_000_000
    assert result.stderr_tail.endswith("the end")


def test_messages_that_are_not_utf8_are_read_leniently() -> None:
    result = run_program(
        ["sh", "-c", r"printf 'caf\351 ferm\351\n' >&2"], environment=minimal_environment(), timeout_seconds=20
    )
    assert result.stderr_tail == "caf\ufffd ferm\ufffd"


def test_secrets_are_hidden_in_messages_before_anyone_sees_them() -> None:
    seen: list[str] = []
    result = run_program(
        ["sh", "-c", 'echo "using $PGPASSWORD and password=other99" >&2'],
        environment=minimal_environment(PGPASSWORD="tr0ub4dor"),
        timeout_seconds=20,
        on_line=seen.append,
    )
    assert seen == ["using *** and password=***"]
    assert result.stderr_tail == seen[0]


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(ProgramStalled, match=r"sh did not end within 0\.5 seconds"):
        run_program(
            ["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"],
            environment=minimal_environment(),
            timeout_seconds=0.5,
        )
    assert not is_alive(int(pid_file.read_text()))


def test_a_program_that_ignores_the_polite_signal_is_killed() -> None:
    with start_program(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
        environment=minimal_environment(),
        pipe_stdout=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.stop(grace_seconds=0.3)
        assert child.poll() == -signal.SIGKILL


def test_a_worker_that_outlives_its_leader_is_killed_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with start_program(
        ["sh", "-c", f"sh -c 'trap \"\" TERM; echo $$ > {pid_file}; while :; do sleep 0.1; done' & exit 0"],
        environment=minimal_environment(),
    ) as child:
        await_that(lambda: pid_file.exists() and pid_file.read_text().strip())
        pid = int(pid_file.read_text())
        assert child.wait(10) == 0
        await_that(lambda: not is_alive(pid))


def test_being_killed_shows_as_a_negative_exit_code() -> None:
    with start_program(["sleep", "600"], environment=minimal_environment()) as child:
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL


def test_waiting_has_a_limit_and_does_not_end_the_program() -> None:
    with start_program(["sleep", "600"], environment=minimal_environment()) as child:
        with pytest.raises(TimeoutError):
            child.wait(0.05)
        assert child.poll() is None


@linux_only
def test_a_paused_program_stands_still_and_goes_on_after_resume(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    script = f"import time\nwith open({str(ticks)!r}, 'ab', 0) as f:\n  while True: f.write(b'.'); time.sleep(0.01)"
    with start_program([PYTHON, "-c", script], environment=minimal_environment()) as child:
        await_that(ticks.exists)
        child.pause()
        state = Path(f"/proc/{child.pid}/stat")
        await_that(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        size = ticks.stat().st_size
        wait(0.1)
        assert ticks.stat().st_size == size
        child.resume()
        await_that(lambda: ticks.stat().st_size > size + 3)


def test_a_paused_program_can_be_stopped() -> None:
    with start_program(["sleep", "600"], environment=minimal_environment()) as child:
        child.pause()
        child.stop()
        assert child.poll() == -signal.SIGTERM


@linux_only
@pytest.mark.parametrize("paused", [False, True])
def test_children_end_when_we_are_killed(tmp_path: Path, paused: bool) -> None:
    script = f"""
import sys, time
from shared.postgres.process import minimal_environment, start_program
argv = ["sh", "-c", "sleep 600 & echo $! > {tmp_path}/worker; wait"] if {paused} else ["sleep", "600"]
child = start_program(argv, environment=minimal_environment())
while {paused} and not open("{tmp_path}/worker", "a+").tell(): time.sleep(0.01)
if {paused}: child.pause()
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        leader = int(parent.stdout.readline())
        assert is_alive(leader)
        parent.kill()
    await_that(lambda: not is_alive(leader))
    if paused:  # the guard ends the whole group
        worker = int((tmp_path / "worker").read_text())
        await_that(lambda: not is_alive(worker))


@linux_only
def test_a_child_started_by_a_thread_outlives_the_thread() -> None:
    started = []
    starter = threading.Thread(
        target=lambda: started.append(start_program(["sleep", "600"], environment=minimal_environment()))
    )
    starter.start()
    starter.join()
    with started[0] as child:
        wait(0.1)
        assert child.poll() is None


@root_only
def test_a_program_can_run_as_somebody_else_with_no_groups_of_ours() -> None:
    user = OsUser(65534, 65534, "nobody")
    result = run_program(
        ["sh", "-c", "id -u; id -G; pwd"], environment=minimal_environment(), timeout_seconds=20, user=user
    )
    assert result.stdout.split() == [b"65534", b"65534", b"/"]


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no program /nowhere/pg_dump"):
        run_program(["/nowhere/pg_dump"], environment=minimal_environment(), timeout_seconds=20)


def test_a_file_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "pg_dump").write_text("no program")
    with pytest.raises(ProgramMissing, match="cannot be started: Permission denied"):
        run_program([tmp_path / "pg_dump"], environment=minimal_environment(), timeout_seconds=20)
