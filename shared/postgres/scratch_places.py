"""Places of scratch servers: reachable by the servers' user, and short enough for a socket."""

import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ProgramFailed, SpaceExhausted
from shared.postgres.connection import SERVICE_FILES
from shared.postgres.owned_folders import clear_unowned, clear_unowned_files, hold_folder
from shared.postgres.process import OsUser
from shared.postgres.tools_probe import Toolset

FALLBACK_PARENT = Path("/var/tmp")  # noqa: S108  (a folder of our own in it, checked to be ours)
"""Where scratch servers go when the configured folder cannot hold them: on a disk, and kept over a restart."""

_SOCKET_BYTES = 103  # macOS allows 103 bytes in a socket's path, Linux 107
_LONGEST_BELOW = len("/server-0123456789ab/socket/.s.PGSQL.5432")
UNFINISHED_TEMPLATE = ".template-"
"""How the folder of a template in the making begins its name."""


@dataclass(frozen=True, slots=True)
class ScratchPlace:
    """A locked folder for one scratch server.

    Attributes:
        folder: The whole of it; ours.
        data: For the data directory; does not exist yet.
        socket: For the socket; only the server's user and we may enter.
    """

    folder: Path
    data: Path
    socket: Path


def scratch_user() -> OsUser | None:
    """Return whom a scratch server runs as: `nobody` when we are root, else None for ourselves.

    Postgres refuses to run as root, and restored code runs with the server's rights.

    Raises:
        ProgramFailed: We are root and there is no user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ProgramFailed(
            "Postgres does not run as root and there is no user `nobody` here",
            hint="Run Goldcopy as an ordinary user, or create the user nobody.",
        ) from None
    return OsUser(entry.pw_uid, entry.pw_gid, entry.pw_name)


def scratch_root(folder: Path, user: OsUser | None) -> Path:
    """Return where the scratch servers of a folder are: in it, or below /var/tmp when it cannot be.

    It cannot be when the server's user may not enter it (a state folder below /root), or when its path is too long for
    a socket.

    Raises:
        SpaceExhausted: The folder cannot be made.
        ProgramFailed: Somebody else owns our folder in /var/tmp.
    """
    place = folder.absolute()
    try:
        if len(os.fsencode(place)) + _LONGEST_BELOW <= _SOCKET_BYTES:
            place.mkdir(parents=True, exist_ok=True)
            if user is None or may_reach(place, user):
                return place
        return _fallback_root()
    except OSError as error:
        raise SpaceExhausted(
            f"the scratch folder {folder} cannot be made: {error.strerror}",
            hint="Free space, mend the permissions, or point `[scratch] folder` to another place.",
        ) from error


def may_reach(path: Path, user: OsUser) -> bool:
    """Tell whether a user may enter every folder from the root to `path`."""
    real = path.resolve()
    return all(_may(folder.stat(), user, stat.S_IXOTH) for folder in (real, *real.parents))


@contextmanager
def scratch_place(folder: Path, user: OsUser | None) -> Iterator[ScratchPlace]:
    """Lend a fresh locked folder for one server; leaving removes it with every process that still works in it.

    However we end, `clear_leftovers` finds the folder without an owner then.

    Raises:
        SpaceExhausted: The folder cannot be made.
    """
    server = scratch_root(folder, user) / f"server-{secrets.token_hex(6)}"
    with hold_folder(server):
        place = ScratchPlace(server, server / "data", server / "socket")
        _make(place, user)
        yield place


def clear_leftovers(folder: Path) -> tuple[str, ...]:
    """Clear what dead processes left in a scratch folder: servers, dumps, unpacked backups.

    Servers are ended first. What belongs to a living process is never touched.

    Args:
        folder: The configured scratch folder.

    Returns:
        What was removed, for people.
    """
    cleared = [f"scratch folder {path}" for path in clear_unowned(folder.absolute(), ("dump-", "restore-"))]
    for root in (folder.absolute(), _fallback_path()):
        cleared += [f"scratch server {path}" for path in clear_unowned(root, ("server-",))]
        clear_unowned(root, (UNFINISHED_TEMPLATE,))
    clear_unowned_files(SERVICE_FILES)
    return tuple(cleared)


def reachable_toolset(toolset: Toolset, user: OsUser | None) -> Toolset:
    """Return a toolset that the server's user can run: the given one, or a copy of it made once.

    Raises:
        SpaceExhausted: The copy cannot be made.
    """
    if user is None or (
        may_reach(toolset.folder, user) and _may(toolset.program("postgres").stat(), user, stat.S_IXOTH)
    ):
        return toolset
    source = toolset.folder.resolve().parent
    mark = hashlib.sha256(f"{source} {toolset.program('postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _fallback_root() / f"tools-{toolset.version}-{mark}"
    if not copy.exists():
        try:
            unfinished = copy.with_name(f".{copy.name}-{secrets.token_hex(4)}")
            shutil.copytree(source, unfinished, symlinks=True)
            for path in (unfinished, *unfinished.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            move_once(unfinished, copy)
        except OSError as error:
            raise SpaceExhausted(
                f"the server's programs cannot be copied to {copy.parent}: {error.strerror}", hint="Free space there."
            ) from error
    return Toolset(toolset.major, toolset.version, copy / toolset.folder.name, toolset.has_server, toolset.origin)


def move_once(unfinished: Path, final: Path) -> None:
    """Give a finished folder its name; when another was first, ours is thrown away."""
    try:
        unfinished.rename(final)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not final.exists():
            raise


def _may(found: os.stat_result, user: OsUser, for_others: int) -> bool:
    shift = 6 if found.st_uid == user.uid else 3 if found.st_gid == user.gid else 0
    return bool(found.st_mode & (for_others << shift))


def _fallback_path() -> Path:
    return FALLBACK_PARENT / f"goldcopy-{os.geteuid()}"


def _fallback_root() -> Path:
    """One for all configured folders: templates and copied programs are shared, servers are locked one by one."""
    root = _fallback_path()
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o711)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ProgramFailed(f"{root} is not a folder of our own", hint="Remove it, or set `[scratch] folder`.")
    root.chmod(0o711)
    return root


def _make(place: ScratchPlace, user: OsUser | None) -> None:
    try:
        place.folder.mkdir()
        place.folder.chmod(0o711)
        place.socket.mkdir(mode=0o700)
        if user:
            os.chown(place.socket, user.uid, user.gid)
    except OSError as error:
        raise SpaceExhausted(
            f"the folder of a scratch server cannot be made in {place.folder.parent}: {error.strerror}",
            hint="Free space there, or point `[scratch] folder` to another place.",
        ) from error
