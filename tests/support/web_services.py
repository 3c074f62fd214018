"""Slack, Discord and a webhook on loopback: real HTTPS under their real names, with their rules, limits and answers.

A CONNECT proxy leads every host name here, so the product runs unchanged: HTTPS_PROXY and REQUESTS_CA_BUNDLE are what a
company with a proxy of its own sets too. What they answer is what their documentation says, tested in
test_web_services.py.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.discord_rules import answer_of_discord
from tests.support.slack_rules import answer_of_slack

OTHER_HOSTS = ("chat.googleapis.com", "org.zulipchat.com", "api.telegram.org")
HOSTS = ("hooks.slack.com", "slack.com", "discord.com", "ntfy.example", "hook.example", *OTHER_HOSTS)


@dataclass
class Received:
    """One request as it came."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass
class Planned:
    """An answer instead of the service's own."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebServices:
    """What came, and how it is answered.

    Attributes:
        port: Of the HTTPS server itself, on localhost.
        proxy_url: What HTTPS_PROXY is set to.
        received: Requests, oldest first.
        taken: Those that the service took.
        planned: Answers to the next requests, first one first.
        stalls: Whether requests are read and never answered.
    """

    port: int = 0
    proxy_url: str = ""
    received: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    stalls: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)

    def answer(self, request: Received) -> Planned:
        """Judge a request as the service behind its host name does."""
        self.received.append(request)
        if self.planned:
            return self.planned.pop(0)
        host = request.host.partition(":")[0]
        if host.endswith("slack.com"):
            status, body = answer_of_slack(request.path, request.headers, request.body)
            headers = {"Content-Type": "application/json" if body.startswith("{") else "text/html"}
        elif host == "discord.com":
            status, body = answer_of_discord(request.path, request.headers, request.body)
            headers = {"Content-Type": "application/json"}
        else:
            status, body, headers = 200, "{}", {"Content-Type": "application/json"}
        if status < 300 and not body.startswith('{"ok": false'):
            self.taken.append(request)
        return Planned(status, body, headers)


def _handler(services: WebServices) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Received(
                self.headers.get("Host", ""), self.command, self.path, dict(self.headers), self.rfile.read(length)
            )
            if services.stalls.is_set():
                services.received.append(request)
                services.ended.wait(60)
                self.close_connection = True
                return
            answer = services.answer(request)
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if answer.status == 204 else body)

        do_POST = do_GET = do_PUT = _serve  # noqa: N815 - the names that the base class calls

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Stay quiet."""

    return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def web_services(context: ssl.SSLContext) -> Iterator[WebServices]:
    """Run all of them behind one proxy.

    Args:
        context: Certificate for the names in `HOSTS` and for localhost.
    """
    services = WebServices()
    server = _QuietServer(("127.0.0.1", 0), _handler(services))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    services.port = server.server_address[1]
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    proxy = socket.create_server(("127.0.0.1", 0))
    services.proxy_url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    Thread(target=_accept, args=(proxy, services.port), daemon=True).start()
    try:
        yield services
    finally:
        services.ended.set()
        proxy.close()
        server.shutdown()
        server.server_close()


def _accept(proxy: socket.socket, port: int) -> None:
    while True:
        try:
            client, _ = proxy.accept()
        except OSError:
            return
        Thread(target=_tunnel, args=(client, port), daemon=True).start()


def _tunnel(client: socket.socket, port: int) -> None:
    """Answer CONNECT for any of the known hosts, then pass bytes both ways."""
    with suppress(OSError), client:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        host = urlsplit(f"//{head.split()[1].decode()}").hostname
        if host not in HOSTS:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            Thread(target=_pump, args=(server, client), daemon=True).start()
            _pump(client, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
