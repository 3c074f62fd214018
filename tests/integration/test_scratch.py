"""Throwaway servers: private, unprivileged, always removed, also after their owner was killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from shared.clock import monotonic_seconds, wait
from shared.errors import ProgramFailed, SpaceExhausted
from shared.postgres import scratch_places
from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import OsUser, minimal_environment, run_program
from shared.postgres.scratch import ScratchServer, clear_leftovers, start_scratch
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import REPOSITORY_FOLDER, PostgresServer, run_sql

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
DAEMON = OsUser(1, 1, "daemon")
NOBODY = OsUser(65534, 65534, "nobody")


@pytest.fixture
def toolset(postgres_server: PostgresServer) -> Toolset:
    return postgres_server.toolset


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder that everybody may enter (pytest's own are private); what it cannot hold goes into it too."""
    path = Path(tempfile.mkdtemp(prefix="gc-"))
    path.chmod(0o755)
    monkeypatch.setattr(scratch_places, "FALLBACK_PARENT", path)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[ScratchServer]:
    path = Path(tempfile.mkdtemp(prefix="gc-"))
    path.chmod(0o755)
    with start_scratch(postgres_server.toolset, path, superuser="supabase_admin") as running:
        yield running
    shutil.rmtree(path)


def data_folder(address: DatabaseAddress) -> Path:
    return Path(str(run_sql(address, "SHOW data_directory")[0][0]))


def server_processes(data: Path) -> list[int]:
    """Processes that work in a data directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == data:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def await_gone(data: Path) -> None:
    deadline = monotonic_seconds() + 10
    while server_processes(data):
        assert monotonic_seconds() < deadline, "processes of the server are still there"
        wait(0.02)


def psql_as(user: OsUser, server: ScratchServer, host: str, role: str) -> str:
    """Try to log in as an operating system user and return what psql complains about."""
    command = ["-X", "-h", host, "-p", "5432", "-U", role, "-c", "SELECT 1", "postgres"]
    argv: list[str | Path] = [server.toolset.program("psql"), *command]
    result = run_program(argv, environment=minimal_environment(), timeout_seconds=20, user=user)
    assert result.exit_code != 0
    return result.stderr_tail


# -- a server as it should be ------------------------------------------------------------------------------------------


def test_the_superuser_has_the_name_that_was_asked_for(server: ScratchServer) -> None:
    assert run_sql(server.address, "SELECT rolname::text FROM pg_roles WHERE oid = 10") == [("supabase_admin",)]
    assert run_sql(server.address, "SHOW server_version")[0][0] == server.version


def test_a_server_has_no_network_and_waits_for_no_disk(server: ScratchServer) -> None:
    wanted = {"listen_addresses": "", "fsync": "off", "autovacuum": "off", "jit": "off", "wal_level": "minimal"}
    assert {name: run_sql(server.address, f"SHOW {name}")[0][0] for name in wanted} == wanted


def test_nobody_else_can_reach_the_socket(server: ScratchServer) -> None:
    socket_folder = Path(server.address.parameters["host"])
    assert socket_folder.stat().st_mode & 0o077 == 0
    assert data_folder(server.address).stat().st_mode & 0o077 == 0


@root_only
def test_another_user_is_kept_out_by_the_folder_and_the_servers_own_user_by_the_rules(server: ScratchServer) -> None:
    socket_folder = server.address.parameters["host"]
    assert "Permission denied" in psql_as(DAEMON, server, socket_folder, "supabase_admin")
    assert "Peer authentication failed" in psql_as(NOBODY, server, socket_folder, "supabase_admin")


@linux_only
@root_only
def test_the_server_runs_as_nobody_with_nothing_of_ours(
    toolset: Toolset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tr0ub4dor")
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://app:tr0ub4dor@h/shop")
    looked_at = set()
    with start_scratch(toolset, folder) as server:
        for pid in server_processes(data_folder(server.address)):
            try:
                owner = Path(f"/proc/{pid}").stat().st_uid
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # a server starts children and ends them as it likes
            looked_at.add(pid)
            assert owner == NOBODY.uid
            names = {entry.split(b"=")[0] for entry in environment.split(b"\0") if b"=" in entry}
            assert not names & {b"HOME", b"AWS_SECRET_ACCESS_KEY", b"APP_DATABASE_URL", b"PGPASSWORD"}
            assert b"tr0ub4dor" not in environment
        assert server._child.pid in looked_at
        groups = Path(f"/proc/{server._child.pid}/status").read_text().split("Groups:")[1].split("\n")[0]
        assert groups.strip() == ""


@root_only
def test_what_runs_in_a_server_cannot_reach_the_next_one(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder):
        pass
    (template,) = folder.glob("template-*")
    assert all(path.lstat().st_uid == 0 for path in (template, *template.rglob("*")))
    assert template.stat().st_mode & 0o077 == 0


def test_the_template_is_made_once_and_gives_every_server_its_own_data(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder) as first, start_scratch(toolset, folder) as second:
        run_sql(first.address, "CREATE TABLE only_here ()")
        assert run_sql(second.address, "SELECT to_regclass('only_here')") == [(None,)]
    assert len(list(folder.glob("template-*"))) == 1


def test_servers_of_every_major_start(toolsets: tuple[Toolset, ...], folder: Path) -> None:
    for each in toolsets:
        if each.has_server:
            with start_scratch(each, folder) as server:
                assert run_sql(server.address, "SHOW server_version_num")[0][0].startswith(str(each.major))


def test_the_size_of_the_data_is_known(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder) as server:
        before = server.data_bytes()
        run_sql(server.address, "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 20000); CHECKPOINT")
        assert server.data_bytes() - before > 20_000_000


# -- the end of a server -----------------------------------------------------------------------------------------------


@linux_only
def test_nothing_is_left_when_the_context_ends(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder) as server:
        data = data_folder(server.address)
        assert server_processes(data)
    assert not server_processes(data)
    assert [path.name.split("-")[0] for path in folder.iterdir()] == ["template"]


@linux_only
def test_nothing_is_left_when_the_caller_fails_with_open_connections(toolset: Toolset, folder: Path) -> None:
    with ExitStack() as stack:
        data = Path()

        def fail() -> None:
            nonlocal data
            with start_scratch(toolset, folder) as server:
                data = data_folder(server.address)
                connection = server.address.connect(autocommit=False)
                stack.callback(connection.close)
                connection.execute("CREATE TABLE public.t AS SELECT generate_series(1, 100000)")
                raise LookupError("anything that a caller may raise")

        with pytest.raises(LookupError):
            fail()
    assert not server_processes(data)
    assert not list(folder.glob("server-*"))


def test_a_server_that_died_is_told_apart_from_a_bad_backup(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder) as server:
        assert server.problem() is None
        os.kill(server._child.pid, signal.SIGKILL)
        server._child.wait(10)
        problem = server.problem()
        assert isinstance(problem, ProgramFailed)
        assert "exit code -9" in problem.message


@pytest.fixture
def orphan(toolset: Toolset, folder: Path) -> Path:
    """The data directory of a server whose owner was killed."""
    script = f"""
import sys, time
from pathlib import Path
from shared.postgres.scratch import start_scratch
from shared.postgres.tools_probe import probe
with start_scratch(probe(Path({str(toolset.folder)!r}), "test"), Path({str(folder)!r})) as server:
    print(server._place.data, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=REPOSITORY_FOLDER) as owner:
        assert owner.stdout is not None
        data = Path(owner.stdout.readline().decode().strip())
        assert server_processes(data)
        owner.kill()
    return data


@linux_only
def test_a_server_ends_with_its_killed_owner_and_its_folder_is_cleared(folder: Path, orphan: Path) -> None:
    await_gone(orphan)
    assert orphan.exists()
    assert clear_leftovers(folder) == (f"scratch server {orphan.parent}",)
    assert not orphan.exists()
    assert not list(folder.glob("server-*"))
    assert clear_leftovers(folder) == ()


@linux_only
@pytest.mark.usefixtures("orphan")
def test_processes_that_still_work_in_a_leftover_are_ended(folder: Path, orphan: Path) -> None:
    await_gone(orphan)
    with subprocess.Popen(["sleep", "600"], cwd=orphan) as survivor:
        clear_leftovers(folder)
        assert survivor.wait(10) == -signal.SIGKILL
    assert not orphan.exists()


def test_a_server_with_a_living_owner_is_never_touched(toolset: Toolset, folder: Path) -> None:
    with start_scratch(toolset, folder) as server:
        assert clear_leftovers(folder) == ()
        assert run_sql(server.address, "SELECT 1") == [(1,)]


@linux_only
def test_two_may_clear_at_once(folder: Path, orphan: Path) -> None:
    await_gone(orphan)
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: clear_leftovers(folder), range(4)))
    assert sum(len(report) for report in reports) == 1
    assert not list(folder.glob("server-*"))


def test_clearing_a_folder_that_does_not_exist_is_no_error(tmp_path: Path) -> None:
    assert clear_leftovers(tmp_path / "never") == ()


def test_a_folder_that_only_has_such_a_name_is_somebody_elses(tmp_path: Path) -> None:
    kept = [tmp_path / name / "file" for name in ("restore-tests", "dump-of-march", "server-notes")]
    for path in kept:
        path.parent.mkdir()
        path.touch()
    assert not [what for what in clear_leftovers(tmp_path) if str(tmp_path) in what]
    assert all(path.exists() for path in kept)


# -- where it can live -------------------------------------------------------------------------------------------------


@root_only
def test_a_folder_the_servers_user_cannot_enter_is_replaced(toolset: Toolset, folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with start_scratch(toolset, private / "scratch") as server:
        assert not data_folder(server.address).is_relative_to(private)
        assert run_sql(server.address, "SELECT 1") == [(1,)]


def test_a_path_too_long_for_a_socket_is_replaced(toolset: Toolset, folder: Path) -> None:
    long = folder / ("x" * 90)
    with start_scratch(toolset, long) as server:
        assert not data_folder(server.address).is_relative_to(long)


@root_only
def test_programs_the_servers_user_cannot_run_are_copied_once(toolset: Toolset, folder: Path) -> None:
    if toolset.origin != "goldcopy tools":
        pytest.skip("a system's own programs are everybody's")
    private = folder / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(toolset.folder.parent, private / "tools", symlinks=True)
    hidden = Toolset(toolset.major, toolset.version, private / "tools/bin", has_server=True, origin="test")
    for _ in range(2):
        with start_scratch(hidden, folder / "scratch") as server:
            assert server.toolset.folder != hidden.folder
            assert run_sql(server.address, "SELECT 1") == [(1,)]
    (copy,) = folder.glob("goldcopy-*/tools-*")
    assert all(path.lstat().st_uid == 0 and not path.stat().st_mode & 0o022 for path in copy.rglob("*"))


@root_only
def test_a_fallback_folder_that_somebody_else_made_is_refused(toolset: Toolset, folder: Path) -> None:
    long = folder / ("x" * 90)
    trap = scratch_places._fallback_path()
    trap.mkdir()
    os.chown(trap, DAEMON.uid, DAEMON.gid)
    with pytest.raises(ProgramFailed, match="not a folder of our own"), start_scratch(toolset, long):
        pass


# -- a full disk -------------------------------------------------------------------------------------------------------


class SmallDisk:
    """A file system of a few megabytes, mounted for one test."""

    def __init__(self, folder: Path, size_mib: int) -> None:
        self.folder = folder
        self._size = f"size={size_mib}m"

    def __enter__(self) -> Self:
        self.folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", self._size, "tmpfs", self.folder], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)


@root_only
def test_a_disk_too_small_for_a_server_is_named(toolset: Toolset, folder: Path) -> None:
    with SmallDisk(folder / "disk", 20) as disk:
        with pytest.raises(SpaceExhausted, match="disk"), start_scratch(toolset, disk.folder / "s"):
            pass
        assert not list((disk.folder / "s").glob(".template*"))


@root_only
def test_a_disk_that_fills_during_the_restore_is_told_apart_from_a_bad_backup(toolset: Toolset, folder: Path) -> None:
    with SmallDisk(folder / "disk", 160) as disk, start_scratch(toolset, disk.folder / "s") as server:
        with pytest.raises(Exception, match="No space left"):
            run_sql(server.address, "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 300000)")
        assert isinstance(server.problem(), SpaceExhausted)
