"""Tell whether the process that holds a run is still alive."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from shared.catalog.records import RunRow

HEARTBEAT_SECONDS = 30.0
# Twenty missed heartbeats: a network that was away for a few minutes must not make a second writer.
LOST_ELSEWHERE = timedelta(minutes=10)
# After a restart of the machine nothing of before is alive. Two machines may bear one name, though, so the holder must
# have missed four heartbeats as well.
LOST_BEFORE_RESTART = timedelta(minutes=2)

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """Which process: pids are used again, host names may be shared, containers count pids from one each."""

    host: str
    pid: int
    started: str


def this_process() -> ProcessIdentity:
    """Return the identity of the running process."""
    pid = os.getpid()
    return ProcessIdentity(host=socket.gethostname(), pid=pid, started=f"{_boot()} {_name_space()} {_started(pid)}")


def is_lost(run: RunRow, now: datetime) -> bool:
    """Say whether the process of a running run is gone.

    Same host, boot and pid name space: the pid with the same start time must exist, so a dead holder is seen at once.
    Same host, another boot: lost after two minutes without heartbeat. Anything else: after ten.
    """
    silent = now - run.heartbeat_at
    parts = run.process_started.split(" ")
    if run.host != socket.gethostname() or len(parts) != 3 or not _boot():
        return silent > LOST_ELSEWHERE
    boot, name_space, started = parts
    if boot != _boot():
        return silent > LOST_BEFORE_RESTART
    if name_space != _name_space():
        return silent > LOST_ELSEWHERE
    return _started(run.pid) != started


def _boot() -> str:
    """Return an id of this start of the machine; empty where the system has none (then only heartbeats count)."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _name_space() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink()).replace(" ", "")
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty where there is no such process or it is dead."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The second field is the program's name in brackets and may itself hold spaces and brackets.
    rest = text.rpartition(")")[2].split()
    state, ticks = rest[0], rest[19]
    return "" if state in {"Z", "X"} else ticks
