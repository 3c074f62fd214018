"""Addresses for programs: health of the app. Pages are Streamlit's."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from monitor_app import site
from monitor_app.freshness import judge
from monitor_app.queries.freshness import load_signs
from shared.clock import utc_now
from shared.errors import GoldcopyError
from shared.units import format_instant


async def healthz(_request: Request) -> JSONResponse:
    """Say whether the pages can be trusted: 200 when the catalog answers and its facts are of now, else 503."""
    status, document = await run_in_threadpool(_health)
    return JSONResponse(document, status_code=status, headers={"cache-control": "no-store"})


def _health() -> tuple[int, dict[str, str | None]]:
    shown = site.current()
    try:
        fresh = judge(load_signs(shown.database()), utc_now(), shown.config.file.app.stale_after)
    except GoldcopyError as error:
        return 503, {"status": "catalog unreachable", "error": type(error).__name__, "facts_at": None}
    facts_at = format_instant(fresh.at) if fresh.at else None
    return (
        (503, {"status": "stale", "facts_at": facts_at})
        if fresh.is_stale
        else (200, {"status": "ok", "facts_at": facts_at})
    )


ROUTES = (Route("/healthz", healthz),)
