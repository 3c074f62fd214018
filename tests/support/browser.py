"""A real Chromium for the app's tests, and what every page has to keep to while it is driven."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
# The first needs root; the rest keep Chromium from asking the world for updates.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# "The script has ended" is not "it is drawn": charts and tables come later, in pieces of their own.
_READY = """()=>{const a=document.querySelector('[data-testid="stApp"]');
 if(!a||a.dataset.testScriptState!=='notRunning') return false;
 if(document.querySelector('[data-testid="stSkeleton"],[data-stale="true"]')) return false;
 const seen=(s)=>[...document.querySelectorAll(s)].filter(e=>e.offsetParent);
 for(const c of seen('[data-testid="stPlotlyChart"]')) if(!c.querySelector('.main-svg')) return false;
 for(const c of seen('[data-testid="stDataFrame"]')) if(!c.querySelector('canvas')) return false;
 return !!document.querySelector('[data-testid="stMain"] [data-testid="stElementContainer"]');}"""
_WIDTH, _HEIGHT = 1280, 900
PHONE_WIDTH = 390
# Streamlit asks for this below every page's address; it is there below `/` only.
_HARMLESS = ("/_stcore/health", "/_stcore/host-config")
# Upstream: the small charts inside st.metric have no words.
_ALLOWED_AXE = {"svg-img-alt"}


@dataclass
class Tab:
    """One page in the browser, with everything it asked for and complained about.

    Attributes:
        page: Playwright's page.
        base: Address of the app, without a slash at its end.
        hosts: Host names that were asked for anything.
        complaints: What the console said, harmless lines left out.
    """

    page: Page
    base: str
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> "Tab":
        """Go to a path of the app and wait until it is drawn."""
        self.page.goto(f"{self.base}{path}")
        return self.ready()

    def ready(self) -> "Tab":
        """Wait until everything is drawn."""
        self.page.wait_for_function(_READY, polling=20)
        return self

    def title(self) -> str:
        """What the page found, in its own words."""
        return self.page.get_by_role("heading", level=1).first.inner_text()

    def findings_of_axe(self) -> list[str]:
        """What keeps people with a screen reader, a keyboard or weak sight out of this page."""
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
        rules = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
        return [
            f"{item['id']}: {node['target']}"
            for item in found["violations"]
            for node in item["nodes"]
            if item["id"] not in _ALLOWED_AXE
        ]

    def shoot(self, name: str) -> Path:
        """Keep a picture of the whole page for people to look at."""
        ARTIFACTS.mkdir(exist_ok=True)
        width = self.page.viewport_size["width"] if self.page.viewport_size else _WIDTH
        height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.page.set_viewport_size({"width": width, "height": max(_HEIGHT, min(int(height), 6000))})
        self.ready()
        path = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    def overflow_pixels(self) -> int:
        """By how much the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def note_request(self, request: Request) -> None:
        """Remember whom the page asked."""
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"}:
            self.hosts.add(address.hostname or "")

    def note_console(self, message: ConsoleMessage) -> None:
        """Remember what went wrong, as the page's own console tells it."""
        where = str(message.location.get("url", ""))
        if message.type == "error" and not urlsplit(where).path.endswith(_HARMLESS):
            self.complaints.append(f"{message.text} ({where})")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests of a file: the system's, else Playwright's own.

    While Playwright runs, the thread has an event loop, and Prefect's own calls in it would only promise to be done.
    """
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        except Exception as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no browser here ({type(error).__name__}): apt-get install chromium, or playwright install")
        yield browser
        browser.close()


@contextmanager
def open_tab(
    browser: Browser, base: str, *, scheme: str = "light", width: int = _WIDTH, zone: str = "Europe/Berlin"
) -> Iterator[Tab]:
    """Open a fresh browser profile on the app."""
    settings: dict[str, Any] = {
        "viewport": {"width": width, "height": _HEIGHT},
        "timezone_id": zone,
        "locale": "en-GB",
        "color_scheme": scheme,
        "reduced_motion": "reduce",
        "accept_downloads": True,
    }
    context = browser.new_context(**settings)
    context.set_default_timeout(60_000)
    page = context.new_page()
    tab = Tab(page, base)
    page.on("request", tab.note_request)
    page.on("console", tab.note_console)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    try:
        yield tab
    finally:
        context.close()
