"""`goldcopy status` tells Goldcopy's own trouble and who has acknowledged what, from what the watch recorded."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner, Result

from shared.catalog.engine import open_catalog
from shared.catalog.watch_records import WatchResult
from shared.cli.main import cli
from shared.demo.generated_history import HistoryShape, configuration_text, fill_catalog
from shared.domain.health_reason import Colour, Reason
from shared.domain.incident import Incident
from shared.domain.transition import SYSTEM

AT = datetime(2026, 11, 21, 11, 32, tzinfo=UTC)
SHAPE = HistoryShape(sources=1, days=40, failed_ratio=0, troubled_ratio=0)
SOURCE = SHAPE.names[0]


def incident(source: str, number: int, sentence: str) -> Incident:
    reason = Reason(code="why", colour=Colour.YELLOW, sentence=sentence, action="Look.", since=AT)
    return Incident(
        id=f"{source or 'SYSTEM'}#{number}",
        source=source,
        opened_at=AT,
        colour=Colour.YELLOW,
        worst=Colour.YELLOW,
        reasons=(reason,),
    )


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], standalone_mode=False)


def watched(folder: Path, *incidents: Incident, acknowledged: bool = False) -> Path:
    """A configuration whose watch has looked and found these."""
    url = f"sqlite:///{folder}/catalog.db"
    fill_catalog(url, AT, SHAPE)
    with open_catalog(url) as catalog:
        catalog.begin_watch(AT)
        record = catalog.watch_record(changes_since=AT)
        assert record is not None
        assert catalog.record_watch(record.version, WatchResult(incidents=incidents), AT)
        if acknowledged:
            ids = [item.id for item in incidents]
            catalog.acknowledge(ids, by="ada", reason="on it", now=AT + timedelta(minutes=5))
    path = folder / "goldcopy.toml"
    path.write_text(configuration_text(url, SHAPE), encoding="utf-8")
    return path


def test_own_trouble_is_told_beside_the_sources_and_changes_no_exit_code(tmp_path: Path) -> None:
    told = "Channel ops has reached nobody since 2026-11-21 11:32 UTC: refused"
    config = watched(tmp_path, incident(SYSTEM, 1, told))
    document = json.loads(run(config, "status", "--json").stdout)
    assert document["watched_at"] == "2026-11-21T11:32:00Z"
    trouble = document["own_trouble"]
    assert (trouble["health"], trouble["reasons"][0]["sentence"]) == ("yellow", told)
    assert (trouble["incident"]["id"], trouble["incident"]["acknowledged_by"]) == ("SYSTEM#1", None)
    assert document["sources"][0]["incident"] is None
    text = run(config, "status").stdout
    assert "Goldcopy itself: yellow, when `goldcopy watch` looked at 2026-11-21 11:32 UTC\n" in text
    assert text.count(told) == text.count("11:32 UTC: refused") == 1
    assert f"  ! {told}\n" in text  # its instant is not told twice


def test_who_has_acknowledged_what_is_told(tmp_path: Path) -> None:
    config = watched(tmp_path, incident(SYSTEM, 1, "why"), incident(SOURCE, 2, "why"), acknowledged=True)
    document = json.loads(run(config, "status", "--json").stdout)
    for found in (document["own_trouble"]["incident"], document["sources"][0]["incident"]):
        assert found["acknowledged_by"] == "ada"
        assert found["acknowledged_at"] == "2026-11-21T11:37:00Z"
        assert found["acknowledged_reason"] == "on it"
    line = f"  {SOURCE}#2 acknowledged by ada (2026-11-21 11:37 UTC): on it"
    assert line in run(config, "status", SOURCE).stdout.splitlines()
    assert "  SYSTEM#1 acknowledged by ada (2026-11-21 11:37 UTC): on it" in run(config, "status").stdout.splitlines()


def test_where_nobody_watches_nothing_is_told_of_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    fill_catalog(url, AT, SHAPE)
    (tmp_path / "goldcopy.toml").write_text(configuration_text(url, SHAPE), encoding="utf-8")
    document = json.loads(run(tmp_path / "goldcopy.toml", "status", "--json").stdout)
    assert (document["watched_at"], document["own_trouble"]) == (None, None)
    assert "Goldcopy itself" not in run(tmp_path / "goldcopy.toml", "status").stdout
