"""A pooler in transaction mode: each transaction of a client may run in another server process."""

import contextlib
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.postgres.connection import DatabaseAddress

_PROTOCOL_3 = 196608
_ENDS_A_CYCLE = {b"Q", b"S"}


class TransactionPooler:
    """Speaks enough of Postgres' protocol to lend server processes per transaction, the last returned one first.

    Use it as a context manager; it reaches the server over its socket, without a password.
    """

    def __init__(self, server: DatabaseAddress) -> None:
        self._server = server
        self._free: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="transaction-pooler", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def address(self, database: DatabaseAddress) -> DatabaseAddress:
        """Return the same database behind this pooler."""
        return DatabaseAddress(
            {**database.parameters, "host": "127.0.0.1", "port": str(self.port), "sslmode": "disable"}
        )

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            startup = self._read_startup(client)
            first = self._connect(startup)
            greeting = self._until_ready(first)
            self._free.append(first)
            client.sendall(b"".join(kind + body for kind, body in greeting))
            backend: socket.socket | None = None
            while True:
                kind, body = _message(client)
                if kind == b"X":
                    return
                if backend is None:
                    backend = self._take(startup)
                backend.sendall(kind + body)
                if kind in _ENDS_A_CYCLE:
                    answer = self._until_ready(backend)
                    if answer[-1][1][4:] == b"I":
                        with self._lock:
                            self._free.append(backend)
                        backend = None
                    client.sendall(b"".join(kind + body for kind, body in answer))

    def _read_startup(self, client: socket.socket) -> bytes:
        while True:
            size = struct.unpack("!I", _exactly(client, 4))[0]
            body = _exactly(client, size - 4)
            if struct.unpack("!I", body[:4])[0] >> 16 == _PROTOCOL_3 >> 16:
                return struct.pack("!I", size) + body
            client.sendall(b"N")  # no TLS, no GSS

    def _take(self, startup: bytes) -> socket.socket:
        with self._lock:
            if self._free:
                return self._free.pop()
        backend = self._connect(startup)
        self._until_ready(backend)
        return backend

    def _connect(self, startup: bytes) -> socket.socket:
        parameters = self._server.parameters
        backend = socket.socket(socket.AF_UNIX)
        backend.connect(str(Path(parameters["host"]) / f".s.PGSQL.{parameters.get('port', '5432')}"))
        self._open.append(backend)
        backend.sendall(startup)
        return backend

    @staticmethod
    def _until_ready(backend: socket.socket) -> list[tuple[bytes, bytes]]:
        messages = [_message(backend)]
        while messages[-1][0] != b"Z":
            messages.append(_message(backend))
        return messages


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(connection, 1)
    size = _exactly(connection, 4)
    return kind, size + _exactly(connection, struct.unpack("!I", size)[0] - 4)


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise EOFError
        received += chunk
    return received
