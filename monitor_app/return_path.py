"""Bring people back to the page that they asked for: Streamlit's sign-in always ends at the first one."""

from collections.abc import Collection
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGIN, CALLBACK = "/auth/login", "/oauth2callback"
COOKIE = "goldcopy_return"
_LONGEST = 1000
_KEPT_SECONDS = 600


def page_asked_for(address: str, host: str, pages: Collection[str]) -> str:
    """Return path and query of one of the app's own pages, or nothing.

    Args:
        address: An absolute URL, or a path with its query.
        host: Name and port under which the app was asked for.
        pages: Paths of its pages, without the slash.
    """
    try:
        found = urlsplit(address)
    except ValueError:
        return ""
    is_ours = (not found.netloc and not found.scheme) or found.netloc == host
    if not is_ours or found.path.strip("/") not in pages or len(address) > _LONGEST:
        return ""
    query = urlencode(parse_qsl(found.query))
    return f"/{found.path.strip('/')}{f'?{query}' if query else ''}"


class ReturnPath:
    """ASGI middleware: remembers in a cookie where a sign-in began, and ends it there.

    Args:
        app: What it stands before.
        pages: Paths of the pages, without the slash; nobody is ever led anywhere else.
    """

    def __init__(self, app: ASGIApp, *, pages: Collection[str]) -> None:
        self._app = app
        self._pages = frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add to the answers of a sign-in's first and last step."""
        path = scope.get("path") if scope["type"] == "http" else None
        if path not in {LOGIN, CALLBACK}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if path == LOGIN:
            page = page_asked_for(headers.get("referer", ""), host, self._pages)
        else:
            given = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
            page = page_asked_for(unquote(given), host, self._pages)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and page:
                added = MutableHeaders(raw=list(message["headers"]))
                _remember(added, page) if path == LOGIN else _lead(added, page)
                message = {**message, "headers": added.raw}
            await send(message)

        await self._app(scope, receive, sending)


def _remember(headers: MutableHeaders, page: str) -> None:
    headers.append("set-cookie", _cookie(quote(page, safe=""), _KEPT_SECONDS))


def _lead(headers: MutableHeaders, page: str) -> None:
    """Take the way to the first page, and no other, for the way to the one that was asked for."""
    if urlsplit(headers.get("location", "")).path == "/":
        headers["location"] = page
    headers.append("set-cookie", _cookie("", 0))


def _cookie(value: str, seconds: int) -> str:
    return f"{COOKIE}={value}; Path={CALLBACK}; Max-Age={seconds}; HttpOnly; SameSite=Lax"
