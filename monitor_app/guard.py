"""What stands before every request: which host names are ours, which addresses are closed, and the security headers."""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# Streamlit keeps in memory whatever anybody uploads, tells its own numbers, and runs the script to see whether it can:
# of its own addresses only those are open which its page needs.
_INSIDE = "/_stcore/"
_NEEDED = frozenset(f"{_INSIDE}{name}" for name in ("health", "host-config", "stream"))
_CLOSED = ("/st-metrics", "/component/", "/app/static/")

# As strict as Streamlit can live with: its page holds inline scripts and styles, and Plotly compiles functions.
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "media-src": "'self'",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "frame-src": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{kind} {sources}" for kind, sources in _SOURCES.items())
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_HSTS = "max-age=31536000"


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_closed(path: str) -> bool:
    return path.startswith(_CLOSED) or (path.startswith(_INSIDE) and path not in _NEEDED)


def host_name(header: str) -> str:
    """Return the name in a Host header, without its port, in lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: What it guards.
        hosts: Names under which the app may be asked for; `*.example.com` stands for all below.
        is_https: Whether people reach it by HTTPS; browsers are then told to stay with it, and its cookies too.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], is_https: bool) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on, and add the headers to whatever is answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if not self._is_ours(Headers(scope=scope).get("host", "")):
            await self._refuse(scope, receive, send, 421, "This name is not served here; see allowed_hosts in [app].\n")
        elif _is_closed(str(scope.get("path", ""))):
            await self._refuse(scope, receive, send, 404, "Not found\n")
        else:
            await self._app(scope, receive, self._with_headers(send))

    def _is_ours(self, header: str) -> bool:
        name = host_name(header)
        return name in self._hosts or any(
            name.endswith(host[1:]) and len(name) >= len(host) for host in self._hosts if host.startswith("*.")
        )

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse(text, status_code=status)(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                if "server" in headers:
                    del headers["server"]
                if self._is_https:
                    headers["strict-transport-security"] = _HSTS
                message = {**message, "headers": self._with_secure_cookies(headers.raw)}
            await send(message)

        return sending

    def _with_secure_cookies(self, raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Streamlit never marks its cookies as secure."""
        if not self._is_https:
            return raw
        return [
            (name, value + b"; Secure" if name.lower() == b"set-cookie" and b"secure" not in value.lower() else value)
            for name, value in raw
        ]
