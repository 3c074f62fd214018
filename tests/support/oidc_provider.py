"""A small OpenID Connect provider on this machine: it signs in whoever the test says, without asking for a password."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shared.clock import utc_now, wait
from tests.support.app_server import free_port

CLIENT_ID = "goldcopy"
CLIENT_SECRET = "a secret between the app and its provider"


@dataclass
class Provider:
    """What the provider says of whoever signs in next.

    Attributes:
        url: Its address, which is the issuer.
        claims: Of the next identity token, beside those that every token has.
        age_seconds: How long ago that token claims to have been issued.
    """

    url: str
    claims: dict[str, Any] = field(default_factory=dict)
    age_seconds: int = 0
    _codes: dict[str, str] = field(default_factory=dict)
    _key: RSAKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
    )

    @property
    def metadata_url(self) -> str:
        """Where the app learns the rest."""
        return f"{self.url}/.well-known/openid-configuration"

    def application(self) -> Starlette:
        """The provider's endpoints."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._keys),
            ]
        )

    async def _metadata(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        code = uuid4().hex
        self._codes[code] = asked.get("nonce", "")
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        issued = int(utc_now().timestamp()) - self.age_seconds
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "somebody",
            "iat": issued,
            "exp": issued + 3600 + self.age_seconds,
            "nonce": self._codes.pop(form["code"]),
            **self.claims,
        }
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        return JSONResponse({"access_token": "none", "token_type": "Bearer", "id_token": token, "expires_in": 3600})

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self._key]).as_dict(private=False))


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serve a provider from a thread."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    server = uvicorn.Server(
        uvicorn.Config(provider.application(), host="127.0.0.1", port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        wait(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)
