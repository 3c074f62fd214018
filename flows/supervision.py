"""Start Prefect's own programs, keep them running, and make sure that none outlives its supervisor unseen."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flows.supervision_environment import MARKER
from shared.clock import monotonic_seconds, wait
from shared.errors import ProgramFailed, RunConflict

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# A child that ran this long was well; its next end begins with short pauses again.
_WELL_AFTER_SECONDS = 300.0
_LOG_LIMIT_BYTES = 20_000_000
_LEFTOVER_GRACE_SECONDS = 5.0

# Runs in the child before the program: die with the supervisor, take SIGINT (a shell's background job ignores it, and
# then Prefect's worker ignores SIGTERM too), and become the program. The supervisor may have died in between.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
signal.signal(signal.SIGINT, signal.SIG_DFL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(slots=True)
class Program:
    """One supervised child: what Python runs in it, where it logs, and when it may be started again."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at_seconds: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    start_again_at_seconds: float | None = field(default=None)

    @property
    def session(self) -> int:
        """Process id of the program, which is also its session's."""
        return self.process.pid if self.process else 0

    def start(self) -> None:
        """Start it in a session of its own; its output goes to its log file."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".1.log"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, str(os.getpid()), sys.executable, *self.arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at_seconds = monotonic_seconds()
        self.start_again_at_seconds = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def stop(self, *, grace_seconds: float = 20.0) -> None:
        """End it: politely, then for sure."""
        if self.process is None or not self.is_running:
            return
        self.process.terminate()
        try:
            self.process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def plan_restart(self) -> float:
        """Decide when to start it again after it ended by itself; the pause doubles while it keeps ending.

        Returns:
            Seconds until then.
        """
        now = monotonic_seconds()
        if now - self.started_at_seconds > _WELL_AFTER_SECONDS:
            self.pause_seconds = _FIRST_PAUSE_SECONDS
        pause = self.pause_seconds
        self.start_again_at_seconds = now + pause
        self.pause_seconds = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:])


def run_prefect(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: Path | None = None,
    timeout_seconds: float = 120,
) -> str:
    """Run one `prefect` command to its end.

    Returns:
        What it printed.

    Raises:
        ProgramFailed: It ended badly or took too long; the message holds the end of what it printed.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    title = f"prefect {' '.join(arguments[:2])}"
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout_seconds,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"`{title}` took longer than {timeout_seconds:.0f} s", hint="Start again.") from error
    text = (done.stdout + done.stderr).decode("utf-8", errors="replace")
    if done.returncode != 0:
        tail = "\n".join(text.strip().splitlines()[-15:])
        raise ProgramFailed(f"`{title}` failed:\n{tail}\n", hint="Mend what it names and start again.")
    return text


@contextmanager
def only_supervisor(lock: Path) -> Iterator[None]:
    """Hold the lock of a state folder; the system frees it however this process ends.

    Raises:
        RunConflict: Another `goldcopy up` runs there.
    """
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise RunConflict(
                f"`goldcopy up` runs already for {lock.parent} (process {file.read().strip() or 'unknown'})",
                hint="Use that one, or stop it first with Ctrl-C or kill.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def clear_leftovers(supervisor: str, *, spare_sessions: Collection[int] = ()) -> list[int]:
    """End what a killed supervisor or worker left behind: server, worker, flow runs and their programs.

    They carry a mark in their environment, so no process of anyone else is ever touched, and a reused process id cannot
    be mistaken. Call only while holding the lock: then nothing else that carries the mark is wanted.

    Args:
        supervisor: The mark.
        spare_sessions: Sessions of children that shall live on.

    Returns:
        The process ids that were ended.
    """
    found = [pid for pid in _processes() if is_marked(pid, supervisor) and _session(pid) not in spare_sessions]
    for kind in (signal.SIGTERM, signal.SIGKILL):
        deadline = monotonic_seconds() + _LEFTOVER_GRACE_SECONDS
        for pid in found:
            if is_marked(pid, supervisor):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, kind)
        while any(is_marked(pid, supervisor) for pid in found) and monotonic_seconds() < deadline:
            wait(0.05)
    return found


def _processes() -> list[int]:
    folder = Path("/proc")
    own = os.getpid()
    return [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit() and int(entry.name) != own]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def is_marked(pid: int, supervisor: str) -> bool:
    """Say whether a living process descends from a supervisor of the given state folder."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARKER}={supervisor}".encode() in entries
