"""The monitor elsewhere: what it is sent, and that nothing it does or does not do ends a watch."""

import logging
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from shared.cli.main import cli
from shared.config.load import load_config
from shared.domain.channel_health import DEAD_MANS_SWITCH
from shared.notices.dead_mans_switch import DeadMansSwitch, Ping
from shared.operations.setup import write_configuration
from shared.wiring.parts import Parts
from shared.wiring.switch import Switch
from tests.support.smtp_server import dripping_server

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


class _Monitor(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.pings.append((self.path, body))  # type: ignore[attr-defined]
        refused = re.search(r"refused-(\d+)", self.path)
        is_unknown = self.path == "/only-success/start"
        self.send_response(int(refused[1]) if refused else 404 if is_unknown else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return None


@pytest.fixture
def monitor() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Monitor)
    server.pings = []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_start_success_and_failure_are_told_as_healthchecks_does(
    monitor: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    switch = DeadMansSwitch(f"http://127.0.0.1:{monitor.server_port}/ping/7f3a?rid=1")
    with caplog.at_level(logging.INFO):
        assert [switch.ping(kind, "words") for kind in Ping] == ["", "", ""]
    assert "7f3a" not in caplog.text, "who has the address can keep the monitor quiet"
    assert monitor.pings == [  # type: ignore[attr-defined]
        ("/ping/7f3a/start?rid=1", "words"),
        ("/ping/7f3a?rid=1", "words"),
        ("/ping/7f3a/fail?rid=1", "words"),
    ]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:9/secret-uuid", "the monitor refuses connections"),
        ("http://[secret-uuid", "the host name of the monitor cannot be resolved"),
        ("secret-uuid", "its URL must begin https://"),
        ("ftp://x/secret-uuid", "its URL must begin https://"),
    ],
)
def test_monitor_that_cannot_be_reached_is_a_sentence_and_its_address_stays_secret(
    url: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert DeadMansSwitch(url).ping(Ping.SUCCESS) == problem
    assert f"the dead man's switch was not pinged: {problem}" in caplog.text
    assert "secret-uuid" not in caplog.text
    assert "secret-uuid" not in repr(DeadMansSwitch(url))


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (404, "it answered 404 Not Found: is the URL right?"),
        (500, "it answered 500 Internal Server Error"),
        (302, "it answered 302 Found: redirects are not followed, is the URL right?"),
    ],
)
def test_monitor_that_refuses_is_told_with_its_answer(monitor: HTTPServer, status: int, problem: str) -> None:
    assert DeadMansSwitch(f"http://127.0.0.1:{monitor.server_port}/refused-{status}").ping(Ping.START) == problem


def test_monitor_that_answers_drop_by_drop_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.notices.dead_mans_switch._DEADLINE_SECONDS", 0.3)
    with dripping_server() as port:
        assert DeadMansSwitch(f"http://127.0.0.1:{port}/").ping(Ping.START) == "the monitor did not answer in time"


def test_none_at_all_is_no_problem() -> None:
    assert DeadMansSwitch("").ping(Ping.START) == ""


def switch_of(folder: Path, url: str, environment: dict[str, str]) -> tuple[Parts, Switch]:
    path = folder / "goldcopy.toml"
    if not path.exists():
        write_configuration(path)
    path.write_text(path.read_text().split("[watch]")[0] + f'[watch]\ndead_mans_switch = "{url}"\n')
    parts = Parts(load_config(str(path), environment))
    return parts, Switch(parts)


def look(folder: Path, url: str, environment: dict[str, str] | None = None) -> list[str]:
    """Begin and end one look; return what is said of the switch."""
    parts, switch = switch_of(folder, url, environment or {})
    with closing(parts.catalog):
        reasons = switch.begin()
        switch.end(Ping.SUCCESS, "1 source", NOW)
    assert {reason.code for reason in reasons} <= {DEAD_MANS_SWITCH}
    return [reason.sentence for reason in reasons]


def test_missing_variable_is_said_at_once_and_ends_nothing(tmp_path: Path) -> None:
    assert look(tmp_path, "env:DMS_URL") == [
        "The dead man's switch cannot be used: watch.dead_mans_switch: the environment variable DMS_URL is not set"
    ]
    assert look(tmp_path, "env:DMS_URL", {"DMS_URL": "healthchecks/7f3a"}) == [
        "The dead man's switch cannot be used: its URL must begin https://"
    ]


def test_one_lost_ping_is_no_trouble_and_the_second_look_without_one_is(tmp_path: Path, monitor: HTTPServer) -> None:
    good, bad = (f"http://127.0.0.1:{monitor.server_port}/{path}" for path in ("ping", "refused-404"))
    assert look(tmp_path, good) == []
    assert look(tmp_path, bad) == []
    assert look(tmp_path, good) == []
    assert look(tmp_path, bad) == []
    sentence = "The dead man's switch cannot be used: it answered 404 Not Found: is the URL right?"
    assert look(tmp_path, bad) == [sentence]
    assert look(tmp_path, bad) == [sentence]
    assert look(tmp_path, good) == []


def test_monitor_that_knows_no_start_is_no_trouble(tmp_path: Path, monitor: HTTPServer) -> None:
    url = f"http://127.0.0.1:{monitor.server_port}/only-success"
    assert [look(tmp_path, url) for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize("missing", ["watch", "channel"])
def test_missing_variable_keeps_nobody_from_being_told(
    tmp_path: Path, monitor: HTTPServer, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    here = f"127.0.0.1:{monitor.server_port}"
    path = tmp_path / "goldcopy.toml"
    write_configuration(path)
    wrong = '[watch]\ndead_mans_switch = "env:GONE"\n' if missing == "watch" else '[channels.b]\nurl = "env:GONE"\n'
    monkeypatch.setenv("APP_URL", "postgresql://goldcopy@127.0.0.1:1/app")
    monkeypatch.setattr("shared.wiring.watching.firing_reasons", lambda _config: None)
    path.write_text(
        path.read_text() + f'[sources.app]\nurl = "env:APP_URL"\n[channels.a]\nurl = "json://{here}/hook"\n{wrong}'
    )
    results = [CliRunner().invoke(cli, ["--config", str(path), "watch"], standalone_mode=False) for _look in range(2)]
    assert (results[0].return_value, results[0].exception) == (1, None), results[0].output
    told = "".join(body for _, body in monitor.pings)  # type: ignore[attr-defined]
    assert "app is RED" in told
    assert "the environment variable GONE is not set" in told
