"""Sources that would give less than they seem to, or change while they are read: said before anything is kept."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.clock import utc_now
from shared.domain.backup import BackupKind
from shared.operations import backup as backup_operation
from shared.postgres.connection import DatabaseAddress
from shared.postgres.snapshot import open_snapshot
from tests.support.faults import children_of, ended, gone, left_in_scratch, no_leak, refused, run_states, statuses
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.site import MakeSite
from tests.support.tcp_proxy import TcpProxy

MakeProxy = Callable[[DatabaseAddress], TcpProxy]
SECRET = "hunter2-s3cret"
WEIRD = "wei\"rd. na'me\\ \n\t$x$ {}%s ünï-日本 *?[a]|(b)"


@pytest.fixture
def weak_role(database: DatabaseAddress) -> Iterator[DatabaseAddress]:
    """A role that may log in and nothing else."""
    name = f"weak_{os.getpid()}"
    run_sql(database, f"create role {name} login password '{SECRET}'")
    yield DatabaseAddress({**database.parameters, "user": name, "password": SECRET})
    run_sql(database, f"drop owned by {name}; drop role {name}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"mysql://me:{SECRET}@db/app", "does not begin with postgresql://"),
        (f"postgresql://me:{SECRET}@db:54x/app", "cannot be read"),
        (f"postgresql://me:{SECRET}/x@db/app", "percent-encoded"),
        ("", "is empty"),
    ],
)
def test_a_url_that_cannot_be_read_is_a_problem_of_the_configuration(make_site: MakeSite, url: str, words: str) -> None:
    site = make_site(app=DatabaseAddress({"host": "x"}))
    (site.folder / "app-url.txt").write_text(url)
    ended = site.goldcopy("backup", "app", "--json")
    refused(site, ended, 2, words, "sources.app.url", kind="ConfigInvalid")
    assert SECRET not in ended.stdout + ended.stderr


def test_a_dump_that_would_be_partial_names_the_table_and_the_grant(
    make_site: MakeSite, database: DatabaseAddress, weak_role: DatabaseAddress
) -> None:
    role = weak_role.parameters["user"]
    run_sql(database, f"create table open (id int); grant select on open to {role}; create table shut (id int)")
    site = make_site(app=weak_role)
    error = refused(site, site.goldcopy("backup", "app", "--json"), 3, "public.shut", kind="PreflightRefused")
    assert f"GRANT SELECT ON TABLE public.shut TO {role};" in error["hint"]
    checked = site.goldcopy("check", "--json")
    no_leak(site, checked)
    assert checked.exit_code == 1
    assert any("GRANT SELECT ON TABLE public.shut" in finding["hint"] for finding in checked.document["findings"])
    run_sql(
        database,
        f"create table filtered (); alter table filtered enable row level security;grant select on filtered to {role}",
    )
    plain = site.goldcopy("backup", "app")
    no_leak(site, plain)
    assert (plain.exit_code, plain.stdout) == (3, "")
    assert f"Run: GRANT SELECT ON TABLE public.shut TO {role}; ALTER ROLE {role} BYPASSRLS;" in plain.stderr
    run_sql(
        database, f"drop table filtered; grant select on shut to {role}; alter table shut enable row level security"
    )
    error = refused(site, site.goldcopy("backup", "app", "--json"), 3, "public.shut", kind="PreflightRefused")
    assert f"ALTER ROLE {role} BYPASSRLS" in error["hint"]


def test_what_is_excluded_on_purpose_is_recorded_and_shown_and_the_rest_is_proven(
    make_site: MakeSite, database: DatabaseAddress, weak_role: DatabaseAddress
) -> None:
    role = weak_role.parameters["user"]
    run_sql(
        database,
        "create table mine (id serial primary key, t text);"
        "insert into mine (t) select 'x' from generate_series(1, 9);"
        "create table theirs (id serial primary key, mine int references mine); insert into theirs (mine) values (1);"
        "create table bulky (id int); insert into bulky values (1), (2); create schema stuff; create table stuff.a ();"
        f"grant select on mine, bulky, mine_id_seq to {role}",
    )
    site = make_site()
    site.add_source(
        "app",
        weak_role,
        'exclude = [{ table = "public.theirs", reason = "another team\'s" },\n'
        '  { table = "public.bulky", data_only = true, reason = "a cache" }, { schema = "stuff", reason = "scratch" }]',
    )
    made = site.goldcopy("backup", "app", "--json")
    no_leak(site, made)
    assert made.exit_code == 0, made.stderr
    excluded = {item["object"]: item["reason"] for item in made.document["excluded"]}
    assert excluded["public.theirs"] == "another team's"
    assert excluded["rows of public.bulky"] == "a cache"
    assert excluded["schema stuff"] == "scratch"
    assert made.document["row_count"] == 9
    shown = site.goldcopy("show", made.document["backup_id"])
    assert "left out on purpose: public.theirs (another team's)" in shown.stdout
    tested = site.goldcopy("restore-test", "app", "--json")
    assert tested.exit_code == 0, tested.stdout + tested.stderr


def test_an_exclusion_that_fits_nothing_is_refused(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site()
    site.add_source("app", database, 'exclude = [{ table = "public.nosuch", reason = "never was there" }]')
    result = site.goldcopy("backup", "app", "--json")
    refused(site, result, 3, "public.nosuch", "does not exist", kind="PreflightRefused")


def test_weird_names_are_backed_up_proven_and_restored(make_site: MakeSite, postgres_server: PostgresServer) -> None:
    def name(what: str) -> str:
        return '"' + f"{what} {WEIRD}".replace('"', '""')[:60].rstrip('"') + '"'

    plain = WEIRD.replace("\n", " ")  # a connection string cannot hold a line break
    database = postgres_server.new_database(f"db {plain}"[:40])
    role = name("role")
    run_sql(postgres_server.address, f"drop role if exists {role}; create role {role}")
    schema, table, sequence = name("schema"), name("table"), name("sequence")
    with database.connect() as connection:
        for statement in (
            f"create schema {schema} authorization {role}",
            f"create table {schema}.{table} ({name('column')} text, {name('key')} int primary key)",
            f"insert into {schema}.{table} select 'v' || g, g from generate_series(1, 20) g",
            f"create sequence {schema}.{sequence} start 7",
            "select nextval(oid::regclass) from pg_class where relkind = 'S'",
            f"alter table {schema}.{table} owner to {role}",
            f"create index {name('index')} on {schema}.{table} ({name('column')})",
            f"create view {schema}.{name('view')} as select * from {schema}.{table}",
        ):
            connection.execute(statement.encode())
    try:
        site = make_site(app=database)
        made = site.goldcopy("backup", "app", "--json")
        assert made.exit_code == 0, made.stdout + made.stderr
        assert made.document["row_count"] == 20
        tested = site.goldcopy("restore-test", "app", "--json")
        assert tested.exit_code == 0, tested.stdout
        shown = site.goldcopy("show", made.document["backup_id"])
        assert shown.exit_code == 0
        no_leak(site, tested)
    finally:
        postgres_server.drop_database(database)
        run_sql(postgres_server.address, f"drop role {role}")


def test_a_weird_table_can_be_excluded_by_its_name(make_site: MakeSite, database: DatabaseAddress) -> None:
    with database.connect() as connection:
        connection.execute("""create table public."we""ird.*|\nx" as select 1 as a""")
        connection.execute("create table public.weird as select 1 as a")
    site = make_site()
    site.add_source("app", database, """exclude = [{ table = "public.we\\"ird.*|\\nx", reason = "a test" }]""")
    made = site.goldcopy("backup", "app", "--json")
    assert made.exit_code == 0, made.stdout
    assert (made.document["table_count"], made.document["row_count"]) == (1, 1)
    shown = site.goldcopy("show", made.document["backup_id"])
    assert "\\n" in shown.stdout


def test_a_source_whose_clock_is_wrong_is_warned_about(
    make_site: MakeSite, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ahead() -> datetime:
        return utc_now() + timedelta(minutes=10)

    monkeypatch.setattr(backup_operation, "open_snapshot", partial(open_snapshot, clock=ahead))
    with make_site(app=database).open() as workspace:
        made = workspace.back_up("app", BackupKind.MANUAL)
    assert any("the source's clock is 10 min behind this machine's" in text for text in made.manifest.warnings)


def test_a_server_that_ends_its_sessions_during_the_dump_leaves_nothing(
    make_site: MakeSite, database: DatabaseAddress, tcp_proxy: MakeProxy
) -> None:
    run_sql(database, "create table big as select g, md5(g::text) as h from generate_series(1, 400000) g")
    proxy = tcp_proxy(database)
    site = make_site(app=proxy.through(database))
    proxy.slow(4_000_000)
    process = site.start("backup", "app", "--json")
    proxy.await_bytes(3_000_000)
    programs = [pid for pid, _ in children_of(process.pid)]
    assert programs
    run_sql(
        database,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid()",
    )
    proxy.resume()
    refused(site, ended(process), 3, "went away during the dump of table big: ", kind="SourceUnreachable")
    assert gone(programs)
    assert left_in_scratch(site) == []
    assert statuses(site) == ["failed"]
    assert run_states(site) == [("backup", "failed")]
    assert not list(site.repository_folder.rglob("manifest.json"))
