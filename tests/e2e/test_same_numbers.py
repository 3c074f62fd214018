"""The command line, the metrics and the pages are asked the same, and tell the same."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, expect

from monitor_app.components.text import beside
from shared.catalog.engine import open_catalog
from shared.cli.main import cli
from shared.clock import utc_now
from tests.support.app_catalog import SOURCES, fill, write_app_config
from tests.support.app_findings import find_something_odd, look_once
from tests.support.app_server import RunningApp, running_app
from tests.support.browser import Tab, open_tab

COLOURS = {"green", "yellow", "red", "unknown"}
# What is read a moment later is a moment older, and a row of the page may be half a minute old.
SLACK_SECONDS = 120.0


@dataclass(frozen=True)
class Told:
    """What the command line says, and where everything else is asked."""

    status: dict[str, Any]
    config: Path
    app: RunningApp

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        return {each["source"]: each for each in self.status["sources"]}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    config = write_app_config(tmp_path_factory.mktemp("numbers"))
    now = utc_now()
    with open_catalog(config.catalog_url, actor="ops@site") as catalog:
        fill(catalog, now)
        find_something_odd(catalog, now - timedelta(minutes=5))
        look_once(catalog, config, now)
    with running_app(config.path) as app:
        yield Told(json.loads(_run(config.path, "status", "--json")), config.path, app)


@pytest.fixture
def tab(told: Told, chromium: Browser) -> Iterator[Tab]:
    with open_tab(chromium, told.app.url) as opened:
        yield opened


def _run(config: Path, *arguments: str) -> str:
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], standalone_mode=False).stdout


def _samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("where", ["goldcopy metrics", "GET /metrics"])
def test_metrics_tell_what_status_tells(where: str, told: Told) -> None:
    if where == "GET /metrics":
        answer = httpx.get(f"{told.app.url}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = _samples(answer.text)
    else:
        found = _samples(_run(told.config, "metrics"))
    for colour in COLOURS:
        expected = sum(each["health"] == colour for each in told.sources.values())
        assert found[f'goldcopy_sources{{health="{colour}"}}'] == expected
    for name, each in told.sources.items():
        assert {
            colour for colour in COLOURS if found[f'goldcopy_source_health{{source="{name}",health="{colour}"}}']
        } == {each["health"]}
        for metric, key in (("exposure_seconds", "exposure_seconds"), ("proven_exposure_seconds",) * 2):
            sample = found.get(f'goldcopy_source_{metric}{{source="{name}"}}')
            assert (sample is None) == (each[key] is None)
            assert sample == pytest.approx(each[key], abs=SLACK_SECONDS)
        for metric, key in (("stored_bytes",) * 2, ("last_backup_dumped_bytes", "dumped_bytes")):
            assert found.get(f'goldcopy_source_{metric}{{source="{name}"}}') == each[key]
        reasons = {
            match[1]
            for line in found
            if (match := re.match(rf'goldcopy_source_reason{{source="{name}",code="([^"]+)"', line))
        }
        assert reasons == {reason["code"] for reason in each["reasons"]}


def test_first_page_counts_what_status_counts(told: Told, tab: Tab) -> None:
    tab.open()
    sources = told.sources.values()
    text = tab.page.get_by_test_id("stMain").inner_text()
    within = sum(each["rpo_met"] is True for each in sources)
    proven = sum(each["proven_met"] is True for each in sources)
    late = sum(each["rpo_met"] is False for each in sources)
    assert late > 0
    assert tab.title() == f"Not safe: {late} of {len(sources)} sources are past their recovery point objective"
    assert re.search(rf"Within objective\s+{within} of {len(sources)}", text)
    assert re.search(rf"Proven in time\s+{proven} of {len(sources)}", text)
    troubled = sum(each["health"] != "green" for each in sources)
    expect(tab.page.get_by_role("heading", name=re.compile(rf"^{troubled} sources? needs? someone"))).to_be_visible()


@pytest.mark.parametrize("name", SOURCES)
def test_page_of_a_source_tells_its_status(name: str, told: Told, tab: Tab) -> None:
    each = told.sources[name]
    tab.open(f"/source?source={name}")
    text = tab.page.get_by_test_id("stMain").inner_text()
    for reason in each["reasons"]:
        assert reason["action"].replace("`", "") in text
    for seconds, objective, key in (
        (each["exposure_seconds"], each["objectives"]["rpo_seconds"], "At risk now"),
        (each["proven_exposure_seconds"], each["objectives"]["proven_seconds"], "Proven exposure"),
    ):
        # What is shown may be read a little later, when it rounds to the next number.
        shown = (
            {", objective ".join(beside(seconds + later, objective)) for later in (0.0, SLACK_SECONDS)}
            if seconds is not None
            else {"not known"}
        )
        assert any(re.search(rf"{key}\s+{re.escape(each)}\n", text) for each in shown), (key, shown, text)
    success = each["success"]["30d"]
    assert f"{success['ok']} of {success['ok'] + success['failed']} in 30 days" in text
