"""A TCP proxy on loopback that can cut, stall or slow the line between a client and a server."""

import contextlib
import selectors
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from shared.clock import monotonic_seconds, wait
from shared.postgres.connection import DatabaseAddress

_CHUNK_BYTES = 16384
_POLL_SECONDS = 0.02


class TcpProxy:
    """Forwards every connection to one server until told otherwise; use it as a context manager.

    Attributes:
        port: Where it listens on 127.0.0.1.
        forwarded_bytes: What went from the server to clients so far.
        accepted: How many connections there were.
    """

    def __init__(self, host: str, port: int) -> None:
        self.forwarded_bytes = 0
        self.accepted = 0
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = threading.Event()
        self._bytes_per_second = 0.0
        self._cut_after_bytes: int | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="tcp-proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._flowing.set()
        self._listener.close()
        self.cut()

    def through(self, address: DatabaseAddress) -> DatabaseAddress:
        """Return the address that reaches the same database through this proxy."""
        return DatabaseAddress({**address.parameters, "host": "127.0.0.1", "port": str(self.port)})

    def cut(self) -> None:
        """Break every open connection the hard way, as a vanished server does; new ones go through."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def cut_after(self, count_bytes: int) -> None:
        """Break every connection once that many more bytes came from the server."""
        self._cut_after_bytes = self.forwarded_bytes + count_bytes

    def stall(self) -> None:
        """Keep connections open and move nothing, as a firewall that forgot them does."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let a stalled line flow again, at full speed."""
        self._bytes_per_second = 0.0
        self._flowing.set()

    def slow(self, bytes_per_second: float) -> None:
        """Limit what comes from the server."""
        self._bytes_per_second = bytes_per_second

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(self._target, timeout=10)
                server.settimeout(None)
            except OSError:
                continue
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with (
            selectors.DefaultSelector() as selector,
            contextlib.suppress(OSError, ValueError, KeyError),
            client,
            server,
        ):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self._closed.is_set():
                self._flowing.wait()
                for key, _ in selector.select(_POLL_SECONDS):
                    source, sink = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    if not self._flowing.is_set():
                        break
                    data = source.recv(_CHUNK_BYTES)
                    if not data:
                        return
                    self._pass_on(data, sink, from_server=source is server)

    def _pass_on(self, data: bytes, sink: socket.socket, *, from_server: bool) -> None:
        if from_server:
            self.forwarded_bytes += len(data)
            if self._cut_after_bytes is not None and self.forwarded_bytes >= self._cut_after_bytes:
                self._cut_after_bytes = None
                self.cut()
                return
            if self._bytes_per_second:
                wait(len(data) / self._bytes_per_second)
        sink.sendall(data)

    def await_bytes(self, count_bytes: int, timeout_seconds: float = 30) -> None:
        """Wait until that many bytes came from the server in all.

        Raises:
            AssertionError: They did not come in time.
        """
        deadline = monotonic_seconds() + timeout_seconds
        while self.forwarded_bytes < count_bytes:
            assert monotonic_seconds() < deadline, f"only {self.forwarded_bytes} bytes came"
            wait(0.005)
