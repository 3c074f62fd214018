"""What a program may send by mistake or by malice: every answer is of ours, and nothing is half done."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor_app import api, site
from monitor_app.rate_limit import RateLimit
from shared.catalog.engine import Catalog
from shared.clock import utc_now
from shared.config.load import Config
from shared.domain.api_key import digest_of, key_of
from shared.domain.person import Role
from tests.integration.test_app_commands import KEY, LOGGED, Program, bearer


@pytest.fixture
def program(story: Catalog, app_config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """A program with a key of an operator."""
    monkeypatch.setattr(api, "_LIMIT", RateLimit(api.PER_MINUTE))
    story.add_api_key("ci", digest_of(KEY), Role.OPERATOR, now=utc_now())
    shown = site.use(app_config)
    yield Program()
    shown.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/backups/log", json.dumps(LOGGED | {"place": "tape \udc80"})),
        ("/api/backups/log", json.dumps(LOGGED | {"place": "tape \x00"})),
        ("/api/backups/log", json.dumps(LOGGED | {"reason": "\ud800 why"})),
        ("/api/backups/log", json.dumps(LOGGED | {"\udfff": 1})),
        ("/api/backups", json.dumps({"source": "shop", "reason": "x", "kind": "\udc80"})),
        ("/api/backups", json.dumps({"source": "\udc80", "reason": "x"})),
        ("/api/backups/log", json.dumps(LOGGED | {"taken_at": "0001-01-01T00:00:00+23:59"})),
        ("/api/backups/log", json.dumps(LOGGED | {"taken_at": "9999-12-31T23:59:59-23:59"})),
        ("/api/backups/log", json.dumps(LOGGED | {"taken_at": "0001-01-01T00:00:00Z"})),
        ("/api/backups/log", "[" * 3000 + "]" * 3000),
        ("/api/backups/log", '{"a":' * 3000 + "1" + "}" * 3000),
        ("/api/backups/log", '{"stored_bytes": ' + "9" * 5000 + "}"),
        ("/api/backups/log", '{"stored_bytes": NaN}'),
    ],
)
def test_odd_request_is_refused_before_anything_is_written(
    path: str, body: str, program: Program, story: Catalog
) -> None:
    before = story.newest_audit_entries(1)
    answer = program.post(path, content=body.encode(), headers=bearer(KEY))
    assert (answer.status_code, bool(answer.json()["hint"])) == (400, True)
    assert story.newest_audit_entries(1) == before
    assert story.manual_backups(limit=5) == ()


@pytest.mark.parametrize("change", [{"place": "OTHER"}, {"stored_bytes": 6}, {"reason": "else"}])
def test_key_of_one_request_does_not_answer_for_another(
    change: dict[str, Any], program: Program, story: Catalog
) -> None:
    headers = bearer(KEY, **{"idempotency-key": "k-1"})
    assert program.post("/api/backups/log", json=LOGGED, headers=headers).status_code == 201
    answer = program.post("/api/backups/log", json=LOGGED | change, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["message"] == "this key was used for another request"
    assert program.post("/api/backups/log", json=LOGGED, headers=headers).status_code == 201
    assert [row.place for row in story.manual_backups(limit=5)] == ["tape 7"]


def test_keys_are_guessed_no_faster_than_the_limit(program: Program) -> None:
    guesses = [
        program.post("/api/backups/log", json={}, headers=bearer(key_of(bytes([number]) * 32))).status_code
        for number in range(2 * api.PER_MINUTE)
    ]
    assert guesses.count(401) == api.PER_MINUTE
    assert set(guesses[api.PER_MINUTE :]) == {429}
