"""What people do on the first pages, in a real browser: from the answer to the cause, take it, ask for a restore."""

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from tests.support.app_catalog import fill, write_app_config
from tests.support.app_findings import find_something_odd, look_once, request_of
from tests.support.app_server import RunningApp, running_app
from tests.support.browser import PHONE_WIDTH, Tab, open_tab

SAFE_PAGES = ("overview", "source", "findings", "recovery", "requests")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with a watched story."""
    config = write_app_config(tmp_path_factory.mktemp("journeys"))
    now = utc_now()
    with open_catalog(config.catalog_url, actor="ops@site") as catalog:
        fill(catalog, now)
        find_something_odd(catalog, now - timedelta(minutes=5))
        look_once(catalog, config, now)
        catalog.request_restore("token-r", request_of(catalog), actor="vera@example.com", now=now - timedelta(hours=2))
    return config.path


@pytest.fixture(scope="module")
def app(place: Path) -> Iterator[RunningApp]:
    with running_app(place) as running:
        yield running


@pytest.fixture
def tab(app: RunningApp, chromium: Browser) -> Iterator[Tab]:
    """A fresh browser that asked nobody but the app and complained of nothing."""
    with open_tab(chromium, app.url) as opened:
        yield opened
        assert opened.hosts == {"127.0.0.1"}
        assert opened.complaints == []


@pytest.fixture
def catalog(place: Path) -> Iterator[Catalog]:
    with open_catalog(f"sqlite:///{place.parent}/.goldcopy/catalog.db", read_only=True) as opened:
        yield opened


def test_first_page_answers_at_the_top_without_any_chart_library(tab: Tab) -> None:
    tab.open()
    assert tab.title() == "Not safe: 2 of 4 sources are past their recovery point objective"
    alert = tab.page.get_by_role("alert").first
    expect(alert).to_contain_text("Worst: warehouse")
    expect(alert).to_contain_text("Nobody has taken it yet")
    assert alert.bounding_box()["y"] < 300  # type: ignore[index]
    assert tab.page.locator('[data-testid="stPlotlyChart"], [data-testid="stDataFrame"]').count() == 0
    loaded = tab.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in loaded if "plotly" in name.lower()]


def test_link_of_a_source_leads_to_its_page_and_back_comes_back(tab: Tab) -> None:
    tab.open()
    tab.page.get_by_test_id("stMain").get_by_role("link", name="audit-log").click()
    tab.page.wait_for_url("**/source?source=audit-log")
    tab.ready()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("audit-log is not safe: ")
    tab.page.go_back()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("Not safe")


def test_chosen_source_and_window_stand_in_the_url_and_survive_a_reload(tab: Tab) -> None:
    tab.open("/source?source=shop")
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("shop is ")
    tab.page.get_by_role("radio", name="180").click()
    tab.page.wait_for_url("**days=180**")
    tab.page.reload()
    tab.ready()
    expect(tab.page.get_by_role("radio", name="180")).to_be_checked()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("shop is ")


def test_charts_have_words_and_the_calendar_is_a_table(tab: Tab) -> None:
    tab.open("/source?source=billing")
    figures = tab.page.get_by_role("figure")
    assert figures.count() >= 3
    names = [figures.nth(number).get_attribute("aria-label") or "" for number in range(figures.count())]
    assert any("Exposure of billing over time. Objective kept" in name for name in names)
    expect(tab.page.get_by_role("table", name="Backups of billing per day")).to_have_count(1)


def test_finding_is_taken_once_with_a_reason_however_often_it_is_clicked(tab: Tab, catalog: Catalog) -> None:
    tab.open("/findings?source=billing")
    tab.page.get_by_role("button", name="Acknowledge").click()
    dialog = tab.page.get_by_role("dialog")
    submit = dialog.get_by_role("button", name="Acknowledge")
    submit.click()
    expect(dialog.get_by_text("This field is required.")).to_be_visible()
    assert _acknowledged(catalog) == 0
    dialog.get_by_role("textbox", name="Reason").fill("orders is being restored")
    dialog.get_by_role("textbox", name="Reason").press("Tab")
    submit.click(click_count=3, delay=15)
    expect(dialog).to_be_hidden()
    tab.ready()
    assert _acknowledged(catalog) == 1
    tab.open("/findings?state=acknowledged")
    expect(tab.page.get_by_text("orders is being restored", exact=False)).to_be_visible()


def test_restore_is_asked_for_once_and_escape_asks_for_nothing(tab: Tab, catalog: Catalog) -> None:
    before = len(catalog.restore_requests(limit=100))
    tab.open("/requests")
    tab.page.get_by_role("button", name="Ask for a restore").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    tab.page.get_by_role("button", name="Ask for a restore").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Source").click()
    tab.page.get_by_role("option", name="shop", exact=True).click()
    dialog.get_by_role("textbox", name="Where to").fill("env:STAGING_URL")
    dialog.get_by_role("textbox", name="Reason").fill("an order was deleted")
    dialog.get_by_role("textbox", name="Reason").press("Tab")
    dialog.get_by_role("button", name="Ask", exact=True).click(click_count=3, delay=15)
    expect(dialog).to_be_hidden()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text(f"{before + 1} wait")
    tab.ready()
    asked = catalog.restore_requests(limit=100)
    assert len(asked) == before + 1
    assert (asked[0].source, asked[0].destination, asked[0].reason) == (
        "shop",
        "env:STAGING_URL",
        "an order was deleted",
    )


def test_evidence_is_taken_away_as_it_is(tab: Tab, catalog: Catalog, tmp_path: Path) -> None:
    tab.open("/recovery")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Evidence as CSV").click()
    path = tmp_path / "evidence.csv"
    download.value.save_as(path)
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    tests = [test for test in catalog.restore_tests() if test.started_at > utc_now() - timedelta(days=30)]
    assert {row["test_id"] for row in rows} == {test.id for test in tests}
    assert all(len(row["manifest_sha256"]) == 64 for row in rows)
    assert any("the source had 120,900" in row["expected_and_found"] for row in rows)


def test_first_page_is_walked_by_keyboard(tab: Tab) -> None:
    tab.open()
    focused = "document.activeElement.tagName == 'A' ? document.activeElement.innerText : ''"
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        if "warehouse" in str(tab.page.evaluate(focused)):
            break
    assert "warehouse" in str(tab.page.evaluate(focused))
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/source?source=warehouse")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("page", SAFE_PAGES)
def test_pages_of_a_watched_story_are_accessible_and_fit(
    app: RunningApp, chromium: Browser, page: str, look: str
) -> None:
    width = PHONE_WIDTH if look == "phone" else 1280
    with open_tab(chromium, app.url, scheme="dark" if look == "dark" else "light", width=width) as tab:
        tab.open("/" if page == "overview" else f"/{page}")
        tab.shoot(f"watched-{page}-{look}")
        assert tab.findings_of_axe() == []
        assert tab.overflow_pixels() <= 0
        assert tab.complaints == []


def test_times_are_the_viewers(app: RunningApp, chromium: Browser) -> None:
    with open_tab(chromium, app.url, zone="America/New_York") as tab:
        tab.open()
        expect(tab.page.get_by_text("Times in America/New_York")).to_be_visible()
        expect(tab.page.get_by_text("looked at again every minute", exact=False)).to_contain_text("EST")


def _acknowledged(catalog: Catalog) -> int:
    actions = [entry.action for entry in catalog.newest_audit_entries(200)]
    return actions.count("incident.acknowledge")
