"""What every failing command owes its user: the exit code, one document, two sentences, no secret, no traceback."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.clock import monotonic_seconds, wait
from tests.support.postgres_servers import PASSWORD, lacking
from tests.support.site import Ended, Site


def refused(site: Site, ended: Ended, exit_code: int, *words: str, kind: str = "") -> dict[str, Any]:
    """Check how a command said no, in its JSON form; return the error.

    Args:
        site: Where it ran: its secrets must not be in the output.
        ended: How it ended; with `--json`.
        exit_code: What it must have ended with.
        words: Must be in the message or the hint.
        kind: Name of the error's class, where it matters.
    """
    no_leak(site, ended)
    document = ended.document
    assert set(document) == {"error", "exit_code"}, document
    error: dict[str, Any] = document["error"]
    said = f"{error['message']} | {error['hint']}"
    assert (ended.exit_code, document["exit_code"]) == (exit_code, exit_code), said
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"
    assert not kind or error["kind"] == kind, f"{error['kind']}: {said}"
    assert error["message"]
    assert not error["message"].endswith("."), said
    assert error["hint"].rstrip().endswith((".", ";")), said
    assert "\n" not in said.replace("; ", ""), said
    assert error["message"].splitlines()[0] in ended.stderr
    return error


def no_leak(site: Site, ended: Ended) -> None:
    """No secret and no traceback in what a command printed."""
    printed = ended.stdout + ended.stderr
    assert "Traceback" not in printed, printed[-3000:]
    secrets = [PASSWORD, PASSWORD.replace(" ", "%20")]
    if site.identity_path.exists():
        secrets += [line for line in site.identity_path.read_text().splitlines() if line.startswith("AGE-SECRET")]
    for secret in secrets:
        assert secret not in printed


def left_in_scratch(site: Site) -> list[str]:
    """What dumps, restores and their servers left behind."""
    folder = site.folder / ".goldcopy" / "scratch"
    found = folder.iterdir() if folder.exists() else iter(())
    return sorted(path.name for path in found if not path.name.startswith("template-"))


def statuses(site: Site) -> list[str]:
    """How every backup in the catalog stands, newest first."""
    return [row["status"] for row in site.goldcopy("backups", "--json").document["backups"]]


def run_states(site: Site) -> list[tuple[str, str]]:
    """Operation and state of every run, oldest first."""
    with site.open() as workspace:
        rows = workspace._parts.catalog.runs(None, limit=100)
    return [(row.operation, str(row.state)) for row in sorted(rows, key=lambda row: row.id)]


def children_of(pid: int) -> list[tuple[int, str]]:
    """Every process below one, with its program's name."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        parents[int(entry.name)] = (int(rest.split()[1]), name)
    found, asked = [], [pid]
    while asked:
        parent = asked.pop()
        below = [(child, name) for child, (above, name) in parents.items() if above == parent]
        found += below
        asked += [child for child, _ in below]
    return found


def gone(pids: list[int], seconds: float = 15) -> bool:
    """Whether all these processes end in time."""
    deadline = monotonic_seconds() + seconds
    while any(_lives(pid) for pid in pids):
        if monotonic_seconds() > deadline:
            return False
        wait(0.05)
    return True


def _lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_true(what: str, question: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = monotonic_seconds() + seconds
    while not question():
        assert monotonic_seconds() < deadline, f"{what} did not come in time"
        wait(0.01)


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> Ended:
    """Send a signal to a command alone, as a supervisor does, and wait for its end."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return Ended(process.returncode, stdout, stderr)


def ended(process: "subprocess.Popen[str]", seconds: float = 120) -> Ended:
    """Wait for a command's own end."""
    stdout, stderr = process.communicate(timeout=seconds)
    return Ended(process.returncode, stdout, stderr)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small disk of its own at a folder; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only even for root."""
    _mount("--bind", str(folder), str(folder))
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        lacking("only root can mount a small or read-only disk")
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        lacking(f"no disk can be mounted here: {done.stderr.strip()}")
