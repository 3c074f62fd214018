"""An HTTP endpoint for Prometheus: `GET /metrics`, and nothing else."""

import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Lock

from shared.domain.metrics_text import CONTENT_TYPE
from shared.errors import ConfigInvalid, GoldcopyError

LOOPBACK = "127.0.0.1"
_LOG = logging.getLogger(__name__)
# A client that sends nothing does not hold a thread for ever.
_CLIENT_SECONDS = 10.0


class MetricsServer(ThreadingHTTPServer):
    """Answers scrapes; each reads the catalog anew, one at a time."""

    daemon_threads = True

    def __init__(self, host: str, port: int, read: Callable[[], tuple[bool, str]]) -> None:
        """Listen; port 0 takes a free one.

        Args:
            host: Address to listen on.
            port: 0 to 65535.
            read: Returns whether the catalog could be read, and the text.

        Raises:
            ConfigInvalid: The address cannot be listened on.
        """
        self._read, self._lock = read, Lock()
        self.address_family = AF_INET6 if ":" in host else AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigInvalid(
                f"cannot listen on {host}:{port}: {error}", hint="Choose a free port and an address of this machine."
            ) from error

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def answer(self) -> tuple[int, str]:
        """Return status and text of one scrape; 503 where nothing is known."""
        with self._lock:
            try:
                is_readable, text = self._read()
            except GoldcopyError as error:
                _LOG.warning("metrics could not be read: %s", error)
                return 503, f"# {' '.join(error.message.split())}\n"
        return (200 if is_readable else 503), text


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    server: MetricsServer
    server_version = "goldcopy"
    sys_version = ""

    def do_GET(self) -> None:
        status, text = (404, "see /metrics\n") if self.path.split("?")[0] != "/metrics" else self.server.answer()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Scrapes come every few seconds; nobody wants a line for each."""
