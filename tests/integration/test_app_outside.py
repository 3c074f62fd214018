"""What is around the pages: unknown addresses of programs, the gate, titles, what can be started, the end."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from monitor_app import api, auth, data, dialogs, site
from monitor_app.auth import Gate
from shared.catalog.engine import Catalog
from shared.config.load import Config

APP = Path(site.__file__).with_name("app.py")


@pytest.fixture(autouse=True)
def shown(app_config: Config) -> Iterator[None]:
    """The app shows the test's own catalog."""
    data.forget()
    site.use(app_config)
    yield
    site.current().close()
    data.forget()


def ask(method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=list(api.ROUTES)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 404),
        ("GET", "/api/nosuch", 404),
        ("POST", "/api/nosuch/deeper", 404),
        ("GET", "/api/backups", 405),
        ("DELETE", "/api/backups/log", 405),
    ],
)
def test_no_page_answers_below_the_address_of_programs(method: str, path: str, status: int) -> None:
    answer = ask(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"message", "hint"}
    assert (answer.headers.get("allow") == "POST") == (status == 405)


@pytest.mark.parametrize(("is_signed_in", "label"), [(True, "Sign out, to use another account"), (False, "Sign in")])
def test_the_gate_offers_what_helps(is_signed_in: bool, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(title="You may not see this", sentence="An admin gives a role.", is_signed_in=is_signed_in)
    monkeypatch.setattr(auth, "current_user", lambda: gate)
    test = AppTest.from_file(str(APP), default_timeout=60).run()
    assert [str(button.label) for button in test.button] == [label]


def test_what_needs_prefect_is_offered_only_where_one_is_known(story: Catalog, app_config: Config) -> None:
    test = AppTest.from_file(str(APP), default_timeout=60).run()
    test.query_params["source"] = "shop"
    test.switch_page("app_pages/source.py").run()
    buttons = {str(button.label): button for button in test.button}
    for label in ("Back up now", "Run a restore test"):
        assert buttons[label].disabled
        assert "No Prefect server is known here" in _read(str(buttons[label].help))
    app_config.state_folder.mkdir(exist_ok=True)
    (app_config.state_folder / "up.json").write_text(json.dumps({"port": 1}))
    assert dialogs.missing_prefect() == ""


def _read(text: str) -> str:
    return text.replace("&#46;", ".").replace("&#44;", ",")
