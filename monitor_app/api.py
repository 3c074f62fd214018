"""Addresses for programs with a bearer key: a limit, and for what changes something one command and its audit entry."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor_app import site
from monitor_app.actions import backups
from monitor_app.actions.command import Done, is_text
from monitor_app.rate_limit import RateLimit
from monitor_app.site import Site
from shared.catalog.app_records import ManualBackup
from shared.clock import monotonic_seconds
from shared.domain.api_key import digest_of, is_key
from shared.domain.person import Person
from shared.errors import CatalogProblem, GoldcopyError, NotAllowed, ProgramProblem, UsageProblem
from shared.units import parse_instant

PER_MINUTE = 30
LARGEST_BODY_BYTES = 16_384
_LIMIT = RateLimit(PER_MINUTE)
Command = Callable[[Site, Person, str, dict[str, Any]], Done]
Work = Callable[[Site, Person, bytes], Response]


class Unauthorised(NotAllowed):
    """No key, or one that opens nothing."""


async def start_backup(request: Request) -> Response:
    """Start a backup of one source: `{"source", "reason", "kind"?}`."""
    return await _answer(request, _start, status=202)


async def log_backup(request: Request) -> Response:
    """Record a backup that was made elsewhere: `{"source", "taken_at", "place", "stored_bytes", "reason"}`."""
    return await _answer(request, _log, status=201)


def key_holder(shown: Site, header: str) -> Person:
    """Return whom a bearer key stands for.

    Raises:
        Unauthorised: There is no key, or it opens nothing.
    """
    scheme, _, key = header.partition(" ")
    found = shown.catalog().api_key(digest_of(key)) if scheme.lower() == "bearer" and is_key(key.strip()) else None
    if found is None:
        raise Unauthorised("no key that opens this", hint="Send `Authorization: Bearer ...` with a key in force.")
    return Person(name=f"key:{found.name}", role=found.role)


async def behind_key(request: Request, work: Work) -> Response:
    """Answer the holder of a bearer key, or say why not.

    Args:
        request: What was asked; its body is read up to `LARGEST_BODY_BYTES`.
        work: Does it, in a thread, for the key's holder and with the body.
    """
    address = request.client.host if request.client else "unknown"
    header = request.headers.get("authorization", "")
    # Counted before the key is looked up, so that guessing is slow too; a right key has a count of its own.
    wait_seconds = _LIMIT.admit(sha256(header.encode()).hexdigest() if header else address, monotonic_seconds())
    if wait_seconds:
        return _error(429, "too many requests", f"Try again in {math.ceil(wait_seconds)} seconds.", wait_seconds)
    body = await _body(request)
    try:
        return await run_in_threadpool(_as_holder, header, body, work)
    except GoldcopyError as error:
        if isinstance(error, Unauthorised) and _LIMIT.admit(address, monotonic_seconds()):
            return _error(429, "too many requests without a right key", "Wait a minute.", 60)
        return _error(_status(error), error.message, error.hint)


def _as_holder(header: str, body: bytes, work: Work) -> Response:
    shown = site.current()
    return work(shown, key_holder(shown, header), body)


async def _answer(request: Request, command: Command, *, status: int) -> Response:
    given_token = request.headers.get("idempotency-key", "")

    def work(shown: Site, user: Person, body: bytes) -> Response:
        # Tokens of one key say nothing about those of another.
        token = sha256(f"{user.name} {given_token}".encode()).hexdigest() if given_token else uuid4().hex
        done = command(shown, user, token, _document(body))
        return JSONResponse({"message": done.message, **done.result}, status_code=status)

    return await behind_key(request, work)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
        told = json.dumps(document, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise UsageProblem("the body is not JSON", hint="See docs/app.md.") from error
    # Escapes can spell what is no text at all; nothing of it may reach the catalog or an answer.
    if not is_text(told) or "\\u0000" in told:
        raise UsageProblem("the body holds a character that is none", hint="Send valid Unicode, and no NUL.")
    if not isinstance(document, dict):
        raise UsageProblem("the body is not a JSON object", hint="See docs/app.md.")
    return document


def _start(shown: Site, user: Person, token: str, document: dict[str, Any]) -> Done:
    _refuse_unknown(document, {"source", "reason", "kind"})
    return backups.back_up_now(
        shown,
        user,
        token,
        source=_text(document, "source"),
        reason=_text(document, "reason"),
        kind=str(document.get("kind", "manual")),
    )


def _log(shown: Site, user: Person, token: str, document: dict[str, Any]) -> Done:
    _refuse_unknown(document, {"source", "taken_at", "place", "stored_bytes", "reason"})
    size = document.get("stored_bytes")
    if not isinstance(size, int) or isinstance(size, bool):
        raise UsageProblem("stored_bytes is not a whole number", hint="Give the size in bytes.")
    backup = ManualBackup(
        source=_text(document, "source"),
        taken_at=_instant(_text(document, "taken_at")),
        place=_text(document, "place"),
        stored_bytes=size,
        reason=_text(document, "reason"),
    )
    return backups.log_manual_backup(shown, user, token, backup)


def _text(document: dict[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not found.strip():
        raise UsageProblem(f"{name} is missing, or is not text", hint="See docs/app.md.")
    return found.strip()


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise UsageProblem("taken_at is not an instant", hint="Write 2026-11-21T02:00:00Z, with the zone.") from error


def _refuse_unknown(document: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(document) - known)
    if unknown:
        raise UsageProblem(f"unknown: {', '.join(unknown)[:100]}", hint=f"Known are {', '.join(sorted(known))}.")


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            return b""
    return body


def _status(error: GoldcopyError) -> int:
    kinds = ((Unauthorised, 401), (NotAllowed, 403), (UsageProblem, 400), (ProgramProblem, 503), (CatalogProblem, 503))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def _error(status: int, message: str, hint: str, wait_seconds: float = 0) -> JSONResponse:
    headers = {"retry-after": str(math.ceil(wait_seconds))} if wait_seconds else {}
    headers |= {"www-authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"message": message, "hint": hint}, status_code=status, headers=headers)


async def nothing_here(request: Request) -> JSONResponse:
    """Refuse what is no address of programs, or is asked for in another way; no page is below /api."""
    if request.url.path.rstrip("/") not in _ADDRESSES:
        return _error(404, "there is no such address", "See docs/app.md.")
    answer = _error(405, f"{request.method} is not answered here", "Send a POST.")
    answer.headers["allow"] = "POST"
    return answer


_COMMANDS = (
    Route("/api/backups", start_backup, methods=["POST"]),
    Route("/api/backups/log", log_backup, methods=["POST"]),
)
_ADDRESSES = frozenset(route.path for route in _COMMANDS)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES = (
    *_COMMANDS,
    Route("/api", nothing_here, methods=_METHODS),
    Route("/api/{rest:path}", nothing_here, methods=_METHODS),
)
