"""What the app may change: who may, what is recorded, once per intent; from pages and over HTTP."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from monitor_app import api, site
from monitor_app.actions import backups
from monitor_app.rate_limit import RateLimit
from monitor_app.site import Site
from shared.catalog.app_records import ManualBackup
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.api_key import digest_of, key_of
from shared.domain.backup import BackupStatus
from shared.domain.person import Person, Role
from shared.errors import CatalogProblem, NotAllowed, ProgramFailed, ProgramMissing, UsageProblem
from shared.repository.repository import Repository
from shared.wiring.parts import Parts
from tests.support.catalogs import NOW

OLGA = Person(name="olga@example.com", role=Role.OPERATOR)
VERA = Person(name="vera@example.com", role=Role.VIEWER)
ADA = Person(name="ada@example.com", role=Role.ADMIN)
KEY = key_of(bytes(range(32)))
READING_KEY = key_of(bytes(32))


class Program:
    """Calls the app's addresses without a network in between."""

    def post(self, path: str, *, headers: dict[str, str], **body: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(Starlette(routes=list(api.ROUTES)))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.post(path, headers=headers, **body)

        return asyncio.run(send())


class FakePrefect(HTTPServer):
    """Answers as Prefect's API does for what the app asks, and remembers what was started."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.started: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class _Handler(BaseHTTPRequestHandler):
    server: FakePrefect

    def do_GET(self) -> None:
        known = ("/deployments/name/backup/manual", "/deployments/name/restore-testing/manual")
        self._answer(200 if self.path.endswith(known) else 404, {"id": self.path.rpartition("name/")[2].split("/")[0]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.calls += 1
        if self.server.fails:
            self._answer(500, {})
            return
        self.server.started.setdefault(body["idempotency_key"], body)
        self._answer(201, {"id": f"run-{body['idempotency_key']}"})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def prefect() -> Iterator[FakePrefect]:
    server = FakePrefect()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def place(story: Catalog, app_config: Config, prefect: FakePrefect) -> Iterator[Site]:
    """A site with a story, a repository, and a Prefect."""
    environment = {"PREFECT_API_URL": prefect.url}
    shown = site.use(load_config(str(app_config.path), environment))
    parts = Parts(shown.config)
    Repository.create(parts.store, shown.config.file.repository.recipients, NOW)
    (shown.config.state_folder / "fingerprint.key").unlink(missing_ok=True)
    yield shown
    shown.close()


def newest(story: Catalog) -> str:
    return story.backups("shop", statuses=[BackupStatus.COMPLETE], limit=1)[0].id


def actions(catalog: Catalog, count: int) -> list[str]:
    return [entry.action for entry in catalog.newest_audit_entries(count)]


def test_backup_is_started_once_and_recorded_once_however_often_it_is_asked_for(
    place: Site, story: Catalog, prefect: FakePrefect
) -> None:
    done = [backups.back_up_now(place, OLGA, "token-1", source="shop", reason="release 41") for _ in range(3)]
    assert len({json.dumps(item.result) for item in done}) == 1
    assert prefect.calls == 1
    assert prefect.started["token-1"]["parameters"] == {
        "source": "shop",
        "kind": "manual",
        "reason": "release 41 (olga@example.com)",
    }
    assert actions(story, 2).count("backup.request") == 1
    backups.back_up_now(place, OLGA, "token-2", source="shop", reason="release 41")
    assert len(prefect.started) == 2


def test_what_prefect_refused_is_recorded_and_may_be_asked_for_again(
    place: Site, story: Catalog, prefect: FakePrefect
) -> None:
    prefect.fails = True
    with pytest.raises(ProgramFailed, match="answered 500"):
        backups.run_restore_test(place, OLGA, "token-1", subject=newest(story))
    assert actions(story, 2) == ["restore-test.request.failed", "restore-test.request"]
    prefect.fails = False
    backups.run_restore_test(place, OLGA, "token-1", subject=newest(story))
    assert prefect.started["token-1"]["parameters"] == {"source": newest(story)}


def test_password_in_prefects_address_is_told_to_nobody(story: Catalog, app_config: Config) -> None:
    with app_config.path.open("a") as config:
        config.write('\n[app]\nprefect_url = "env:PF"\n')
    address = "http://user:S3CRETPW@127.0.0.1:1/api?token=S3CRETPW"
    shown = site.use(load_config(str(app_config.path), {"PF": address}))
    with pytest.raises(ProgramFailed, match=r"http://127\.0\.0\.1:1/api does not") as problem:
        backups.back_up_now(shown, OLGA, "token-1", source="shop", reason="x")
    assert "S3CRETPW" not in f"{problem.value}{problem.value.hint}"
    assert "S3CRETPW" not in str(story.newest_audit_entries(5))


@pytest.mark.parametrize("address", ["http://user:S3CRETPW@[::1/api", "http://user:S3CRETPW@127.0.0.1:port/api"])
def test_password_in_an_address_that_cannot_be_read_is_told_to_nobody(
    address: str, story: Catalog, app_config: Config
) -> None:
    shown = site.use(load_config(str(app_config.path), {"PREFECT_API_URL": address}))
    with pytest.raises(ProgramFailed, match="an address that cannot be read") as problem:
        backups.back_up_now(shown, OLGA, "token-1", source="shop", reason="x")
    assert "S3CRETPW" not in f"{problem.value}{story.newest_audit_entries(5)}"


@pytest.mark.parametrize("command", ["backup", "test", "hold", "release", "log"])
def test_viewer_changes_nothing_and_leaves_no_trace(
    command: str, place: Site, story: Catalog, prefect: FakePrefect
) -> None:
    before = story.newest_audit_entries(1)
    backup = newest(story)
    with pytest.raises(NotAllowed, match="viewer"):
        {
            "backup": lambda: backups.back_up_now(place, VERA, "t", source="shop", reason="x"),
            "test": lambda: backups.run_restore_test(place, VERA, "t", subject=backup),
            "hold": lambda: backups.place_hold(place, VERA, "t", backup_id=backup, reason="x"),
            "release": lambda: backups.release_hold(
                place, VERA, "t", backup_id=backup, owner="olga@example.com", reason="x"
            ),
            "log": lambda: backups.log_manual_backup(place, VERA, "t", manual()),
        }[command]()
    assert story.newest_audit_entries(1) == before
    assert prefect.calls == 0


def manual(**changes: Any) -> ManualBackup:
    values: dict[str, Any] = {
        "source": "shop",
        "taken_at": utc_now() - timedelta(hours=3),
        "place": "tape 7",
        "stored_bytes": 1_500_000_000,
        "reason": "before the move",
    }
    return ManualBackup(**(values | changes))


def test_manual_backup_is_logged_once_per_token_and_protects_nothing(place: Site, story: Catalog) -> None:
    before, backup = story.source_status("warehouse"), manual(source="warehouse")
    for _ in range(3):
        backups.log_manual_backup(place, OLGA, "token-1", backup)
    assert [row.place for row in story.manual_backups(limit=10)] == ["tape 7"]
    assert actions(story, 2).count("backup.log") == 1
    assert story.source_status("warehouse") == before


def test_token_of_something_else_is_refused(place: Site) -> None:
    backups.log_manual_backup(place, OLGA, "token-1", manual())
    with pytest.raises(UsageProblem, match="used for another request"):
        backups.back_up_now(place, OLGA, "token-1", source="shop", reason="x")


@pytest.mark.parametrize(
    "changes",
    [
        {"place": " "},
        {"reason": ""},
        {"stored_bytes": 0},
        {"stored_bytes": 2**70},
        {"source": "No Such!"},
        {"taken_at": NOW + timedelta(days=20_000)},
        {"taken_at": datetime(1999, 12, 31, 23, 59, tzinfo=UTC)},
        {"taken_at": datetime.min.replace(tzinfo=UTC)},
        {"place": "tape \udc80"},
        {"reason": "why\x00"},
    ],
)
def test_manual_backup_that_cannot_be_is_refused(changes: dict[str, Any], place: Site, story: Catalog) -> None:
    with pytest.raises(UsageProblem):
        backups.log_manual_backup(place, OLGA, "token-1", manual(**changes))
    assert story.manual_backups(limit=10) == ()


def test_hold_is_placed_once_released_by_its_owner_or_an_admin(place: Site, story: Catalog) -> None:
    backup = newest(story)
    for _ in range(3):
        backups.place_hold(place, OLGA, "token-1", backup_id=backup, reason="legal case 7")
    assert [hold.owner for hold in story.holds_in_force(backup)] == ["olga@example.com"]
    other = Person(name="otto@example.com", role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        backups.release_hold(place, other, "token-2", backup_id=backup, owner=OLGA.name, reason="x")
    for _ in range(3):
        backups.release_hold(place, ADA, "token-3", backup_id=backup, owner=OLGA.name, reason="case closed")
    assert story.holds_in_force(backup) == ()
    assert [hold.released_by for hold in story.holds(backup)] == ["ada@example.com"]


def test_the_connection_of_the_pages_can_write_nothing(place: Site) -> None:
    with pytest.raises(CatalogProblem):
        place.catalog().register_source("intruder", "postgres", utc_now())


def test_without_a_prefect_nothing_is_started_and_it_is_said(story: Catalog, app_config: Config) -> None:
    shown = site.use(load_config(str(app_config.path), {}))
    with pytest.raises(ProgramMissing, match="no Prefect server"):
        backups.back_up_now(shown, OLGA, "token-1", source="shop", reason="x")


@pytest.fixture
def client(place: Site, story: Catalog, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program that calls the app."""
    monkeypatch.setattr(api, "_LIMIT", RateLimit(api.PER_MINUTE))
    with open_catalog(place.config.catalog_url, actor="admin") as catalog:
        catalog.add_api_key("ci", digest_of(KEY), Role.OPERATOR, now=utc_now())
        catalog.add_api_key("eye", digest_of(READING_KEY), Role.VIEWER, now=utc_now())
    return Program()


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **more}


LOGGED = {
    "source": "shop",
    "taken_at": "2026-11-20T02:00:00Z",
    "place": "tape 7",
    "stored_bytes": 5,
    "reason": "move",
}


def test_program_starts_a_backup_once_per_idempotency_key(client: Program, prefect: FakePrefect) -> None:
    headers = bearer(KEY, **{"idempotency-key": "release-41"})
    body = {"source": "shop", "reason": "release 41", "kind": "pre-deploy"}
    answers = [client.post("/api/backups", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["run"] == answers[1].json()["run"]
    assert len(prefect.started) == 1
    assert client.post("/api/backups", json=body, headers=bearer(KEY)).status_code == 202
    assert len(prefect.started) == 2


def test_program_logs_a_backup_in_its_own_name(client: Program, story: Catalog) -> None:
    assert client.post("/api/backups/log", json=LOGGED, headers=bearer(KEY)).status_code == 201
    assert [row.logged_by for row in story.manual_backups(limit=5)] == ["key:ci"]


@pytest.mark.parametrize("path", ["/api/backups", "/api/backups/log"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        (bearer(key_of(b"x" * 32)), 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        (bearer(READING_KEY), 403),
    ],
)
def test_program_without_a_right_key_changes_nothing(
    path: str, headers: dict[str, str], status: int, client: Program, story: Catalog
) -> None:
    before = story.newest_audit_entries(1)
    body = LOGGED if path.endswith("log") else {"source": "shop", "reason": "x"}
    assert client.post(path, json=body, headers=headers).status_code == status
    assert story.newest_audit_entries(1) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"source": "shop"}',
        b'{"source": 7, "reason": "x"}',
        b'{"source": "nobody", "reason": "x"}',
        b'{"source": "shop", "reason": "x", "drop": 1}',
        b"x" * 20_000,
    ],
)
def test_bad_request_is_answered_with_what_to_do(body: bytes, client: Program) -> None:
    answer = client.post("/api/backups", content=body, headers=bearer(KEY))
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert answer.json()["hint"]


def test_revoked_key_opens_nothing_at_once(client: Program, place: Site) -> None:
    with open_catalog(place.config.catalog_url, actor="admin") as catalog:
        catalog.revoke_api_key("ci", now=utc_now())
    assert client.post("/api/backups/log", json=LOGGED, headers=bearer(KEY)).status_code == 401


def test_too_many_requests_are_held_up_and_say_for_how_long(client: Program) -> None:
    for _ in range(api.PER_MINUTE):
        client.post("/api/backups/log", json={}, headers=bearer(KEY))
    answer = client.post("/api/backups/log", json=LOGGED, headers=bearer(KEY))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert client.post("/api/backups/log", json=LOGGED, headers=bearer(READING_KEY)).status_code == 403
