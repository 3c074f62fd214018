"""`goldcopy status` and `goldcopy metrics` on generated history, and the endpoint over real HTTP."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from shared.cli.main import cli
from shared.clock import utc_now
from shared.demo.generated_history import HistoryShape, configuration_text, fill_catalog
from shared.errors import CatalogProblem, ConfigInvalid
from shared.operations.reach import probe_repository
from shared.repository.keys import write_fingerprint_key
from shared.repository.layout import DESCRIPTION_KEY
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.wiring.metrics_endpoint import LOOPBACK, MetricsServer
from tests.support.repository_builder import RECIPIENTS

SHAPE = HistoryShape(sources=12, days=60, failed_ratio=0, troubled_ratio=0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with twelve generated sources in good order."""
    url = f"sqlite:///{tmp_path}/catalog.db"
    fill_catalog(url, utc_now(), SHAPE)
    path = tmp_path / "goldcopy.toml"
    path.write_text(configuration_text(url, SHAPE), encoding="utf-8")
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], standalone_mode=False)


def edit(config: Path, statement: str) -> None:
    """Change the catalog's small table by hand: what follows from it is under test, not how it came about."""
    with sqlite3.connect(config.parent / "catalog.db") as connection:
        connection.execute(statement)
    connection.close()


def stale(config: Path, number: int, column: str) -> None:
    edit(config, f"UPDATE source_status SET {column} = '2020-01-01 00:00:00.000000' WHERE source LIKE '%{number:04}'")


def test_exit_code_follows_the_worst_colour(config: Path) -> None:
    document = json.loads(run(config, "status", "--json").stdout)
    assert document["counts"]["red"] == document["counts"]["unknown"] == 0
    assert run(config, "status").return_value == 0
    edit(config, "UPDATE source_status SET last_verified_outcome = 'not_measured', last_verified_at = updated_at")
    assert run(config, "status").return_value == 3
    stale(config, 7, "newest_complete_at")
    ended = run(config, "status", "--json")
    assert ended.return_value == 1
    document = json.loads(ended.stdout)
    assert document["health"] == "red"
    assert document["counts"]["red"] == 1
    assert run(config, "status", "generated-0001").return_value == 3


def test_the_table_says_who_needs_someone_and_what_to_do(config: Path) -> None:
    stale(config, 7, "newest_complete_at")
    text = run(config, "status").stdout
    [line] = [line for line in text.splitlines() if line.startswith("✕  generated-0007")]
    assert "red" in line
    assert "the newest backup is" in text
    assert "goldcopy backup generated-0007" in text
    assert text.strip().splitlines()[-1].startswith("✕ not safe: of 12 sources 1 red")


def test_one_source_is_shown_with_its_objectives(config: Path) -> None:
    text = run(config, "status", "generated-0003").stdout
    assert text.startswith("✓ generated-0003: green")
    assert "proven exposure" in text
    assert "objective 36 d" in text
    assert "last restore" in text
    assert "exposure         above 26 h never since" in text
    assert "within it 100 % of the time" in text
    [source] = json.loads(run(config, "status", "generated-0003", "--json").stdout)["sources"]
    assert source["history"]["rpo"]["breaches"] == []
    assert source["history"]["rpo"]["met_ratio"] == 1


def test_an_unknown_name_is_refused(config: Path) -> None:
    ended = run(config, "status", "nowhere")
    assert isinstance(ended.exception, ConfigInvalid)


def test_a_source_that_left_the_configuration_is_not_judged(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.split("[sources.generated-0011]")[0], encoding="utf-8")
    document = json.loads(run(config, "status", "--json").stdout)
    assert [item["source"] for item in document["not_configured"]] == ["generated-0011"]
    assert "generated-0011" not in {item["source"] for item in document["sources"]}
    assert "generated-0011: not configured any more, not judged" in run(config, "status").stdout


def test_no_source_is_not_green(tmp_path: Path) -> None:
    path = tmp_path / "goldcopy.toml"
    path.write_text(configuration_text(f"sqlite:///{tmp_path}/c.db", HistoryShape(sources=0)), encoding="utf-8")
    ended = run(path, "status")
    assert ended.return_value == 3
    assert "nothing is protected" in ended.stdout


def test_a_catalog_that_cannot_be_read_makes_everything_unknown(config: Path) -> None:
    (config.parent / "catalog.db").write_bytes(b"this is not a database at all, whatever its name says")
    for leftover in config.parent.glob("catalog.db-*"):
        leftover.unlink()
    ended = run(config, "status", "--json")
    assert ended.return_value == 3
    document = json.loads(ended.stdout)
    assert document["counts"]["unknown"] == 12
    assert "not a catalog" in document["catalog_error"]
    assert {reason["code"] for item in document["sources"] for reason in item["reasons"]} == {"no-facts"}
    numbers = run(config, "metrics")
    assert numbers.return_value == 3
    assert "goldcopy_catalog_readable 0" in numbers.stdout


def test_asking_the_repository_finds_one_that_is_gone(config: Path) -> None:
    ended = run(config, "status", "--probe", "--json")
    assert ended.return_value == 1
    codes = {reason["code"] for item in json.loads(ended.stdout)["sources"] for reason in item["reasons"]}
    assert "repository-unreachable" in codes
    assert "goldcopy_repository_reachable 0" in run(config, "metrics", "--probe").stdout


class HangingStore(LocalStore):
    """Answers when it is let go."""

    released: Event

    def get(self, key: str) -> bytes:
        self.released.wait(60)
        return super().get(key)


def test_a_store_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    store = HangingStore(tmp_path)
    store.released = Event()
    now = datetime(2026, 11, 21, tzinfo=UTC)
    try:
        answer = probe_repository(lambda: store, timedelta(milliseconds=50), now)
    finally:
        store.released.set()
    assert (answer.is_reachable, answer.asked_at) == (False, now)
    assert "no answer within" in answer.message


def test_a_secret_that_is_missing_here_says_nothing_about_the_repository(tmp_path: Path) -> None:
    def refuse() -> LocalStore:
        raise ConfigInvalid("repository.secret_access_key: NAME is not set", hint="Set it.")

    now = utc_now()
    assert probe_repository(refuse, timedelta(seconds=5), now).is_reachable is None
    store = LocalStore(tmp_path)
    key = Repository.create(store, RECIPIENTS, now).fingerprint_key
    assert probe_repository(lambda: store, timedelta(seconds=5), now, read_key=lambda: key).is_reachable is True
    without = probe_repository(lambda: store, timedelta(seconds=5), now)
    assert (without.is_reachable, "nobody could check that it is ours" in without.message) == (True, True)


def test_another_repository_in_its_place_is_not_ours(tmp_path: Path) -> None:
    now = utc_now()
    ours, other = LocalStore(tmp_path / "ours"), LocalStore(tmp_path / "other")
    key = Repository.create(ours, RECIPIENTS, now).fingerprint_key
    Repository.create(other, RECIPIENTS, now)
    answer = probe_repository(lambda: other, timedelta(seconds=5), now, read_key=lambda: key)
    assert answer.is_reachable is False
    assert f"the repository at {other.url} is another one" in answer.message
    other.put(DESCRIPTION_KEY, b"{}", replace=True)
    assert probe_repository(lambda: other, timedelta(seconds=5), now, read_key=lambda: key).is_reachable is False


def test_a_status_that_asks_is_red_when_the_repository_was_exchanged(config: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "ours")
    key = Repository.create(store, RECIPIENTS, utc_now()).fingerprint_key
    write_fingerprint_key(config.parent / ".goldcopy" / "fingerprint.key", key)
    other = config.parent / ".goldcopy" / "repository"
    Repository.create(LocalStore(other), RECIPIENTS, utc_now())
    result = run(config, "status", "--probe")
    assert result.return_value == 1
    assert "is another one" in result.stdout


def test_metrics_of_the_command_line_are_read_by_prometheus(config: Path) -> None:
    families = {family.name: family for family in text_string_to_metric_families(run(config, "metrics").stdout)}
    exposures = {
        sample.labels["source"]: sample.value for sample in families["goldcopy_source_exposure_seconds"].samples
    }
    assert set(exposures) == set(SHAPE.names)
    assert all(0 < value < 26 * 3600 for value in exposures.values())


@contextmanager
def serving(read: Callable[[], tuple[bool, str]], host: str = LOOPBACK) -> Iterator[str]:
    with MetricsServer(host, 0, read) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def test_the_endpoint_answers_scrapes_and_nothing_else() -> None:
    with serving(lambda: (True, "goldcopy_up 1\n")) as url:
        answer = httpx.get(url)
        assert (answer.status_code, answer.text) == (200, "goldcopy_up 1\n")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert httpx.get(url.replace("/metrics", "/secret")).status_code == 404
        assert httpx.post(url).status_code == 501


def test_the_endpoint_says_503_when_nothing_is_known() -> None:
    def fail() -> tuple[bool, str]:
        raise CatalogProblem("the catalog\nis away", hint="Look.")

    with serving(lambda: (False, "goldcopy_catalog_readable 0\n")) as url:
        assert httpx.get(url).status_code == 503
    with serving(fail) as url:
        answer = httpx.get(url)
        assert (answer.status_code, answer.text) == (503, "# the catalog is away\n")


def test_the_endpoint_ends_quietly_when_it_is_told_to(config: Path) -> None:
    command = [sys.executable, "-m", "shared.cli.main", "--config", str(config), "metrics", "--serve", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("metrics at http://127.0.0.1:")
        process.terminate()
        assert (process.wait(30), process.stderr.read()) == (0, "")


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with serving(lambda: (True, "")) as url, pytest.raises(ConfigInvalid, match="cannot listen on"):
        MetricsServer(LOOPBACK, int(url.split(":")[2].split("/")[0]), lambda: (True, ""))


@pytest.mark.parametrize("address", ["host", "1:x", ""])
def test_an_address_without_a_port_is_refused(config: Path, address: str) -> None:
    ended = run(config, "metrics", "--serve", address)
    assert "has no port" in str(ended.exception)
