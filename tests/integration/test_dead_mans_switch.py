"""The monitor elsewhere: what it is sent, and that nothing it does or does not do ends a watch."""

import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from shared.notices.dead_mans_switch import DeadMansSwitch, Ping


class _Monitor(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.pings.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(500 if "refused" in self.path else 200)
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
        assert [switch.ping(kind, "words") for kind in Ping] == [True, True, True]
    assert "7f3a" not in caplog.text, "who has the address can keep the monitor quiet"
    assert monitor.pings == [  # type: ignore[attr-defined]
        ("/ping/7f3a/start?rid=1", "words"),
        ("/ping/7f3a?rid=1", "words"),
        ("/ping/7f3a/fail?rid=1", "words"),
    ]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret-uuid", "http://[secret-uuid", "secret-uuid", "ftp://x/y"])
def test_monitor_that_cannot_be_reached_changes_nothing_and_its_address_stays_secret(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert DeadMansSwitch(url).ping(Ping.SUCCESS) is False
    assert "could not be reached" in caplog.text
    assert "secret-uuid" not in caplog.text
    assert "secret-uuid" not in repr(DeadMansSwitch(url))


def test_monitor_that_refuses_and_none_at_all_change_nothing(monitor: HTTPServer) -> None:
    assert DeadMansSwitch(f"http://127.0.0.1:{monitor.server_port}/refused").ping(Ping.START) is False
    assert DeadMansSwitch("").ping(Ping.START) is False
