"""A real mail server on loopback with TLS and login, and what it got; with the faults that mail servers have."""

import socket
import ssl
from asyncio import Server
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER = "goldcopy"
PASSWORD = "pa55-word/with:odd@signs%+"


@dataclass
class MailBox:
    """What one mail server took, and how it behaves.

    Attributes:
        port: Where it listens on localhost.
        sent: Envelope recipients and message, oldest first.
        refused: Answers by recipient, such as `550 5.1.1 no such user`.
        answer: What it says after the content, instead of 250; empty for 250.
        login_answer: What it says to a right password, instead of letting it in; empty to let it in.
    """

    port: int = 0
    sent: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    login_answer: str = ""


class _Handler:
    """What aiosmtpd calls."""

    def __init__(self, box: MailBox) -> None:
        self._box = box

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self._box.refused:
            return self._box.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._box.answer:
            return self._box.answer
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._box.sent.append(([str(address) for address in envelope.rcpt_tos], message))
        return "250 OK"


def _authenticator(box: MailBox) -> Any:
    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        is_right = (
            isinstance(data, LoginPassword) and data.login == USER.encode() and data.password == PASSWORD.encode()
        )
        if is_right and box.login_answer:
            return AuthResult(success=False, handled=False, message=box.login_answer)
        # Not handled: then aiosmtpd answers 535 by itself, as mail servers do.
        return AuthResult(success=is_right, handled=False)

    return authenticate


class _OnFreePort(Controller):
    """Listens on a port that the system chooses; aiosmtpd would try to reach the port that it was given, which is 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mail_server(context: ssl.SSLContext, *, implicit_tls: bool = False) -> Iterator[MailBox]:
    """Run a server that takes mail only over TLS and only after a login.

    Args:
        context: Its certificate.
        implicit_tls: TLS from the first byte, else STARTTLS.
    """
    box = MailBox()
    settings: dict[str, Any] = {
        "hostname": "localhost",
        "port": 0,
        "authenticator": _authenticator(box),
        "auth_required": True,
    }
    if implicit_tls:
        controller = _OnFreePort(_Handler(box), ssl_context=context, auth_require_tls=False, **settings)
    else:
        controller = _OnFreePort(_Handler(box), tls_context=context, require_starttls=True, **settings)
    with _running(controller) as box.port:
        yield box


@contextmanager
def plain_mail_server() -> Iterator[MailBox]:
    """Run a server that knows neither encryption nor login, as a relay inside a network may be."""
    box = MailBox()
    controller = _OnFreePort(_Handler(box), hostname="localhost", port=0)
    with _running(controller) as box.port:
        yield box


@contextmanager
def _running(controller: Controller) -> Iterator[int]:
    """Run a server and yield its port."""
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and say nothing, ever; yield the port."""
    with _every_connection(lambda _connection, ended: ended.wait()) as port:
        yield port


@contextmanager
def dripping_server() -> Iterator[int]:
    """Accept connections and send an answer that never ends, a letter now and then; yield the port."""

    def drip(connection: socket.socket, ended: Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        while not ended.wait(0.05):
            connection.sendall(b"x")

    with _every_connection(drip) as port:
        yield port


@contextmanager
def _every_connection(serve: Callable[[socket.socket, Event], object]) -> Iterator[int]:
    listener, ended = socket.create_server(("127.0.0.1", 0)), Event()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection, ended)

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            Thread(target=one, args=(connection,), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.close()
