"""Throwaway Postgres servers: half a second to start, safe for code we did not write, always removed.

Restoring a backup runs its owner's code with a superuser's rights in the server. So the server runs as an unprivileged
user, in an environment that holds nothing of ours, without network, behind a socket in a private folder, and lets in
only the operating system user that started it.
"""

import contextlib
import errno
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from shared.clock import monotonic_seconds, wait
from shared.errors import GoldcopyError, ProgramFailed, ProgramStalled, SpaceExhausted
from shared.postgres.connection import DatabaseAddress
from shared.postgres.owned_folders import owned_folder
from shared.postgres.process import Child, OsUser, minimal_environment, run_program, start_program
from shared.postgres.scratch_databases import create_database
from shared.postgres.scratch_places import (
    UNFINISHED_TEMPLATE,
    ScratchPlace,
    clear_leftovers,
    move_once,
    reachable_toolset,
    scratch_place,
    scratch_root,
    scratch_user,
)
from shared.postgres.scratch_settings import (
    configuration_text,
    free_shared_memory_bytes,
    machine_memory_bytes,
    server_settings,
)
from shared.postgres.tools_probe import Toolset

__all__ = ["ScratchServer", "clear_leftovers", "create_database", "start_scratch"]

_START_SECONDS = 60.0
_INITDB_SECONDS = 300.0
_STOP_SECONDS = 10.0
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|could not extend file")


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A running throwaway server.

    Attributes:
        address: Its superuser's way in, to the database `postgres`; with `tcp_password` over 127.0.0.1.
        socket_address: The same over the socket, without a password.
        toolset: The programs it was made of, and that fit it.
        version: Its version, such as 17.11.
    """

    address: DatabaseAddress
    socket_address: DatabaseAddress
    toolset: Toolset
    version: str
    _place: ScratchPlace
    _child: Child

    def data_bytes(self) -> int:
        """Return what its data directory takes on the disk."""
        total = 0
        for folder, _, names in os.walk(self._place.data):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += (Path(folder) / name).lstat().st_blocks * 512
        return total

    def problem(self) -> GoldcopyError | None:
        """Return what is wrong with the server itself, to tell its failures from the backup's: full disk, or ended."""
        if _FULL.search(self._child.stderr_tail):
            return _no_space(self._place.folder)
        code = self._child.poll()
        if code is None:
            return None
        return ProgramFailed(
            f"the scratch server ended with exit code {code}: {_last_words(self._child)}",
            hint="Look for the kernel's out-of-memory killer, then run it again.",
        )


@contextmanager
def start_scratch(
    toolset: Toolset,
    folder: Path,
    *,
    superuser: str = "postgres",
    memory_bytes: int | None = None,
    settings: Mapping[str, str] | None = None,
    tcp_password: str = "",
) -> Iterator[ScratchServer]:
    """Run a fresh server of a toolset; leaving the context ends it and removes everything it wrote.

    Args:
        toolset: Has a server.
        folder: Where scratch servers live; when the server's user cannot enter it, a folder in /var/tmp stands in.
        superuser: Name of the bootstrap superuser; the source's own, so that owners and grants come out the same.
        memory_bytes: What the machine can give; measured when None.
        settings: Server settings on top of ours.
        tcp_password: When given, the server also listens on a free port of 127.0.0.1 for the superuser with it.

    Raises:
        ProgramFailed: The server does not start; the message holds its last words.
        ProgramStalled: It did not accept connections in time.
        SpaceExhausted: The disk is full.
    """
    user = scratch_user()
    runnable = reachable_toolset(toolset, user)
    template = _template(runnable, scratch_root(folder, user), superuser, user)
    with scratch_place(folder, user) as place:
        port = _free_port() if tcp_password else 5432
        memory = machine_memory_bytes() if memory_bytes is None else memory_bytes
        chosen = server_settings(memory, free_shared_memory_bytes()) | {
            "unix_socket_directories": str(place.socket),
            "unix_socket_permissions": "0700",
            "port": str(port),
            "listen_addresses": "127.0.0.1" if tcp_password else "",
        }
        _lay_out(template, place, chosen | dict(settings or {}), superuser, user)
        over_socket = DatabaseAddress(
            {"host": str(place.socket), "port": str(port), "user": superuser, "dbname": "postgres"}
        )
        with _running(runnable, place, user) as child:
            _await_ready(child, place)
            address = _open_tcp(over_socket, port, tcp_password) if tcp_password else over_socket
            yield ScratchServer(address, over_socket, runnable, runnable.version, place, child)


@contextmanager
def _running(toolset: Toolset, place: ScratchPlace, user: OsUser | None) -> Iterator[Child]:
    # On SIGQUIT a server drops everything at once, which is what we want of it, also when we die.
    with start_program(
        [toolset.program("postgres"), "-D", place.data],
        environment=_server_environment(toolset),
        user=user,
        death_signal=signal.SIGQUIT,
    ) as child:
        try:
            yield child
        finally:
            child.send(signal.SIGQUIT)
            with contextlib.suppress(TimeoutError):
                child.wait(_STOP_SECONDS)


def _server_environment(toolset: Toolset) -> dict[str, str]:
    """Not even our home or search path; only what the dynamic linker may need.

    Extensions such as postgres_fdw must load the client library of their own build, not an older one of the system.
    """
    ours = minimal_environment()
    libraries = toolset.folder.parent / "lib"
    own = {"LD_LIBRARY_PATH": str(libraries)} if next(libraries.glob("libpq.so*"), None) else {}
    return {name: value for name, value in ours.items() if name not in ("HOME", "TMPDIR")} | own | {"TZ": "UTC"}


def _template(toolset: Toolset, root: Path, superuser: str, user: OsUser | None) -> Path:
    """Return a fresh data directory to copy from, made once per version and superuser: initdb takes most of a start.

    It belongs to us, not to the server's user: nothing that ran in one scratch server can reach into the next.
    """
    key = hashlib.sha256(f"{toolset.folder} {superuser}".encode()).hexdigest()[:12]
    final = root / f"template-{toolset.version}-{key}"
    if final.exists():
        return final
    with owned_folder(root / f"{UNFINISHED_TEMPLATE}{secrets.token_hex(6)}") as making:
        try:
            _give(making, user)
            _run_initdb(toolset, making, superuser, user)
            if user:
                for path in (making, *making.rglob("*")):
                    os.chown(path, os.geteuid(), os.getegid())
            move_once(making, final)
        except OSError as error:
            raise _no_space(root, error) from error
    return final


def _run_initdb(toolset: Toolset, data: Path, superuser: str, user: OsUser | None) -> None:
    result = run_program(
        [toolset.program("initdb"), "-D", data, "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync", "-A", "peer"],
        environment=_server_environment(toolset),
        timeout_seconds=_INITDB_SECONDS,
        user=user,
    )
    if result.exit_code == 0:
        return
    said = result.stderr_tail + result.stdout.decode("utf-8", "replace")
    if _FULL.search(said):
        raise _no_space(data.parent)
    lines = [line.strip() for line in result.stderr_tail.splitlines() if "error" in line.lower() or "FATAL" in line]
    raise ProgramFailed(
        f"no scratch server can be made with Postgres {toolset.version}: {lines[0] if lines else 'initdb failed'}",
        hint=f"Run {toolset.program('initdb')} by hand to see more, or choose other tools.",
    )


def _lay_out(
    template: Path, place: ScratchPlace, settings: dict[str, str], superuser: str, user: OsUser | None
) -> None:
    try:
        shutil.copytree(template, place.data, copy_function=shutil.copyfile)
        (place.data / "postgresql.conf").write_text(configuration_text(settings), "utf-8")
        # The kernel tells the server who is at the socket; only we are let in, and only as the superuser.
        (place.data / "pg_hba.conf").write_text(
            "local all all peer map=owner\nhost all all 127.0.0.1/32 scram-sha-256\n", "utf-8"
        )
        (place.data / "pg_ident.conf").write_text(f'owner "{_our_name()}" "{superuser}"\n', "utf-8")
        for path in (place.data, *place.data.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            _give(path, user)
    except OSError as error:
        raise _no_space(place.folder, error) from error


def _await_ready(child: Child, place: ScratchPlace) -> None:
    deadline = monotonic_seconds() + _START_SECONDS
    while not _is_ready(place.data / "postmaster.pid"):
        if child.poll() is not None:
            if _FULL.search(child.stderr_tail):
                raise _no_space(place.folder)
            raise ProgramFailed(
                f"the scratch server does not start: {_last_words(child)}",
                hint="Run `goldcopy check`; it says which server it took and why.",
            )
        if monotonic_seconds() > deadline:
            raise ProgramStalled(
                f"the scratch server did not accept connections within {_START_SECONDS:g} seconds",
                hint="The machine may be overloaded; try again.",
            )
        wait(0.01)


def _is_ready(pid_file: Path) -> bool:
    """The eighth line of postmaster.pid is the server's own word for its state."""
    try:
        lines = pid_file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _open_tcp(address: DatabaseAddress, port: int, password: str) -> DatabaseAddress:
    with address.connect() as connection:
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(address.user), sql.Literal(password))
        )
    return DatabaseAddress({**address.parameters, "host": "127.0.0.1", "port": str(port), "password": password})


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _our_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _give(path: Path, user: OsUser | None) -> None:
    if user:
        os.chown(path, user.uid, user.gid)


def _last_words(child: Child) -> str:
    telling = [line for line in child.stderr_lines if re.search(r"FATAL|PANIC|error", line)] or child.stderr_lines
    return telling[-1].strip() if telling else "no message"


def _no_space(folder: Path, error: OSError | None = None) -> SpaceExhausted:
    reason = f"cannot be written: {error}"[:400] if error and error.errno not in _NO_SPACE else "is on a full disk"
    return SpaceExhausted(
        f"the scratch folder {folder} {reason}",
        hint="Free space there, or point `[scratch] folder` to a larger disk.",
    )
