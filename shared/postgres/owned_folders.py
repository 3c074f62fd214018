"""Folders that belong to a running process: locked while in use, found and cleared when their owner is gone.

The lock is the kernel's, on a file beside the folder, so it ends with its owner however that ends, by SIGKILL too. Who
makes such a folder takes the lock first; a folder whose lock is free therefore has nobody left.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.clock import monotonic_seconds, wait
from shared.errors import SpaceExhausted

_KILL_SECONDS = 10.0
_LOCK_SUFFIX = ".lock"


@contextmanager
def owned_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for the time of the block; leaving removes it with every process that still works in it.

    Args:
        folder: Does not exist yet; its name is random enough that nobody else takes it.

    Raises:
        SpaceExhausted: It cannot be made.
    """
    with hold_folder(folder):
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise _cannot_make(folder, error) from error
        yield folder


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Own the name of a folder that the caller makes; leaving removes the folder.

    Raises:
        SpaceExhausted: The lock beside it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Somebody who clears leftovers may catch the fresh lock file before we have locked it: then once more.
            while not stack.enter_context(_lock(lock_path(folder))):
                stack.close()
        except OSError as error:
            raise _cannot_make(folder, error) from error
        try:
            yield
        finally:
            remove_folder(folder)


def clear_unowned(root: Path, prefixes: Sequence[str]) -> tuple[Path, ...]:
    """Remove the folders in `root` whose names begin with one of `prefixes` and whose owner is gone.

    Safe when several do it at once: each takes the lock of what it removes.

    Returns:
        What was removed.
    """
    cleared = []
    try:
        # Only what has a lock beside it was made here: a folder of somebody else may be called the same.
        names = {path.name.removesuffix(_LOCK_SUFFIX) for path in root.iterdir() if path.name.endswith(_LOCK_SUFFIX)}
    except (FileNotFoundError, NotADirectoryError):
        return ()
    for name in sorted(name for name in names if name.startswith(tuple(prefixes))):
        folder = root / name
        # What cannot be removed now (a read-only disk) must not keep the work that follows from being tried.
        with contextlib.suppress(OSError), _lock(lock_path(folder)) as locked:
            if locked and folder.exists():  # another may have cleared it since the look
                remove_folder(folder)
                cleared.append(folder)
    return tuple(cleared)


@contextmanager
def owned_file(pattern: str, text: str) -> Iterator[Path]:
    """Keep a temporary file for the time of the block, readable by us alone; see `clear_unowned_files`.

    Args:
        pattern: Its name, with a `*` for what makes it unique.
        text: What it holds.
    """
    prefix, suffix = pattern.split("*")
    while True:
        descriptor, name = tempfile.mkstemp(suffix, prefix)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(descriptor, Path(name)):
            break
        os.close(descriptor)  # somebody who clears leftovers was faster than our lock
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def clear_unowned_files(pattern: str) -> None:
    """Remove temporary files of ours whose owner is gone."""
    for path in Path(tempfile.gettempdir()).glob(pattern):
        with contextlib.suppress(OSError), path.open("rb") as file:
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def lock_path(folder: Path) -> Path:
    """Return where the lock of a folder is."""
    return folder.with_name(folder.name + _LOCK_SUFFIX)


def remove_folder(folder: Path) -> None:
    """Remove a folder after ending whatever still works in it."""
    deadline = monotonic_seconds() + _KILL_SECONDS
    while folder.exists() and _kill_inside(folder) and monotonic_seconds() < deadline:
        wait(0.02)
    for attempt in range(3):
        # A process that was just killed may have made one more file while the tree was being removed.
        shutil.rmtree(folder, ignore_errors=attempt < 2 or not folder.exists())
        if not folder.exists():
            return
        wait(0.05)


def _kill_inside(folder: Path) -> int:
    """Kill every process whose working directory is in `folder` (each Postgres process sits in its data directory)."""
    count = 0
    prefix = os.fsencode(folder) + b"/"
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if (os.fsencode((entry / "cwd").readlink()) + b"/").startswith(prefix):
                count += 1
                os.kill(int(entry.name), signal.SIGKILL)
    return count


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock file, removed at the end, or yield False when another holds it or was faster to remove it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _is_at(descriptor, path):
            yield False
            return
        owner = {"host": socket.gethostname(), "pid": os.getpid()}  # for people who look into the folder
        with contextlib.suppress(OSError):  # a full disk must not keep leftovers from being cleared
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode() + b"\n", 0)
        try:
            yield True
        finally:
            if not path.with_name(path.name.removesuffix(_LOCK_SUFFIX)).exists():
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the opened lock is still the one at its path: its last holder may have removed it in between."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _cannot_make(folder: Path, error: OSError) -> SpaceExhausted:
    return SpaceExhausted(
        f"the folder {folder.name} cannot be made in {folder.parent}: {error.strerror}",
        hint="Free space there, mend its permissions, or point `[scratch] folder` to another place.",
    )
