"""Opening, migrating and refusing catalogs."""

import multiprocessing
import os
import stat
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from shared.catalog import migrate
from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.models import METADATA
from shared.errors import CatalogProblem, CatalogRefused, ConfigInvalid
from shared.postgres.connection import DatabaseAddress
from tests.support.catalogs import NOW, complete, make_manifest, postgres_catalog_url
from tests.support.postgres_servers import run_sql

_MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def test_migrations_build_exactly_the_models(empty_catalog_url: str) -> None:
    open_catalog(empty_catalog_url).close()
    engine = create_engine(empty_catalog_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, METADATA)
        nullable = {
            (table.name, column.name) for table in METADATA.sorted_tables for column in table.columns if column.nullable
        }
        built = {
            (name, str(column["name"]))
            for name in inspect(connection).get_table_names()
            for column in inspect(connection).get_columns(name)
            if column["nullable"]
        }
    engine.dispose()
    assert differences == []
    assert built == nullable


def test_listed_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    chain = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(chain)) == migrate.REVISIONS


def test_opening_again_changes_nothing_and_needs_no_alembic(catalog: Catalog, catalog_url: str) -> None:
    complete(catalog, make_manifest())
    program = (
        "import sys; from shared.catalog.engine import open_catalog; "
        f"catalog = open_catalog({catalog_url!r}); print(len(catalog.backups()), 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def _open_at_once(url: str, barrier: Barrier) -> None:
    barrier.wait()
    with open_catalog(url) as catalog:
        catalog.register_source(f"source{os.getpid()}", "postgres", NOW)


def test_processes_that_migrate_at_once_do_not_collide(empty_catalog_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.catalogs"])
    barrier = context.Barrier(4)
    processes = [context.Process(target=_open_at_once, args=(empty_catalog_url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with open_catalog(empty_catalog_url) as catalog:
        assert len(catalog.sources()) == 4


def test_catalog_newer_than_the_code_is_refused(catalog: Catalog, catalog_url: str) -> None:
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(CatalogRefused, match="of revision 9999, newer than this Goldcopy knows"):
        open_catalog(catalog_url)


def test_reading_only_does_not_create_or_migrate(empty_catalog_url: str) -> None:
    with pytest.raises(CatalogRefused, match=r"is not there|has not been brought up to date"):
        open_catalog(empty_catalog_url, read_only=True)


def test_reading_only_reads_and_refuses_to_write(catalog: Catalog, catalog_url: str) -> None:
    complete(catalog, make_manifest())
    with open_catalog(catalog_url, read_only=True) as reader:
        assert len(reader.backups()) == 1
        with pytest.raises(CatalogRefused, match="read-only"):
            reader.register_source("other", "postgres", NOW)


def test_sqlite_file_and_folder_are_for_this_user_only(tmp_path: Path) -> None:
    with open_catalog(f"sqlite:///{tmp_path}/deep/state/catalog.db") as catalog:
        catalog.register_source("app", "postgres", NOW)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep/state").iterdir()}
    assert modes["catalog.db"] == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "deep/state").stat().st_mode) == 0o700


def test_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"this is not a database at all, but a text " * 100)
    with pytest.raises(CatalogRefused, match="the file is not a catalog") as caught:
        open_catalog(f"sqlite:///{path}")
    assert "rebuild-catalog" in caught.value.hint


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write to")
def test_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(CatalogRefused, match=r"/proc/nowhere/catalog\.db cannot be created"):
        open_catalog("sqlite:////proc/nowhere/catalog.db")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://", "must be a file"),
        ("mysql://localhost/x", "cannot be kept in 'mysql'"),
        ("not a url secret", "does not parse"),
    ],
)
def test_unusable_url_is_a_configuration_error_that_does_not_quote_it(url: str, words: str) -> None:
    with pytest.raises(ConfigInvalid, match=words) as caught:
        open_catalog(url)
    assert "secret" not in str(caught.value)


def test_wrong_password_is_refused_without_showing_it(database: DatabaseAddress) -> None:
    wrong = DatabaseAddress({**database.parameters, "password": "hunter2"})
    with pytest.raises(CatalogRefused, match="wrong password") as caught:
        open_catalog(postgres_catalog_url(wrong))
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r}"


def test_missing_database_is_refused(database: DatabaseAddress) -> None:
    with pytest.raises(CatalogRefused, match="no such database"):
        open_catalog(postgres_catalog_url(database.with_database("nowhere")))


def test_server_that_is_down_may_be_tried_again() -> None:
    with pytest.raises(CatalogProblem, match=r"on 127\.0\.0\.1:1 as someone cannot be reached") as caught:
        open_catalog("postgresql://someone:hunter2@127.0.0.1:1/catalog")
    assert caught.value.retryable
    assert "hunter2" not in str(caught.value)


def test_login_without_rights_is_told_so(database: DatabaseAddress) -> None:
    with open_catalog(postgres_catalog_url(database)) as catalog:
        catalog.register_source("app", "postgres", NOW)
    run_sql(database, "DROP ROLE IF EXISTS catalog_reader; CREATE ROLE catalog_reader LOGIN PASSWORD 'reader'")
    reader = DatabaseAddress({**database.parameters, "user": "catalog_reader", "password": "reader"})
    try:
        with pytest.raises(CatalogRefused, match="permission denied"):
            open_catalog(postgres_catalog_url(reader), read_only=True).sources()
        run_sql(database, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO catalog_reader")
        with open_catalog(postgres_catalog_url(reader), read_only=True) as opened:
            assert [row.name for row in opened.sources()] == ["app"]
    finally:
        run_sql(database, "DROP OWNED BY catalog_reader; DROP ROLE catalog_reader")
