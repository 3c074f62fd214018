"""What can go wrong with a backup: named in one sentence, what to do in another; nothing lost, nothing falsely good."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.clock import wait
from shared.errors import GoldcopyError
from shared.postgres.connection import DatabaseAddress
from shared.repository.sealing import make_identity
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.site import Ended, MakeSite, Site, conninfo
from tests.support.tcp_proxy import TcpProxy

Proxy = Callable[[DatabaseAddress], TcpProxy]
ROWS = "create table big as select g, md5(g::text) h, repeat(md5((g * 7)::text), 8) t from generate_series(1, 120000) g"


@pytest.fixture
def filled(database: DatabaseAddress) -> DatabaseAddress:
    """About 40 MB: long enough to be disturbed."""
    run_sql(database, ROWS)
    return database


def refused(ended: Ended, exit_code: int, *words: str) -> None:
    """Check that a command ended as an error should."""
    assert ended.exit_code == exit_code, ended.stdout + ended.stderr
    error = ended.document["error"]
    for word in words:
        assert word in f"{error['message']} {error['hint']}", error
    assert error["hint"], "an error says what to do next"
    assert "Traceback" not in ended.stderr


def nothing_half_done(site: Site) -> None:
    """No manifest, no scratch left, and the catalog says so."""
    assert not list(site.repository_folder.rglob("manifest.json"))
    assert not list((site.folder / ".goldcopy" / "scratch").glob("dump-*"))
    with site.open() as workspace:
        assert all(row["status"] == "failed" for row in workspace.list_backups())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "not-the-password"}, ("password",)),
        ({"dbname": "no_such_database"}, ("no_such_database",)),
        ({"port": "1"}, ("127.0.0.1:1",)),
        ({"host": "no-such-host.invalid"}, ("no-such-host.invalid",)),
        ({"user": "nobody_here"}, ("nobody_here",)),
    ],
)
def test_a_source_that_cannot_be_reached_is_named(
    make_site: MakeSite, database: DatabaseAddress, changes: dict[str, str], words: tuple[str, ...]
) -> None:
    site = make_site(app=DatabaseAddress({**database.parameters, **changes}))
    ended = site.goldcopy("backup", "app", "--json")
    refused(ended, 3, *words)
    assert "not-the-password" not in ended.stdout + ended.stderr


def test_a_url_that_is_none_is_a_configuration_error(make_site: MakeSite) -> None:
    site = make_site()
    (site.folder / "url.txt").write_text("http://user:hidden-word@example.org/")
    with site.config_path.open("a") as config:
        config.write('\n[sources.app]\nurl = "file:url.txt"\n[sources.lost]\nurl = "env:NOT_SET_HERE"\n')
    ended = site.goldcopy("backup", "app", "--json")
    refused(ended, 2, "postgresql://")
    assert "hidden-word" not in ended.stdout + ended.stderr
    refused(site.goldcopy("backup", "lost", "--json"), 2, "NOT_SET_HERE")


def test_a_server_that_goes_away_in_the_middle_leaves_nothing(
    make_site: MakeSite, filled: DatabaseAddress, tcp_proxy: Proxy
) -> None:
    proxy = tcp_proxy(filled)
    site = make_site(app=proxy.through(filled))
    proxy.cut_after(9_000_000)
    refused(site.goldcopy("backup", "app", "--json"), 3, "went away")
    nothing_half_done(site)
    assert site.goldcopy("backup", "app", "--json").exit_code == 0


def test_a_source_that_stalls_is_ended_after_the_configured_time(
    make_site: MakeSite, filled: DatabaseAddress, tcp_proxy: Proxy
) -> None:
    proxy = tcp_proxy(filled)
    site = make_site()
    site.add_source("app", proxy.through(filled), 'stall_after = "3s"')
    threading.Thread(target=_stall_after, args=(proxy, 9_000_000), daemon=True).start()
    refused(site.goldcopy("backup", "app", "--json", timeout_seconds=90), 3, "no progress", "stall_after")
    proxy.resume()
    nothing_half_done(site)


def _stall_after(proxy: TcpProxy, count_bytes: int) -> None:
    while proxy.forwarded_bytes < count_bytes:
        wait(0.002)
    proxy.stall()


def test_a_locked_table_is_waited_for_and_then_named(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, "create table public.t (id int)")
    site = make_site()
    site.add_source("app", database, 'lock_wait = "1s"')
    with database.connect(autocommit=False) as holder:
        holder.execute("lock table public.t in access exclusive mode")
        refused(site.goldcopy("backup", "app", "--json"), 3, "lock on public.t")
        holder.rollback()
    assert site.goldcopy("backup", "app").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_ends_with_130_and_leaves_nothing(
    make_site: MakeSite, filled: DatabaseAddress, tcp_proxy: Proxy, number: signal.Signals
) -> None:
    proxy = tcp_proxy(filled)
    site = make_site(app=proxy.through(filled))
    with running_backup(site, proxy) as child:
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stdout.startswith('{"error"')
    nothing_half_done(site)


def test_after_kill_nine_the_next_run_clears_up_and_converges(
    make_site: MakeSite, filled: DatabaseAddress, tcp_proxy: Proxy
) -> None:
    proxy = tcp_proxy(filled)
    site = make_site(app=proxy.through(filled))
    with running_backup(site, proxy) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
    proxy.resume()
    assert not list(site.repository_folder.rglob("manifest.json"))
    assert site.goldcopy("backup", "app", "--json").exit_code == 0
    assert not list((site.folder / ".goldcopy" / "scratch").glob("dump-*"))
    with site.open() as workspace:
        assert sorted(row["status"] for row in workspace.list_backups()) == ["complete", "failed"]
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"
    assert _programs_of(site) == []


def test_two_backups_of_one_source_at_once_are_one(
    make_site: MakeSite, filled: DatabaseAddress, tcp_proxy: Proxy
) -> None:
    proxy = tcp_proxy(filled)
    site = make_site(app=proxy.through(filled))
    with running_backup(site, proxy) as first:
        refused(site.goldcopy("backup", "app", "--json"), 3, "backup of app cannot begin", str(first.pid))
        proxy.resume()
        first.communicate(timeout=60)
    assert first.returncode == 0


@contextmanager
def running_backup(site: Site, proxy: TcpProxy) -> "Iterator[subprocess.Popen[str]]":
    """Start a backup over a slow line and wait until rows are on their way."""
    proxy.slow(4_000_000)
    before = proxy.forwarded_bytes
    child = site.start("backup", "app", "--json")
    try:
        for _ in range(3000):
            if proxy.forwarded_bytes > before + 3_000_000 or child.poll() is not None:
                break
            wait(0.01)
        assert child.poll() is None, child.communicate()
        yield child
    finally:
        proxy.resume()
        if child.poll() is None:
            child.kill()
            child.communicate()


def _programs_of(site: Site) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if str(site.folder) in line and "pg_dump" in line]


def test_a_table_dropped_and_made_again_while_backups_start_is_never_wrong(
    make_site: MakeSite, database: DatabaseAddress
) -> None:
    run_sql(database, "create table stays as select generate_series(1, 1000) g")
    site = make_site(app=database)
    done = threading.Event()
    churn = threading.Thread(target=_churn, args=(database, done))
    churn.start()
    try:
        ended = [site.goldcopy("backup", "app", "--json") for _ in range(4)]
    finally:
        done.set()
        churn.join()
    for one in ended:
        assert one.exit_code in (0, 3), one.stderr
        if one.exit_code == 3:
            error = one.document["error"]
            named = "changed" in error["message"] or "lock" in error["message"]
            assert named or error["kind"] == "SourceLocked", error
        else:
            tested = site.goldcopy("restore-test", one.document["backup_id"], "--json")
            assert tested.document["outcome"] == "passed", tested.stdout


def _churn(address: DatabaseAddress, done: threading.Event) -> None:
    number = 0
    while not done.is_set():
        number += 1
        run_sql(
            address, f"create table comes_{number % 3} as select {number} as n; alter table stays add c{number} int"
        )
        run_sql(address, f"drop table comes_{number % 3}; alter table stays drop c{number}")


def test_an_empty_source_is_backed_up_with_a_warning(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site(app=database)
    made = site.goldcopy("backup", "app", "--json")
    assert made.exit_code == 0
    assert any("empty" in warning or "no table" in warning for warning in made.document["warnings"]), made.stdout
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"


HOSTILE = [
    'quo"te',
    "sp ace",
    "new\nline",
    "tab\tand\\slash",
    "Ünïcode-数",
    "semi;colon",
    "dot.dot",
    "$dollar$",
    "'single'",
    "%s{}",
]


def test_hostile_names_come_back_as_they_were(
    make_site: MakeSite, database: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    for name in HOSTILE:
        quoted = '"' + name.replace('"', '""') + '"'
        run_sql(database, f"create schema {quoted}")
        run_sql(database, f"create table {quoted}.{quoted} ({quoted} serial primary key, t text)")
        run_sql(database, f"insert into {quoted}.{quoted} (t) values ('x'), (null)")
    site = make_site(app=database)
    assert site.goldcopy("backup", "app").exit_code == 0
    tested = site.goldcopy("restore-test", "app", "--json")
    assert (tested.document["outcome"], tested.document["tables_proven"]) == ("passed", len(HOSTILE)), tested.stdout
    empty = postgres_server.new_database()
    (site.folder / "new.txt").write_text(conninfo(empty))
    with site.open() as workspace:
        backup_id = workspace.list_backups()[0]["backup_id"]
    assert site.goldcopy("restore", backup_id, "--to", f"file:{site.folder / 'new.txt'}").exit_code == 0
    assert site.goldcopy("show", backup_id).exit_code == 0


def test_what_is_left_out_on_purpose_is_recorded_and_shown(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, "create schema audit; create table audit.x (a serial primary key)")
    run_sql(database, "create table keep (id serial primary key); create table log (id bigserial, t text)")
    run_sql(database, "create table odd (a int generated always as identity); insert into log (t) values ('x')")
    site = make_site()
    site.add_source(
        "app",
        database,
        'exclude = [{schema = "audit", reason = "not ours"}, {table = "public.odd", reason = "odd one"}, '
        '{table = "public.log", data_only = true, reason = "rebuilt elsewhere"}]',
    )
    made = site.goldcopy("backup", "app", "--json")
    assert {item["reason"] for item in made.document["excluded"]} == {"not ours", "odd one", "rebuilt elsewhere"}
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"
    shown = site.goldcopy("show", made.document["backup_id"]).stdout
    assert "left out on purpose: public.odd (odd one)" in shown


def test_the_wrong_identity_measures_nothing_and_says_so(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, "create table t as select 1 a")
    site = make_site(app=database)
    assert site.goldcopy("backup", "app").exit_code == 0
    site.identity_path.write_text(make_identity()[0] + "\n")
    tested = site.goldcopy("restore-test", "app", "--json")
    assert tested.exit_code == 3, tested.stdout
    assert tested.document["outcome"] == "not_measured"
    site.change('identity = "file:.goldcopy/identity.txt"', "")
    refused(site.goldcopy("restore-test", "app", "--json"), 2, "identity")
    assert site.goldcopy("backup", "app").exit_code == 0, "backing up needs no private key"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 150 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_repository_is_named_and_leaves_nothing(
    make_site: MakeSite, filled: DatabaseAddress, small_disk: Path
) -> None:
    site = make_site(app=filled)
    site.change("file://.goldcopy/repository", f"file://{small_disk}/repository")
    (small_disk / "ballast").write_bytes(b"x" * 154_500_000)
    refused(site.goldcopy("backup", "app", "--json"), 3, "full")
    assert not list(small_disk.rglob("manifest.json"))
    (small_disk / "ballast").unlink()
    assert site.goldcopy("backup", "app", "--json").exit_code == 0


def test_too_small_a_scratch_disk_is_refused_before_the_start(
    make_site: MakeSite, filled: DatabaseAddress, small_disk: Path
) -> None:
    site = make_site(app=filled)
    with site.config_path.open("a") as config:
        config.write(f'\n[scratch]\nfolder = "{small_disk}"\n')
    (small_disk / "ballast").write_bytes(b"x" * 120_000_000)
    refused(site.goldcopy("backup", "app", "--json"), 3, "scratch", str(small_disk))


def test_a_client_that_is_too_old_is_refused(make_site: MakeSite, database: DatabaseAddress, tmp_path: Path) -> None:
    site = make_site(app=database)
    site.environment["GOLDCOPY_TOOLS"] = str(tmp_path / "no-tools")
    ended = site.goldcopy("backup", "app", "--json")
    if ended.exit_code == 0:
        pytest.skip("this machine has client tools of the server's major in its usual folders")
    refused(ended, 3, "goldcopy tools add")


def test_an_error_of_ours_is_no_traceback(make_site: MakeSite) -> None:
    site = make_site()
    site.change("sqlite:///.goldcopy/catalog.db", "sqlite:////proc/no/such/folder.db")
    ended = site.goldcopy("backups", "--json")
    assert ended.exit_code == 3
    assert "Traceback" not in ended.stderr
    assert issubclass(GoldcopyError, Exception)


def test_a_url_that_leads_to_an_empty_database_displaces_nothing(
    make_site: MakeSite, database: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    run_sql(database, "create table t as select 1 a")
    site = make_site(app=database)
    assert site.goldcopy("backup", "app").exit_code == 0
    (site.folder / "app-url.txt").write_text(conninfo(postgres_server.new_database()))
    refused(site.goldcopy("backup", "app", "--json"), 3, "no rows", "allow_empty")


def test_rows_that_pg_dump_does_not_write_are_missed(
    make_site: MakeSite, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.domain.backup import BackupKind
    from shared.errors import ProgramFailed
    from shared.postgres.dump import DumpFile

    run_sql(database, "create table t as select generate_series(1, 100) a")
    site = make_site(app=database)
    chunks = DumpFile.chunks
    monkeypatch.setattr(DumpFile, "chunks", lambda file: (chunk.split(b"\n", 1)[1] for chunk in chunks(file)))
    with site.open() as workspace, pytest.raises(ProgramFailed, match=r"wrote 99 rows of public\.t"):
        workspace.back_up("app", BackupKind.MANUAL)


def test_an_unmounted_repository_is_not_made_anew(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, "create table t as select 1 a")
    site = make_site(app=database)
    assert site.goldcopy("backup", "app").exit_code == 0
    site.repository_folder.rename(site.folder / "elsewhere")
    refused(site.goldcopy("backup", "app", "--json"), 3, "mounted")
    assert not (site.repository_folder / "goldcopy.json").exists()
    (site.folder / ".goldcopy" / "fingerprint.key").unlink()
    refused(site.goldcopy("backup", "app", "--json"), 3, "mounted")
