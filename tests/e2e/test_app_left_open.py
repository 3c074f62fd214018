"""A page that is left open: the facts on it turn old, and it says so without a click."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from shared.catalog.engine import open_catalog
from shared.clock import utc_now
from tests.support.app_catalog import fill, write_app_config
from tests.support.app_server import running_app
from tests.support.browser import open_tab


def test_page_left_open_says_by_itself_that_its_facts_are_old(tmp_path: Path, chromium: Browser) -> None:
    config = write_app_config(tmp_path)
    with open_catalog(config.catalog_url, actor="ops@site") as catalog:
        fill(catalog, utc_now(), days=3)
        with running_app(config.path) as app, open_tab(chromium, app.url) as tab:
            # The browser's clock, so that a minute does not take one.
            tab.page.clock.install()
            tab.page.goto(f"{app.url}/recovery")
            tab.page.clock.run_for(5_000)
            expect(tab.page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
            old = tab.page.get_by_text("These facts are old")
            assert old.count() == 0
            with catalog._database.writing() as connection:
                connection.exec_driver_sql("UPDATE run SET heartbeat_at = '2020-01-01 00:00:00.000000'")
                for column in ("newest_complete_finished_at", "last_failure_at", "last_test_at", "last_verified_at"):
                    connection.exec_driver_sql(f"UPDATE source_status SET {column} = '2020-01-01 00:00:00.000000'")
            tab.page.clock.run_for(61_000)
            expect(old).to_be_visible(timeout=60_000)
