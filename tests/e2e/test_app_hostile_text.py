"""Hostile text in every stored field, in a real browser: nothing runs, nothing is fetched, nothing can be clicked."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser

from monitor_app.navigation import PAGES
from shared.catalog.app_records import ManualBackup
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.backup import BackupKind
from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.errors import GoldcopyError
from tests.support.app_catalog import PAYLOADS, write_app_config
from tests.support.app_server import RunningApp, running_app
from tests.support.browser import Tab, open_tab
from tests.support.catalogs import complete, make_id, make_manifest, make_table, prove

ALL = " ~ ".join(PAYLOADS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, str]]:
    """An app over a catalog in which every text is hostile, and the id of a backup in it."""
    config = write_app_config(tmp_path_factory.mktemp("hostile"))
    with open_catalog(config.catalog_url, actor=ALL) as catalog:
        backup_id = _fill(catalog)
    with running_app(config.path) as app:
        yield app, backup_id


def _fill(catalog: Catalog) -> str:
    now = utc_now()
    manifest = make_manifest(
        at=now - timedelta(hours=3),
        reason=ALL,
        warnings=PAYLOADS,
        excluded=tuple(Exclusion(object=payload, reason=payload) for payload in PAYLOADS),
        tables=tuple(make_table(f"{payload} {number}") for number, payload in enumerate(PAYLOADS)),
    )
    complete(catalog, manifest)
    catalog.place_hold(manifest.backup_id, owner=ALL, reason=ALL, now=now)
    catalog.record_anomaly(manifest.backup_id, ALL, now)
    found = tuple(
        Finding(check="rows", severity=Severity.ERROR, object=payload, message=payload, hint=payload)
        for payload in PAYLOADS
    )
    gaps = tuple(NotMeasured(check="rows", object=payload, reason=payload) for payload in PAYLOADS)
    prove(catalog, manifest.backup_id, Outcome.FAILED, now, findings=found, not_measured=gaps)
    failed = make_id(now - timedelta(hours=2), suffix="dead")
    catalog.backup_started(backup_id=failed, source="app", kind=BackupKind.MANUAL, reason=ALL, now=now)
    catalog.backup_failed(failed, GoldcopyError(ALL[:1500], hint=""), now)
    catalog.log_manual_backup(
        "token",
        ManualBackup(source="shop", taken_at=now, place=ALL, stored_bytes=1, reason=ALL),
        actor=ALL,
        now=now,
    )
    return manifest.backup_id


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file)
def test_hostile_text_runs_fetches_and_links_nothing(
    site: tuple[RunningApp, str], chromium: Browser, page: object
) -> None:
    app, backup_id = site
    chosen = next(item for item in PAGES if item is page)
    path = "/" if chosen is PAGES[0] else f"/{chosen.address}"
    with open_tab(chromium, app.url) as tab:
        tab.open(f"{path}?backup={backup_id}&source=app")
        tab.shoot(f"hostile-{chosen.file}")
        _nothing_came_alive(tab)


def _nothing_came_alive(tab: Tab) -> None:
    assert "owned" not in tab.page.title()
    assert tab.hosts == {"127.0.0.1"}
    # A blocked fetch or script would be told in the console.
    assert tab.complaints == []
    assert tab.page.locator("a[href*='outside.example'], a[href^='mailto'], a[href^='javascript']").count() == 0
    assert tab.page.locator("img[src*='outside.example'], [data-testid=stMain] img[src='x']").count() == 0
    assert tab.page.locator("[data-testid=stMain] h1").count() == 1
    assert tab.page.get_by_text("SAFE", exact=True).count() == 0
