"""Addresses for programs that only look: health of the app, and numbers for Prometheus. Pages are Streamlit's."""

from importlib.metadata import version
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor_app import site
from monitor_app.api import behind_key
from monitor_app.freshness import judge
from monitor_app.queries.fleet import load_fleet
from monitor_app.queries.freshness import load_signs
from shared.clock import utc_now
from shared.domain.metrics_text import CONTENT_TYPE
from shared.errors import CatalogProblem, GoldcopyError
from shared.operations.metrics import metrics_text
from shared.operations.status import unknown_status
from shared.units import format_instant

_ONE_SCRAPE = Lock()


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
    if fresh.at is None and shown.config.sources:
        # A catalog that was lost and made anew looks like this.
        return 503, {"status": "empty", "facts_at": None}
    facts_at = format_instant(fresh.at) if fresh.at else None
    status, word = (503, "stale") if fresh.is_stale else (200, "ok")
    return status, {"status": word, "facts_at": facts_at}


async def metrics(request: Request) -> Response:
    """Tell what `goldcopy metrics` tells; where people sign in, a program shows a bearer key of any role."""
    if site.current().config.file.app.sign_in is None:
        return await run_in_threadpool(_metrics)
    return await behind_key(request, lambda _shown, _user, _body: _metrics())


def _metrics() -> Response:
    """Judge anew; scrapes that come at once wait for each other."""
    with _ONE_SCRAPE:
        shown, now = site.current(), utc_now()
        try:
            report = load_fleet(shown.database(), shown.config.sources, now).status
        except CatalogProblem as error:
            report = unknown_status(shown.config.sources, now, error)
        text = metrics_text(report, version=version("goldcopy"))
    headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    return Response(text, status_code=503 if report.catalog_error else 200, headers=headers)


ROUTES = (Route("/healthz", healthz), Route("/metrics", metrics))
