"""The app on a catalog in Postgres: the roles that deploy/databases.sh makes, and what each may do."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from monitor_app.queries.backups import BackupFilter, Result, count_backups, load_backups
from monitor_app.queries.freshness import load_signs
from monitor_app.site import Site
from shared.catalog.connection import Database, open_database
from shared.catalog.engine import open_catalog
from shared.clock import utc_now
from shared.config.load import load_config
from shared.config.model import ConfigFile
from shared.errors import CatalogProblem
from tests.support.app_catalog import fill, write_app_config
from tests.support.postgres_servers import PostgresServer

SCRIPT = Path(__file__).parents[2] / "deploy" / "databases.sh"
_OWN = ("goldcopy", "prefect")
_PASSWORDS = {"CATALOG_PASSWORD": "one", "APP_CATALOG_PASSWORD": "two", "PREFECT_DATABASE_PASSWORD": "three"}


@pytest.fixture
def place(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Site]:
    """A site whose catalog was made as compose.yaml makes it: written by one role, read by another."""
    admin = postgres_server.socket_address.parameters
    environment = {
        **os.environ,
        "PATH": f"{postgres_server.toolset.program('psql').parent}:{os.environ['PATH']}",
        "PGHOST": admin["host"],
        "PGPORT": admin["port"],
        **{variable: password for variable, password in _PASSWORDS.items()},
    }
    subprocess.run(["sh", str(SCRIPT)], env=environment, check=True, capture_output=True)
    address = postgres_server.address.with_database("goldcopy").parameters
    at = f"@{address['host']}:{address['port']}/goldcopy"
    write_app_config(tmp_path, f'[app]\ncatalog_url = "postgresql+psycopg://goldcopy_app:two{at}"\n')
    path = tmp_path / "goldcopy.toml"
    own = f'url = "postgresql+psycopg://goldcopy:one{at}"'
    path.write_text(path.read_text().replace('url = "sqlite:///.goldcopy/catalog.db"', own))
    site = Site(load_config(str(path)))
    yield site
    site.close()
    with postgres_server.address.connect() as connection:
        for name in _OWN:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in (*_OWN, "goldcopy_app"):
            connection.execute(f"DROP ROLE {role}")


def test_pages_read_what_the_worker_wrote_and_can_change_nothing(place: Site) -> None:
    with open_catalog(place.config.catalog_url, actor="worker") as catalog:
        fill(catalog, utc_now(), days=4)
    database = place.database()
    assert count_backups(database, BackupFilter()) == 12
    assert [row.source for row in load_backups(database, BackupFilter(result=Result.FAILED), 1)] == ["audit-log"] * 3
    assert load_signs(database).run_at is not None
    with pytest.raises(CatalogProblem, match="read-only"):
        place.catalog().register_source("intruder", "postgres", utc_now())


def test_the_apps_role_is_refused_even_when_it_asks_to_write(place: Site) -> None:
    open_catalog(place.config.catalog_url).close()
    database = open_database(place.config.app_catalog_url)
    with pytest.raises(CatalogProblem, match="permission denied"):
        _write_all_the_same(database)
    database.close()


def _write_all_the_same(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        connection.execute(text("INSERT INTO source (name, kind, registered_at) VALUES ('x', 'postgres', now())"))


def test_a_server_that_is_gone_is_a_problem_of_the_catalog_and_no_other(place: Site) -> None:
    open_catalog(place.config.catalog_url).close()
    url = place.config.app_catalog_url
    gone = Site(replace(place.config, file=_with_catalog(place, url.replace("/goldcopy", "/nowhere"))))
    with pytest.raises(CatalogProblem):
        gone.database()


def _with_catalog(place: Site, url: str) -> ConfigFile:
    file = place.config.file
    return file.model_copy(update={"app": file.app.model_copy(update={"catalog_url": url})})
