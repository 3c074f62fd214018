"""How fast the app's pages are in a real browser, with how much memory, for a small and a large catalog.

For 40 sources with 400 days and 1,000 sources with 1,100 days, on SQLite and Postgres: the first page complete in a
browser that has never seen it, switching pages, a filter; the server's memory with 30 open sessions. The page that one
would write first, which reads all backups, is measured beside it.

Run: `python -m tests.bench.bench_app [--small] [--skip-small] [--skip-postgres] [--skip-naive]`
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from playwright.sync_api import Browser, sync_playwright

from shared.clock import monotonic_seconds, utc_now, wait
from shared.demo.generated_history import HistoryShape, configuration_text, fill_catalog
from tests.bench.bench_status import gather_statistics, postgres_url
from tests.support.app_server import free_port, running_app
from tests.support.browser import CHROMIUM_FLAGS, Tab, open_tab

SMALL, LARGE = HistoryShape(sources=40, days=400), HistoryShape()
SESSIONS = 30
RUNS = 3
TARGETS = {"first page": 2.0, "switch": 0.5, "filter": 0.5, "memory MB": 300.0}
_NAIVE_SECONDS = 240_000


def measure(browser: Browser, config: Path) -> dict[str, float]:
    """Start the app on a catalog and measure it."""
    with running_app(config) as app:
        found = {"first ever": _visit(browser, app.url)}
        found["first page"] = median(_visit(browser, app.url) for _ in range(RUNS))
        with open_tab(browser, app.url) as tab:
            tab.open()
            for name in ("One source", "Findings", "Recovery", "Backup history", "Are we safe?"):
                found[f"to {name}"] = _switches(tab, name)
            found["filter"] = _filter(tab)
            found["window"] = _window(tab)
        found["memory MB"] = _memory_with_sessions(browser, app.url)
    print("  " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    return found


def measure_naive(browser: Browser, url: str) -> dict[str, float]:
    """The same for the page that reads everything."""
    with _naive_server(url) as address, open_tab(browser, address) as tab:
        tab.page.set_default_timeout(_NAIVE_SECONDS)
        found = {"first page": timed(lambda: tab.open())}  # noqa: PLW0108 - timed here

        def choose() -> None:
            tab.page.get_by_role("combobox").first.click()
            tab.page.get_by_role("option", name="failed").click()
            tab.page.get_by_role("heading", level=1).filter(has_text="backups").wait_for()
            tab.page.wait_for_timeout(50)
            tab.ready()

        return found | {"filter": timed(choose)}


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    begun = monotonic_seconds()
    action()
    return monotonic_seconds() - begun


def _visit(browser: Browser, url: str) -> float:
    """Seconds until the first page is drawn in a browser that has nothing of it yet, once that browser is there."""
    with open_tab(browser, url) as tab:
        return timed(tab.open)


def _leave(tab: Tab) -> None:
    """Go where nothing is measured."""
    tab.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Audit trail").click()
    tab.page.get_by_text("Audit trail", exact=True).nth(1).wait_for()
    tab.ready()


def _switch(tab: Tab, name: str) -> None:
    tab.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    tab.page.get_by_text(name, exact=True).nth(1).wait_for()
    tab.ready()


def _switches(tab: Tab, name: str) -> float:
    taken = []
    for _ in range(RUNS):
        _leave(tab)
        taken.append(timed(lambda: _switch(tab, name)))
    return median(taken)


def _filter(tab: Tab) -> float:
    _switch(tab, "Backup history")
    taken = []
    for result in ("failed", "proven", "expired"):
        tab.page.get_by_role("combobox", name="Result").click()
        option = tab.page.get_by_role("option", name=result, exact=True)
        option.wait_for()

        def choose(option: object = option, result: str = result) -> None:
            option.click()  # type: ignore[attr-defined]
            tab.page.wait_for_url(f"**result={result}**")
            tab.ready()

        taken.append(timed(choose))
    return median(taken)


def _window(tab: Tab) -> float:
    _switch(tab, "One source")
    taken = []
    for days in ("180", "400"):

        def choose(days: str = days) -> None:
            tab.page.get_by_role("radio", name=days).click()
            tab.page.wait_for_url(f"**days={days}**")
            tab.ready()

        taken.append(timed(choose))
    return median(taken)


def _memory_with_sessions(browser: Browser, url: str) -> float:
    """Resident memory of the server while so many tabs are open, in MB."""
    pages = ("/", "/source", "/findings", "/recovery", "/history")
    context = browser.new_context()
    try:
        for number in range(SESSIONS):
            page = context.new_page()
            page.goto(f"{url}{pages[number % len(pages)]}")
            Tab(page, url).ready()
        return _resident_mb(int(url.rpartition(":")[2]))
    finally:
        context.close()


def _resident_mb(port: int) -> float:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"--port" in words and str(port).encode() in words:
                    lines = (folder / "status").read_text().splitlines()
                    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))
            except OSError:
                continue
    raise SystemExit("the app's process is gone")


@contextmanager
def _naive_server(url: str) -> Iterator[str]:
    port = free_port()
    script = Path(__file__).with_name("naive_page.py")
    options = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *options, "--server.address", "127.0.0.1"],
        env=os.environ | {"NAIVE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = monotonic_seconds() + 60
        while monotonic_seconds() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                wait(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _catalog(folder: Path, name: str, url: str, shape: HistoryShape) -> Path:
    place = folder / name
    place.mkdir()
    made = fill_catalog(url or f"sqlite:///{place}/catalog.db", utc_now(), shape)
    gather_statistics(url)
    config = place / "goldcopy.toml"
    config.write_text(configuration_text(url or f"sqlite:///{place}/catalog.db", shape), encoding="utf-8")
    print(f"{name}: {made.backups:,} backups, {made.restore_tests:,} restore tests", flush=True)
    return config


def _print(columns: dict[str, dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    print("\n" + "".ljust(20) + "".join(name.rjust(24) for name in columns))
    for name in names:
        cells = [f"{column[name]:.2f}" if name in column else "-" for column in columns.values()]
        target = next((value for key, value in TARGETS.items() if name.startswith(key.replace("switch", "to "))), None)
        note = f"   (at most {target:g})" if target is not None else ""
        print(name.ljust(20) + "".join(cell.rjust(24) for cell in cells) + note)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    for option in ("--small", "--skip-small", "--skip-postgres", "--skip-naive"):
        parser.add_argument(option, action="store_true")
    chosen = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        if not chosen.skip_small:
            columns["SQLite 40x400"] = measure(browser, _catalog(folder, "small", "", SMALL))
        if not chosen.small:
            config = _catalog(folder, "large", "", LARGE)
            columns["SQLite 1000x1100"] = measure(browser, config)
            if not chosen.skip_naive:
                columns["naive 1000x1100"] = measure_naive(browser, f"sqlite:///{config.parent}/catalog.db")
        if not chosen.small and not chosen.skip_postgres:
            (folder / "server").mkdir()
            with postgres_url(folder / "server") as url:
                columns["Postgres 1000x1100"] = measure(browser, _catalog(folder, "postgres", url, LARGE))
        browser.close()
    _print(columns)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
