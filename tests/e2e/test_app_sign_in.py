"""Who is let in: the gate on every address, roles, strangers, sessions that are over; with a real provider."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from monitor_app.navigation import PAGES
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.api_key import digest_of, key_of
from shared.domain.person import Role
from tests.support.app_catalog import fill, write_app_config
from tests.support.app_server import RunningApp, free_port, running_app
from tests.support.browser import Tab, open_tab
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider

ADDRESSES = ["/", "/?backup=1", *(f"/{page.address}" for page in PAGES), "/nothing-here"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[tuple[RunningApp, Catalog]]:
    """An app with sign-in, and its catalog, opened for writing."""
    port = free_port()
    config = write_app_config(tmp_path_factory.mktemp("signed"), _section(provider, port))
    with open_catalog(config.catalog_url, actor="admin@site") as catalog:
        fill(catalog, utc_now(), days=3)
        for name, role in (("vera@example.com", Role.VIEWER), ("olga@example.com", Role.OPERATOR)):
            catalog.set_person(name, role, is_active=True, now=utc_now())
        with running_app(config.path, port=port) as running:
            yield running, catalog


def _section(provider: Provider, port: int) -> str:
    return f"""
[app]
url = "http://127.0.0.1:{port}"
[app.sign_in]
metadata_url = "{provider.metadata_url}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
cookie_secret = "a cookie secret that is long enough for its purpose"
"""


@pytest.fixture
def tab(site: tuple[RunningApp, Catalog], chromium: Browser) -> Iterator[Tab]:
    with open_tab(chromium, site[0].url) as opened:
        yield opened


def sign_in(tab: Tab, provider: Provider, email: str, *, age_seconds: int = 0, verified: bool = True) -> None:
    provider.claims = {"email": email, "email_verified": verified}
    provider.age_seconds = age_seconds
    tab.open()
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.wait_for_url(f"{tab.base}/**")
    tab.ready()


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_shows_only_the_gate_in_a_fresh_process(
    tmp_path: Path, chromium: Browser, provider: Provider, address: str
) -> None:
    # A fresh process each time: nobody signed in before, no page ran before.
    port = free_port()
    config = write_app_config(tmp_path, _section(provider, port))
    with open_catalog(config.catalog_url, actor="admin@site") as catalog:
        fill(catalog, utc_now(), days=2)
    with running_app(config.path, port=port) as app, open_tab(chromium, app.url) as tab:
        tab.open(address)
        expect(tab.page.get_by_role("heading", name="Sign in to see the backups")).to_be_visible()
        text = tab.page.get_by_test_id("stApp").inner_text()
        assert not [word for word in ("billing", "shop", "Backup history", "recorded") if word in text]
        assert tab.page.get_by_test_id("stSidebarNav").count() == 0


def test_viewer_sees_pages_and_no_button_that_changes_something(tab: Tab, provider: Provider) -> None:
    sign_in(tab, provider, "Vera@Example.com")
    expect(tab.page.get_by_text("vera@example.com, viewer")).to_be_visible()
    assert tab.page.get_by_role("button", name="Back up now").count() == 0
    for page in PAGES[1:]:
        tab.page.get_by_test_id("stSidebarNav").get_by_role("link", name=page.title).click()
        tab.ready()
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.page.get_by_role("heading", name="Sign in to see the backups")).to_be_visible()


def test_sign_in_ends_at_the_page_that_was_asked_for(tab: Tab, provider: Provider) -> None:
    provider.claims, provider.age_seconds = {"email": "vera@example.com", "email_verified": True}, 0
    tab.open("/source?source=shop&days=180")
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.wait_for_url(f"{tab.base}/source?source=shop&days=180")
    tab.ready()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("shop is ")


def test_role_that_is_taken_away_is_gone_at_the_next_click(
    tab: Tab, provider: Provider, site: tuple[RunningApp, Catalog]
) -> None:
    catalog = site[1]
    sign_in(tab, provider, "olga@example.com")
    expect(tab.page.get_by_text("olga@example.com, operator")).to_be_visible()
    catalog.set_person("olga@example.com", Role.OPERATOR, is_active=False, now=utc_now(), reason="left")
    tab.page.get_by_test_id("stSidebarNav").get_by_role("link", name=PAGES[-1].title).click()
    expect(tab.page.get_by_role("heading", name="You may not see this")).to_be_visible()
    catalog.set_person("olga@example.com", Role.OPERATOR, is_active=True, now=utc_now(), reason="came back")


@pytest.mark.parametrize(
    ("email", "age_seconds", "verified", "title"),
    [
        ("stranger@example.com", 0, True, "You may not see this"),
        ("vera@example.com", 0, False, "Your sign-in names no verified address"),
        ("vera@example.com", 13 * 3600, True, "Your session is over"),
    ],
)
def test_others_are_told_why_they_are_not_let_in(
    tab: Tab, provider: Provider, email: str, age_seconds: int, verified: bool, title: str
) -> None:
    sign_in(tab, provider, email, age_seconds=age_seconds, verified=verified)
    expect(tab.page.get_by_role("heading", name=title)).to_be_visible()
    assert "billing" not in tab.page.get_by_test_id("stApp").inner_text()


def test_programs_need_a_key_and_monitoring_needs_none(site: tuple[RunningApp, Catalog]) -> None:
    app, catalog = site
    key = key_of(b"a key that may look, 32 bytes ok")
    catalog.add_api_key("prometheus", digest_of(key), Role.VIEWER, now=utc_now())
    assert httpx.post(f"{app.url}/api/backups", json={}).status_code == 401
    refused = httpx.get(f"{app.url}/metrics")
    assert refused.status_code == 401
    assert "goldcopy_source" not in refused.text
    told = httpx.get(f"{app.url}/metrics", headers={"authorization": f"Bearer {key}"})
    assert told.status_code == 200
    assert 'goldcopy_source_health{source="shop",' in told.text
    assert httpx.get(f"{app.url}/healthz").status_code == 200
