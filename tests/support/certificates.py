"""A certificate authority of the tests' own, in the trust store the way an administrator puts one there."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.smtp_server import MailBox, mail_server
from tests.support.web_services import HOSTS, WebServices, web_services


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server's certificate for every name that the tests use."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", *HOSTS).configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority in this test."""
    bundle = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


@pytest.fixture
def mailbox(server_context: ssl.SSLContext) -> Iterator[MailBox]:
    """A mail server with STARTTLS and login."""
    with mail_server(server_context) as box:
        yield box


@pytest.fixture
def services(server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServices]:
    """Slack, Discord and others, behind a proxy that this process uses."""
    with web_services(server_context) as found:
        monkeypatch.setenv("HTTPS_PROXY", found.proxy_url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        yield found
