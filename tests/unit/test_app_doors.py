"""Doors of the app: where it listens without a sign-in, which addresses are closed, who is vouched for."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor_app.asgi import allowed_hosts, refuse_to_be_open
from monitor_app.auth import Gate, admit, person_name
from monitor_app.guard import Guard, is_loopback
from shared.config.model import AppSection, SignInSection
from shared.errors import ConfigInvalid
from tests.support.catalogs import NOW

SIGN_IN = SignInSection(metadata_url="https://id", client_id="a", client_secret="b", cookie_secret="c")


@pytest.mark.parametrize("host", ["", " ", "\t"])
def test_empty_address_would_be_every_address_and_is_refused(host: str) -> None:
    signed = AppSection(url="https://backups.example.com", sign_in=SIGN_IN)
    for settings in (AppSection(), signed):
        with pytest.raises(ConfigInvalid, match="no address to listen on"):
            refuse_to_be_open(settings, host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "0", "127.0.0.1.example.com", "*"])
def test_addresses_that_others_reach_need_a_sign_in(host: str) -> None:
    with pytest.raises(ConfigInvalid, match="open to everybody"):
        refuse_to_be_open(AppSection(), host)


def test_empty_name_is_never_one_under_which_the_app_is_asked_for() -> None:
    assert "" not in allowed_hosts(AppSection(allowed_hosts=[""]), "")


async def _inside(_request: Request) -> Response:
    return PlainTextResponse("inside")


def _asked(method: str, path: str) -> httpx.Response:
    methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS"]
    app = Guard(
        Starlette(routes=[Route("/{path:path}", _inside, methods=methods)]), hosts=["localhost"], is_https=False
    )

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(send())


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/upload_file/session/f1",
        "/_stcore/upload_file",
        "/%5Fstcore/upload_file/session/f1",
        "/_stcore/bidi-components/x/y.js",
        "/_stcore/script-health-check",
        "/_stcore/metrics",
        "/_stcore/agent/x",
        "/_stcore/anything-new",
        "/component/x/index.html",
        "/app/static/secret.txt",
        "/st-metrics",
    ],
)
def test_addresses_that_the_app_does_not_need_are_closed(method: str, path: str) -> None:
    assert _asked(method, path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/_stcore/health", "/_stcore/host-config", "/media/x.pdf", "/static/js/x.js", "/history", "/healthz"]
)
def test_addresses_that_the_pages_need_are_open(path: str) -> None:
    assert _asked("GET", path).text == "inside"


@pytest.mark.parametrize("verified", [True, "true", "True", "TRUE"])
def test_address_that_is_vouched_for_names_a_person(verified: object) -> None:
    assert person_name({"email": "Vera@Example.com ", "email_verified": verified}) == "vera@example.com"


@pytest.mark.parametrize("verified", [False, "false", "False", "no", "0", "", 0, 1, None, [], ["true"]])
def test_anything_but_a_plain_yes_is_a_no(verified: object) -> None:
    claims = {"email": "vera@example.com", "email_verified": verified}
    assert person_name(claims) == ""
    assert person_name(claims, trust_unverified=True) == ""


def test_provider_that_says_nothing_is_trusted_only_where_the_configuration_says_so() -> None:
    claims: dict[str, Any] = {"email": "vera@example.com", "iat": NOW.timestamp()}
    assert person_name(claims) == ""
    assert person_name(claims, trust_unverified=True) == "vera@example.com"
    refused = admit(claims, SIGN_IN, now=NOW)
    assert isinstance(refused, Gate)
    assert "trust_unverified_email" in refused.sentence


@pytest.mark.parametrize("email", [["vera@example.com"], None, 7, "", " "])
def test_without_an_address_nobody_is_named(email: object) -> None:
    assert person_name({"email": email, "email_verified": True}) == ""


@pytest.mark.parametrize(
    "issued", [NOW.timestamp() + timedelta(days=300).total_seconds(), float("nan"), float("inf"), 0, None, "now"]
)
def test_sign_in_of_no_believable_time_is_over(issued: object) -> None:
    found = admit({"email": "vera@example.com", "email_verified": True, "iat": issued}, SIGN_IN, now=NOW)
    assert isinstance(found, Gate)
    assert found.title == "Your session is over"
