"""What may be taken away, and by whom: asked when the button is shown, and again when the file is made."""

import ast
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor_app import auth, downloads, site
from monitor_app.site import Site
from shared.catalog.engine import Catalog
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.backup import BackupStatus
from shared.domain.person import Role
from shared.errors import NotAllowed
from shared.repository.layout import files_key, manifest_key
from shared.repository.repository import Repository
from shared.wiring.parts import Parts
from tests.support.catalogs import NOW

SIGN_IN = """
[app]
url = "https://backups.example.com"
[app.sign_in]
metadata_url = "https://id.example.com"
client_id = "a"
client_secret = "b"
cookie_secret = "c"
"""
VERA = "vera@example.com"


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the provider says of whoever looks; Streamlit knows it only while it runs a page."""
    said = {"is_logged_in": True, "email": VERA, "email_verified": True, "iat": utc_now().timestamp()}
    monkeypatch.setattr(auth, "_claims", lambda: dict(said))
    return said


@pytest.fixture
def place(story: Catalog, app_config: Config, claims: dict[str, Any]) -> Iterator[Site]:
    """A site with sign-in, where Vera may look."""
    with app_config.path.open("a") as config:
        config.write(SIGN_IN)
    shown = site.use(load_config(str(app_config.path), {}))
    story.set_person(VERA, Role.VIEWER, is_active=True, now=utc_now())
    yield shown
    shown.close()


def test_viewer_gets_the_file_also_where_streamlit_knows_no_user_any_more(
    place: Site, story: Catalog, claims: dict[str, Any]
) -> None:
    parts = Parts(place.config)
    Repository.create(parts.store, place.config.file.repository.recipients, NOW)
    backup = story.backups("shop", statuses=[BackupStatus.COMPLETE], limit=1)[0].id
    parts.store.put(manifest_key("shop", backup), b"{}")
    parts.store.put(files_key("shop", backup), b"a table")
    read = downloads.for_viewers(downloads.manifest(backup))
    make = downloads.for_viewers(downloads.recovery_kit(backup))
    claims.clear()
    assert read() == b"{}"
    with zipfile.ZipFile(io.BytesIO(make())) as kit:
        assert kit.namelist() == ["RECOVER.md", "files.tsv", "manifest.json", "recover.sh"]
        assert kit.read("recover.sh").startswith(b"#!")


def test_who_was_removed_gets_nothing_from_a_page_that_is_still_open(place: Site, story: Catalog) -> None:
    made: list[str] = []
    make = downloads.for_viewers(lambda: made.append("made") or b"facts")  # type: ignore[func-returns-value]
    assert make() == b"facts"
    story.set_person(VERA, Role.VIEWER, is_active=False, now=utc_now(), reason="left")
    with pytest.raises(NotAllowed, match="you may not see this"):
        make()
    assert made == ["made"]


def test_who_signed_in_too_long_ago_gets_nothing_from_a_page_that_is_still_open(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = downloads.for_viewers(lambda: b"facts")
    monkeypatch.setattr(auth, "utc_now", lambda: utc_now() + timedelta(hours=13))
    with pytest.raises(NotAllowed, match="session is over"):
        make()


def test_who_may_not_look_is_offered_no_file(place: Site, claims: dict[str, Any]) -> None:
    claims["email"] = "stranger@example.com"
    with pytest.raises(NotAllowed):
        downloads.for_viewers(lambda: b"facts")


def test_every_download_is_behind_the_one_button_that_asks() -> None:
    folder = Path(downloads.__file__).parent
    found = {
        file.name
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "download_button"
    }
    assert found == {"downloads.py"}
