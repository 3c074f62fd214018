"""Real restores: everything into an empty database, chosen tables into any, and what is refused beforehand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome
from shared.errors import IntegrityProblem, RestoreRefused, UsageProblem
from shared.operations.restore import RestoreReport
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from tests.support.nasty_database import build_nasty_database
from tests.support.postgres_servers import PostgresServer, ServerOf, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

CONTENT = (
    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('public', 'shop')"
)


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> DatabaseAddress:
    address = postgres_server.new_database("restore_source")
    build_nasty_database(address)
    return address


@pytest.fixture(scope="module")
def backups(
    source: DatabaseAddress, toolsets: Sequence[Toolset], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path_factory.mktemp("restores"), toolsets)
    yield made
    made.catalog.close()


@pytest.fixture(scope="module")
def manifest(backups: RealBackups, source: DatabaseAddress) -> Manifest:
    return backups.back_up(source)


def errors(report: RestoreReport) -> list[str]:
    return [f"{item.object}: {item.message}" for item in report.findings if item.severity == "error"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_everything_is_restored_and_proven(
    backups: RealBackups, manifest: Manifest, source: DatabaseAddress, database: DatabaseAddress, jobs: int
) -> None:
    report = backups.restore(manifest, database, source=source, jobs=jobs)
    assert errors(report) == []
    assert report.outcome is Outcome.PASSED
    assert (report.tables_restored, report.rows_restored) == (len(manifest.tables), manifest.row_count)
    document = report.document()
    assert {"outcome", "tables_restored", "duration_seconds", "findings"} <= document.keys()
    newest = backups.catalog.newest_audit_entries(1)[0]
    assert (newest.action, newest.object, newest.reason) == ("restore.passed", manifest.backup_id, "a test")


def test_a_destination_with_anything_in_it_is_refused(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress
) -> None:
    for content, undo in [
        ("CREATE TABLE t (id int)", "DROP TABLE t"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f()"),
        ("CREATE TYPE colour AS ENUM ('red')", "DROP TYPE colour"),
        ("SELECT lo_create(5)", "SELECT lo_unlink(5)"),
        ("CREATE SCHEMA other", "DROP SCHEMA other"),
    ]:
        run_sql(database, f"SET search_path = public; {content}")
        with pytest.raises(RestoreRefused, match="not empty"):
            backups.restore(manifest, database)
        run_sql(database, f"SET search_path = public; {undo}")


def test_the_source_itself_is_refused(
    backups: RealBackups, manifest: Manifest, source: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    with pytest.raises(RestoreRefused, match="is the source"):
        backups.restore(manifest, source, source=source)
    # The same database over the socket is found out by what the server says of itself.
    over_socket = postgres_server.socket_address.with_database(source.database)
    with pytest.raises(RestoreRefused, match="is the source"):
        backups.restore(manifest, over_socket, "public.twin_a", source=source)


def test_a_table_lost_at_the_source_comes_back_when_told_so(
    backups: RealBackups, manifest: Manifest, source: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    damaged = postgres_server.new_database(template=source.database)
    run_sql(damaged, "DROP TABLE public.twin_a")
    report = backups.restore(manifest, damaged, "public.twin_a", source=damaged, into_source=True)
    assert (errors(report), report.outcome, report.rows_restored) == ([], Outcome.PASSED, 100)
    assert run_sql(damaged, "SELECT count(*) FROM public.twin_a") == [(100,)]


def test_an_older_server_is_refused(backups: RealBackups, manifest: Manifest, postgres_server_of: ServerOf) -> None:
    older = postgres_server_of(15).new_database()
    with pytest.raises(RestoreRefused, match="older than the source"):
        backups.restore(manifest, older)


def test_a_newer_server_takes_it(backups: RealBackups, manifest: Manifest, postgres_server_of: ServerOf) -> None:
    newer = postgres_server_of(18).new_database()
    report = backups.restore(manifest, newer)
    assert errors(report) == []
    assert report.tables_restored == len(manifest.tables)


def test_chosen_tables_come_with_what_they_need(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress
) -> None:
    run_sql(database, "CREATE TABLE public.mine (id int)")
    report = backups.restore(manifest, database, "shop.orders", "public.by_mood", "public.child")
    assert errors(report) == []
    assert report.tables_restored == 4
    assert {
        ("orders",), ("orders_pkey",), ("orders_amount",), ("orders_id_seq",), ("by_mood_0",), ("by_mood_1",),
        ("child",), ("parent",), ("mine",),
    } <= set(run_sql(database, CONTENT))  # fmt: skip
    left_out = [item.object for item in report.findings if item.check == "left-out"]
    assert any("orders_customer_id_fkey" in name for name in left_out)
    assert run_sql(database, "SELECT nextval('shop.orders_id_seq')") == [(2002,)]
    assert run_sql(database, "SELECT count(*) FROM public.parent") == [(2,)]  # the child's rows, none of its own


def test_a_chosen_table_that_names_large_objects_comes_without_them_and_says_so(
    backups: RealBackups, postgres_server: PostgresServer, database: DatabaseAddress
) -> None:
    source = postgres_server.new_database("restore_files")
    run_sql(source, "CREATE TABLE public.files (id int, content oid); CREATE TABLE public.plain (id int)")
    run_sql(source, "INSERT INTO public.files VALUES (1, lo_from_bytea(0, 'one')), (2, lo_from_bytea(0, 'two'))")
    files = backups.back_up(source)
    report = backups.restore(files, database, "public.files")
    assert (errors(report), report.outcome, report.rows_restored) == ([], Outcome.PASSED, 2)
    (left_out,) = [item for item in report.findings if item.check == "left-out"]
    assert (left_out.object, left_out.severity.value) == ("public.files", "warning")
    assert "2 large objects" in left_out.message
    assert run_sql(database, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]
    assert not [item for item in backups.restore(files, database, "public.plain").findings if item.check == "left-out"]


def test_only_the_objects_of_chosen_tables_are_read(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = backups.store.get

    def counting(key: str) -> bytes:
        read.append(key)
        return get(key)

    monkeypatch.setattr(backups.store, "get", counting)
    backups.restore(manifest, database, "public.twin_a")
    files = {file.path: file for file in manifest.files}
    wanted = ["toc.dat", "schema.json", "roles.sql", "roles.json", "settings.sql"]
    wanted += [table.file for table in manifest.tables if table.name == "twin_a"]
    expected = {manifest.objects[index].key for path in wanted for index in files[path].objects}
    assert {key for key in read if "/objects/" in key} == expected
    assert len(expected) < len(manifest.objects)


def test_a_table_that_is_there_is_refused(backups: RealBackups, manifest: Manifest, database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE public.twin_a (id int)")
    with pytest.raises(RestoreRefused, match=r"public.twin_a exists already"):
        backups.restore(manifest, database, "public.twin_a", "public.twin_b")
    assert ("twin_b",) not in run_sql(database, CONTENT)


@pytest.mark.parametrize("name", ["public.nowhere", "orders", "public.Twin_a", "a.b.c"])
def test_a_table_that_is_not_in_the_backup_is_named(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress, name: str
) -> None:
    with pytest.raises(UsageProblem, match=name.rsplit(".", maxsplit=1)[-1]):
        backups.restore(manifest, database, name)


def test_a_restore_that_fails_leaves_the_destination_as_it_was(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress
) -> None:
    run_sql(database, "CREATE SCHEMA shop; CREATE TABLE shop.mine AS SELECT 1 AS id")
    before = sorted(run_sql(database, CONTENT))
    report = backups.restore(manifest, database, into_non_empty=True)
    assert report.outcome is Outcome.FAILED
    assert report.document()["is_rolled_back"]
    assert any("nothing was restored" in item.message for item in report.findings)
    (refused,) = [item for item in report.findings if item.check == "restore-message"]
    assert "already exists" in refused.message
    assert "new, empty database" in refused.hint
    assert "source" not in refused.hint
    assert sorted(run_sql(database, CONTENT)) == before


def test_a_damaged_backup_is_refused_before_anything_is_written(
    backups: RealBackups, manifest: Manifest, database: DatabaseAddress
) -> None:
    file = next(item.file for item in manifest.tables if item.name == "big")
    key = manifest.objects[next(item for item in manifest.files if item.path == file).objects[0]].key
    whole = backups.store.get(key)
    backups.store.put(key, whole[:-1], replace=True)
    try:
        with pytest.raises(IntegrityProblem, match=r"public.big"):
            backups.restore(manifest, database)
    finally:
        backups.store.put(key, whole, replace=True)
    assert run_sql(database, CONTENT) == []


def test_a_role_without_rights_gives_up_owners_and_says_so(
    backups: RealBackups, manifest: Manifest, postgres_server: PostgresServer, database: DatabaseAddress
) -> None:
    run_sql(
        database,
        "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'pw pw';"
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO plain', current_database()); END $$",
    )
    plain = DatabaseAddress({**database.parameters, "user": "plain", "password": "pw pw"})
    report = backups.restore(manifest, plain, "shop.orders")
    assert errors(report) == []
    assert ("owners", "warning") in {(item.check, item.severity.value) for item in report.findings}
    assert run_sql(database, "SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == [("plain",)]


def test_what_lies_in_scratch_is_removed(backups: RealBackups) -> None:
    folder: Path = backups.folder / "restores"
    assert [path for path in folder.glob("*")] == []
