"""Run child programs: own process group, minimal environment, scrubbed messages, nobody left behind.

The only module that starts programs. A child never outlives us: it is told to end when we die (also by SIGKILL), and a
child that was paused is watched by a guard that ends it. Everything a child says on stderr is decoded leniently, and
whatever looks like a password is replaced before anyone sees it.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from shared.errors import Interrupted, ProgramMissing, ProgramStalled
from shared.postgres.scrubbing import scrub

TAIL_LINES = 200
"""Lines of stderr that are kept: enough for pg_restore's context, small whatever a program writes."""

_LINE_BYTES = 8192
_STOP_SECONDS = 5.0
_READER_SECONDS = 2.0
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class OsUser:
    """An operating system user to run a program as; only root can."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program left: its output, the end of its messages, its exit code (negative: the signal that ended it)."""

    stdout: bytes
    stderr_tail: str
    exit_code: int


def minimal_environment(**additions: str) -> dict[str, str]:
    """Return an environment for a child: search path, home, the C locale, and `additions`; nothing else of ours."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath} | passed_on | {"LANG": "C", "LC_ALL": "C"} | additions


def installer_environment() -> dict[str, str]:
    """Return an environment for pip or uv: the minimal one and what says where packages come from."""
    wanted = re.compile(r"(?i)(PIP|UV)_.*|(HTTPS?|ALL|NO)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|XDG_.*|NETRC")
    return {name: value for name, value in os.environ.items() if wanted.fullmatch(name)} | minimal_environment()


def search_path() -> tuple[Path, ...]:
    """Return the folders of PATH that exist and that we may look into, in order."""
    parts = (part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part)
    # Both answer no, and raise nothing, where we may not look.
    return tuple(Path(part) for part in parts if os.path.isdir(part) and os.access(part, os.X_OK))  # noqa: PTH112


def run_program(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    timeout_seconds: float,
    stdin: bytes | None = None,
    user: OsUser | None = None,
    on_line: Callable[[str], None] | None = None,
) -> ProgramResult:
    """Run a program to its end and return what it wrote; its exit code is for the caller to judge.

    Args:
        argv: Program and arguments; never a secret among them.
        environment: The whole environment of the child, see `minimal_environment`.
        timeout_seconds: The program and its children are ended after this long.
        stdin: What it reads; nothing when None.
        user: Whom to run it as; only root may choose.
        on_line: Called with each line of stderr, scrubbed, from another thread.

    Raises:
        ProgramMissing: There is no such program, or it may not be run.
        ProgramStalled: It did not end in time; it and its children are gone.
    """
    with start_program(
        argv, environment=environment, user=user, on_line=on_line, pipe_stdin=stdin is not None, pipe_stdout=True
    ) as child:
        writer = _feed(child.stdin, stdin or b"") if child.stdin else None
        chunks: list[bytes] = []
        reader = threading.Thread(target=lambda: chunks.append(_read_all(child.stdout)), daemon=True)
        reader.start()
        try:
            exit_code = child.wait(timeout_seconds)
        except TimeoutError:
            child.stop()
            raise ProgramStalled(
                f"{child.name} did not end within {timeout_seconds:g} seconds and was ended",
                hint="Look for locks, a stuck network or an overloaded machine, then run it again.",
            ) from None
        reader.join(_READER_SECONDS)
        if writer:
            writer.join(_READER_SECONDS)
        return ProgramResult(b"".join(chunks), child.stderr_tail, exit_code)


def start_program(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    user: OsUser | None = None,
    on_line: Callable[[str], None] | None = None,
    pipe_stdin: bool = False,
    pipe_stdout: bool = False,
    death_signal: signal.Signals = signal.SIGTERM,
) -> "Child":
    """Start a program; use the result as a context manager, leaving it ends the program.

    Args:
        argv: Program and arguments; never a secret among them.
        environment: The whole environment of the child, see `minimal_environment`.
        user: Whom to run it as; only root may choose.
        on_line: Called with each line of stderr, scrubbed, from another thread.
        pipe_stdin: Whether `Child.stdin` is a pipe; otherwise the program reads nothing.
        pipe_stdout: Whether `Child.stdout` is a pipe; otherwise what it prints is thrown away.
        death_signal: What the child gets when we die: pg_dump cancels its queries on SIGTERM, a server stops
            on SIGQUIT.

    Raises:
        ProgramMissing: There is no such program, or it may not be run.
    """
    arguments = [os.fspath(argument) for argument in argv]

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE if pipe_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe_stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/" if user else None,  # the user may not be allowed into our folder
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=_death_notice(death_signal),  # noqa: PLW1509  (one prepared system call; see there)
        )

    try:
        popen = _spawner.run(spawn)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ProgramMissing(
            f"there is no program {arguments[0]}", hint="See which tools are found with `goldcopy check`."
        ) from error
    except (PermissionError, OSError) as error:
        raise ProgramMissing(
            f"the program {arguments[0]} cannot be started: {error.strerror or type(error).__name__}",
            hint="Check its permissions, and that the user it runs as may enter every folder above it.",
        ) from error
    secret = environment.get("PGPASSWORD", "")
    return Child(popen, Path(arguments[0]).name, on_line, secret)


class Child:
    """A running program in a process group of its own; safe to use from several threads."""

    def __init__(
        self, popen: subprocess.Popen[bytes], name: str, on_line: Callable[[str], None] | None, secret: str
    ) -> None:
        self.name = name
        self.pid = popen.pid
        self.stdin: IO[bytes] | None = popen.stdin
        self.stdout: IO[bytes] | None = popen.stdout
        self.stderr_bytes = 0  # how much it has said so far: grows while it is talking, for stall watchers
        self._popen = popen
        self._on_line = on_line
        self._secret = secret
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lock = threading.Lock()
        self._group_ended = False
        self._guard: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read_stderr, name=f"{name}-stderr", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for pipe in (self.stdin, self.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()

    @property
    def stderr_lines(self) -> tuple[str, ...]:
        """The last lines of stderr, scrubbed."""
        return tuple(self._tail.copy())

    @property
    def stderr_tail(self) -> str:
        """The last lines of stderr, scrubbed, as one text; complete once the program has ended."""
        return "\n".join(self.stderr_lines)

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        code = self._popen.poll()
        if code is not None:
            self._end_group()
        return code

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            TimeoutError: It still runs after `timeout_seconds`; it is not ended by that.
        """
        try:
            code = self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout_seconds:g} seconds") from None
        self._end_group()
        return code

    def stop(self, grace_seconds: float = _STOP_SECONDS) -> None:
        """End the program and everything in its group: politely, and after `grace_seconds` by force."""
        if self._popen.poll() is None:
            self._signal(signal.SIGTERM)
            self.resume()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace_seconds)
            if self._popen.poll() is None:
                self._signal(signal.SIGKILL)
            self._popen.wait()
        self._end_group()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone, not to its group."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def pause(self) -> None:
        """Stop the program's clock, with all its children, until `resume`."""
        with self._lock:
            if self._popen.poll() is not None:
                return
            self._guard = self._guard or _start_guard(self.pid)
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on."""
        if self._popen.poll() is None:
            self._signal(signal.SIGCONT)
        self._dismiss_guard()

    def _end_group(self) -> None:
        """Kill what is left of the group, once: it may outlive its leader, as a worker that did not hear of the end.

        At once and never again, because later the number may belong to somebody else's group.
        """
        with self._lock:
            first, self._group_ended = not self._group_ended, True
        if first:
            self._signal(signal.SIGKILL)
            self._dismiss_guard()
        self._reader.join(_READER_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _dismiss_guard(self) -> None:
        with self._lock:
            guard, self._guard = self._guard, None
        if guard:
            guard.kill()
            guard.communicate()

    def _read_stderr(self) -> None:
        pipe = self._popen.stderr
        assert pipe is not None
        held = b""
        with pipe:
            while chunk := os.read(pipe.fileno(), 65536):
                self.stderr_bytes += len(chunk)
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                while len(held) > _LINE_BYTES:
                    self._take(held[:_LINE_BYTES])
                    held = held[_LINE_BYTES:]
        if held:
            self._take(held)

    def _take(self, line: bytes) -> None:
        text = scrub(line[:_LINE_BYTES].decode("utf-8", "replace").rstrip("\r"), self._secret)
        self._tail.append(text)
        if self._on_line:
            self._on_line(text)


class _Spawner:
    """Starts every child from one thread that lives as long as we do.

    Linux tells a child that its parent died when the parent's THREAD ends, so a child started by a short-lived worker
    thread would be ended too early.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def run(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="spawner")
        try:
            future = self._pool.submit(spawn)
        except RuntimeError as error:
            raise Interrupted("this program is ending", hint="Start it again; nothing new was begun.") from error
        return future.result()

    def _forget(self) -> None:
        self._pool = None
        self._lock = threading.Lock()


_spawner = _Spawner()


def _death_notice(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a new child does first: ask the kernel for a signal when its parent dies.

    It runs between fork and exec, so it makes prepared system calls and nothing else. After the change of user, which
    would clear the request.
    """
    if _prctl is None:
        return None
    prctl, parent, code = _prctl, os.getpid(), int(number)

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, code, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


def _start_guard(group: int) -> subprocess.Popen[bytes]:
    """Watch over a paused group: it cannot hear of our death, so a shell that can ends it.

    The shell waits for the end of a pipe that only we hold open.
    """
    script = 'read -r line; kill -TERM "-$0"; kill -CONT "-$0"; sleep 2; kill -KILL "-$0"'
    return subprocess.Popen(
        [shutil.which("sh") or "/bin/sh", "-c", script, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=minimal_environment(),
        start_new_session=True,
    )


def _feed(pipe: IO[bytes], data: bytes) -> threading.Thread:
    def write() -> None:
        with contextlib.suppress(BrokenPipeError, ValueError, OSError), pipe:
            pipe.write(data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return writer


def _read_all(pipe: IO[bytes] | None) -> bytes:
    assert pipe is not None
    try:
        return pipe.read()
    except (OSError, ValueError):
        return b""
