"""The web server around the pages: Streamlit's app, own routes, security headers, allowed hosts."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from monitor_app import api, routes
from monitor_app.guard import LOOPBACK_NAMES, Guard, is_loopback
from monitor_app.navigation import PAGES
from monitor_app.return_path import ReturnPath
from monitor_app.site import Site
from shared.clock import utc_now
from shared.config.model import AppSection
from shared.errors import ConfigInvalid, GoldcopyError

FOLDER = Path(__file__).parent
# Of one message to or from a browser, whoever sits at it; the largest page is a few megabytes.
MOST_MESSAGE_MEGABYTES = 20


def serve(site: Site, *, host: str, port: int) -> None:
    """Serve until stopped.

    Raises:
        ConfigInvalid: It would be open to others without a sign-in, or the sign-in is not complete.
    """
    settings = site.config.file.app
    refuse_to_be_open(settings, host)
    # Streamlit looks for its config.toml beside the program that was started, which would be bin/goldcopy.
    sys.argv[:] = [str(FOLDER / "__main__.py")]
    build(site, host=host).run(
        config={
            "server.address": host,
            "server.port": port,
            "server.headless": True,
            "logger.hideWelcomeMessage": True,  # it would name an address of its own
            "server.fileWatcherType": "none",
            "server.enableAgentApi": False,
            "server.maxMessageSize": MOST_MESSAGE_MEGABYTES,
            "server.allowedHosts": allowed_hosts(settings, host),
            "browser.gatherUsageStats": False,
        }
    )


def build(site: Site, *, host: str) -> st.App:
    """Return the app with everything around it.

    Raises:
        ConfigInvalid: What the sign-in refers to is missing.
    """
    settings = site.config.file.app
    hosts = allowed_hosts(settings, host)
    is_https = (settings.url or "").startswith("https://")
    return st.App(
        FOLDER / "app.py",
        secrets=_secrets(site),
        routes=[*routes.ROUTES, *api.ROUTES],
        middleware=[
            Middleware(Guard, hosts=hosts, is_https=is_https),
            Middleware(ReturnPath, pages=[page.address for page in PAGES]),
        ],
        lifespan=_warm,
    )


def refuse_to_be_open(settings: AppSection, host: str) -> None:
    """Make sure that whoever can reach the app from outside has to sign in.

    Raises:
        ConfigInvalid: They would not have to, or it is not said where to listen.
    """
    if not host.strip():
        # The operating system takes an empty address for all of them.
        raise ConfigInvalid(
            "app.host is empty, so there is no address to listen on",
            hint='Write [app] host = "127.0.0.1", or leave it out.',
        )
    outside = [
        name for name in (host, *settings.allowed_hosts, _public_name(settings)) if name and not is_loopback(name)
    ]
    if outside and settings.sign_in is None:
        raise ConfigInvalid(
            f"the app would be open to everybody who reaches {outside[0]}",
            hint="Set [app.sign_in] (docs/app.md says how), or serve it on 127.0.0.1 only.",
        )
    if settings.sign_in is not None and not settings.url:
        raise ConfigInvalid(
            "app.url is missing, and sign-in needs the address to come back to",
            hint='Write the address that people open: [app] url = "https://backups.example.com".',
        )


def allowed_hosts(settings: AppSection, host: str) -> list[str]:
    """Return the names under which the app may be asked for: those of this machine, and what the configuration says."""
    bound = [] if host in {"0.0.0.0", "::"} else [host]  # noqa: S104 - compared, not bound
    public = _public_name(settings)
    return sorted(name for name in {*LOOPBACK_NAMES, *bound, *settings.allowed_hosts, public} if name)


def _public_name(settings: AppSection) -> str:
    return urlsplit(settings.url or "").hostname or ""


def _secrets(site: Site) -> dict[str, Any]:
    """Return what Streamlit's sign-in asks for; it never stands in a file of Streamlit's own."""
    settings = site.config.file.app
    if settings.sign_in is None:
        return {}
    read = site.config.references.text
    return {
        "auth": {
            "redirect_uri": f"{(settings.url or '').rstrip('/')}/oauth2callback",
            "cookie_secret": read(settings.sign_in.cookie_secret, key="app.sign_in.cookie_secret"),
            "client_id": read(settings.sign_in.client_id, key="app.sign_in.client_id"),
            "client_secret": read(settings.sign_in.client_secret, key="app.sign_in.client_secret"),
            "server_metadata_url": read(settings.sign_in.metadata_url, key="app.sign_in.metadata_url"),
        }
    }


@asynccontextmanager
async def _warm(_app: st.App) -> AsyncIterator[dict[str, Any] | None]:
    """Import and read what the first page would wait for."""
    await run_in_threadpool(_read_once)
    yield None


def _read_once() -> None:
    """Judge the sources as the first page does; whatever is wrong is told there, not here."""
    import_module("pandas")  # Streamlit's own; its tables wait for it
    import plotly.graph_objects  # noqa: F401

    from monitor_app import dialogs, downloads, finding_dialogs, request_dialog, site  # noqa: F401
    from monitor_app.components import fleet_view, recovery_view, source_view  # noqa: F401
    from monitor_app.queries.fleet import load_fleet

    with suppress(GoldcopyError):
        shown = site.current()
        load_fleet(shown.database(), shown.config.sources, utc_now())
