"""Addresses of the app for programs that only look."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from monitor_app import routes, site
from monitor_app.site import Site
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.config.load import Config
from shared.domain.backup import BackupStatus
from tests.support.app_catalog import fill
from tests.support.app_findings import look_once


def get(path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=list(routes.ROUTES)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(send())


@pytest.fixture
def shown(app_config: Config) -> Iterator[Site]:
    current = site.use(app_config)
    yield current
    current.close()


def _catalog_file(config: Config) -> Path:
    return Path(config.catalog_url.removeprefix("sqlite:///"))


def test_health_is_good_while_somebody_watches(story: Catalog, shown: Site) -> None:
    look_once(story, shown.config, utc_now())
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_health_is_bad_once_nobody_watches_any_more(story: Catalog, shown: Site) -> None:
    look_once(story, shown.config, utc_now() - timedelta(hours=2))
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stale")


def test_health_is_bad_when_the_last_watch_is_of_a_time_to_come(story: Catalog, shown: Site) -> None:
    look_once(story, shown.config, utc_now() + timedelta(days=365))
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stale")


def test_a_click_in_the_app_makes_no_old_facts_new(app_config: Config, shown: Site) -> None:
    with open_catalog(app_config.catalog_url, actor="ops@site") as catalog:
        fill(catalog, utc_now() - timedelta(days=2), days=5)
        assert get("/healthz").json()["status"] == "stale"
        backup = catalog.backups("shop", statuses=[BackupStatus.COMPLETE], limit=1)[0]
        catalog.place_hold(backup.id, owner="olga@example.com", reason="legal", now=utc_now())
        catalog.register_source("shop", "postgres", utc_now())
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stale")


def test_health_is_bad_while_nothing_was_ever_recorded_of_the_sources(app_config: Config, shown: Site) -> None:
    with open_catalog(app_config.catalog_url) as catalog:
        catalog.register_source("shop", "postgres", utc_now())
    answer = get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "empty", "facts_at": None})


@pytest.mark.parametrize("damage", ["gone", "no database", "another version"])
def test_nothing_is_told_of_a_catalog_that_cannot_be_read(damage: str, app_config: Config, shown: Site) -> None:
    file = _catalog_file(app_config)
    if damage == "gone":
        file.unlink()
    elif damage == "no database":
        file.write_bytes(b"this is not a database, whatever its name says" * 100)
    else:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'rev_9999'")
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "catalog unreachable")
    numbers = get("/metrics")
    assert numbers.status_code == 503
    assert "goldcopy_catalog_readable 0" in numbers.text
    assert "exposure_seconds{" not in numbers.text
    assert 'goldcopy_sources{health="green"} 0' in numbers.text
