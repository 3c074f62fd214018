"""The app in a real browser: every page, in both themes and on a phone, and what people do there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from monitor_app.guard import HEADERS
from monitor_app.navigation import PAGES, Page
from shared.catalog.engine import open_catalog
from shared.clock import utc_now
from tests.support.app_catalog import fill, write_app_config
from tests.support.app_server import RunningApp, free_port, running_app
from tests.support.browser import PHONE_WIDTH, Tab, open_tab


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and a catalog that tells a story."""
    config = write_app_config(tmp_path_factory.mktemp("app"))
    with open_catalog(config.catalog_url, actor="ops@site") as catalog:
        fill(catalog, utc_now())
    return config.path


@pytest.fixture(scope="module")
def app(place: Path) -> Iterator[RunningApp]:
    with running_app(place) as running:
        yield running


@pytest.fixture
def tab(app: RunningApp, chromium: Browser) -> Iterator[Tab]:
    """A fresh browser, which must have asked nobody but the app, and complained of nothing, when the test ends."""
    with open_tab(chromium, app.url) as opened:
        yield opened
        assert opened.hosts == {"127.0.0.1"}
        assert opened.complaints == []


def address_of(page: Page) -> str:
    return "/" if page is PAGES[0] else f"/{page.address}"


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file)
def test_page_is_drawn_accessible_and_asks_nobody_outside(
    app: RunningApp, chromium: Browser, page: Page, look: str
) -> None:
    width = PHONE_WIDTH if look == "phone" else 1280
    with open_tab(chromium, app.url, scheme="dark" if look == "dark" else "light", width=width) as tab:
        tab.open(address_of(page))
        tab.shoot(f"{page.file}-{look}")
        assert tab.title()
        assert tab.findings_of_axe() == []
        assert tab.overflow_pixels() <= 0
        assert tab.complaints == []
        assert tab.hosts == {"127.0.0.1"}


def test_menu_leads_to_every_page(tab: Tab) -> None:
    tab.open()
    for page in PAGES:
        tab.page.get_by_test_id("stSidebarNav").get_by_role("link", name=page.title).click()
        tab.page.wait_for_url(f"{tab.base}{address_of(page)}*")
        tab.ready()
        expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
        assert tab.page.get_by_text("a mistake in Goldcopy").count() == 0


def test_filter_stands_in_the_url_and_survives_a_reload_and_going_back(tab: Tab) -> None:
    tab.open("/history" if PAGES[0].file != "history" else "/")
    before = tab.title()
    tab.page.get_by_role("combobox", name="Source").click()
    tab.page.get_by_role("option", name="billing", exact=True).click()
    tab.page.wait_for_url("**source=billing**")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("40 match the filter")
    tab.page.reload()
    tab.ready()
    assert tab.title() == "40 match the filter"
    assert before != "40 match the filter"


def test_link_to_one_backup_shows_its_evidence_on_the_first_run(tab: Tab, place: Path) -> None:
    with open_catalog(f"sqlite:///{place.parent}/.goldcopy/catalog.db", read_only=True) as catalog:
        failed = next(row.id for row in catalog.backups("billing") if row.test_outcome == "failed")
    tab.open(f"/?backup={failed}" if PAGES[0].file == "history" else f"/history?backup={failed}")
    expect(tab.page.get_by_role("heading", name=f"{failed}: restore failed")).to_be_visible()
    expect(tab.page.get_by_role("heading", name="1 restore test, the last one failed")).to_be_visible()
    expect(tab.page.get_by_role("heading", name="1 thing left out on purpose")).to_be_visible()


def test_three_quick_clicks_log_one_backup_and_an_empty_form_none(tab: Tab, place: Path) -> None:
    tab.open("/history" if PAGES[0].file != "history" else "/")
    tab.page.get_by_role("button", name="Log a backup made elsewhere").click()
    dialog = tab.page.get_by_role("dialog")
    submit = dialog.get_by_role("button", name="Log backup")
    submit.click()
    assert _logged(place) == 0
    dialog.get_by_role("textbox", name="Where it lies").fill("tape 7, safe in Bonn")
    dialog.get_by_role("spinbutton", name="Size in GB").fill("1.5")
    dialog.get_by_role("textbox", name="Reason").fill("before the move")
    dialog.get_by_role("textbox", name="Reason").press("Tab")
    submit.click(click_count=3, delay=15)
    expect(dialog).to_be_hidden()
    expect(tab.page.get_by_role("heading", name="1 backup made elsewhere")).to_be_visible()
    tab.ready()
    assert _logged(place) == 1


def test_escape_closes_a_dialog_and_nothing_happens(tab: Tab, place: Path) -> None:
    tab.open("/history" if PAGES[0].file != "history" else "/")
    logged = _logged(place)
    tab.page.get_by_role("button", name="Log a backup made elsewhere").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    assert _logged(place) == logged


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_dialog_is_accessible(app: RunningApp, chromium: Browser, scheme: str) -> None:
    with open_tab(chromium, app.url, scheme=scheme) as tab:
        tab.open("/history" if PAGES[0].file != "history" else "/")
        tab.page.get_by_role("button", name="Log a backup made elsewhere").click()
        expect(tab.page.get_by_role("dialog").get_by_role("button", name="Log backup")).to_be_visible()
        tab.shoot(f"dialog-{scheme}")
        assert tab.findings_of_axe() == []


def test_what_is_missing_is_told_in_the_dialog_and_what_was_typed_stays(tab: Tab, place: Path) -> None:
    logged = _logged(place)
    tab.open("/history" if PAGES[0].file != "history" else "/")
    tab.page.get_by_role("button", name="Log a backup made elsewhere").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Where it lies").fill("tape 8")
    dialog.get_by_role("textbox", name="Reason").fill("before the move")
    dialog.get_by_role("textbox", name="Reason").press("Tab")
    dialog.get_by_role("button", name="Log backup").click()
    expect(dialog.get_by_text("The size is not one of a backup")).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Where it lies")).to_have_value("tape 8")
    assert _logged(place) == logged


def test_a_backup_that_prefect_cannot_take_is_told_and_recorded(tab: Tab, place: Path) -> None:
    tab.open("/history" if PAGES[0].file != "history" else "/")
    # Nobody types a reason for what cannot be started.
    expect(tab.page.get_by_role("button", name="Back up now")).to_be_disabled()
    (place.parent / ".goldcopy" / "up.json").write_text(f'{{"port": {free_port()}}}')
    tab.open("/history" if PAGES[0].file != "history" else "/")
    tab.page.get_by_role("button", name="Back up now").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Reason").fill("before the release")
    dialog.get_by_role("textbox", name="Reason").press("Tab")
    dialog.get_by_role("button", name="Back up", exact=True).click()
    expect(dialog.get_by_text("does not do what was asked", exact=False)).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Reason")).to_have_value("before the release")
    tab.shoot("dialog-refused")
    assert tab.findings_of_axe() == []
    with open_catalog(f"sqlite:///{place.parent}/.goldcopy/catalog.db", read_only=True) as catalog:
        newest = [entry.action for entry in catalog.newest_audit_entries(2)]
    assert newest == ["backup.request.failed", "backup.request"]


def test_headers_and_closed_addresses(app: RunningApp) -> None:
    answer = httpx.get(f"{app.url}/")
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert httpx.get(f"{app.url}/_stcore/metrics").status_code == 404
    assert httpx.post(f"{app.url}/_stcore/agent/interact", json={}).status_code == 404
    assert httpx.get(f"{app.url}/", headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(f"{app.url}/healthz").json()["status"] == "ok"


def _logged(place: Path) -> int:
    with open_catalog(f"sqlite:///{place.parent}/.goldcopy/catalog.db", read_only=True) as catalog:
        return len(catalog.manual_backups(limit=100))
