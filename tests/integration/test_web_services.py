"""The stand-ins for Slack and Discord answer what their documentation says."""

from typing import Any

import pytest
import requests

from tests.support import discord_rules, slack_rules
from tests.support.web_services import WebServices

SLACK = f"https://hooks.slack.com{slack_rules.WEBHOOK_PATH}"
DISCORD = f"https://discord.com/api/webhooks/{discord_rules.WEBHOOK_ID}/{discord_rules.WEBHOOK_TOKEN}"

pytestmark = pytest.mark.usefixtures("trusted", "services")


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@pytest.mark.parametrize(
    ("message", "status", "answer"),
    [
        ({"text": "hello"}, 200, "ok"),
        ({"blocks": [section("x")]}, 200, "ok"),
        ({}, 400, "no_text"),
        ({"text": "x" * 40_001}, 400, "msg_too_long"),
        ({"text": "x", "blocks": [section("x" * 3001)]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x")] * 51}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section"}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, 400, "invalid_blocks"),
        ({"text": "x", "attachments": [{"blocks": [section("x" * 3001)]}]}, 400, "invalid_attachments"),
        ({"text": "x", "attachments": [{"color": "red-ish"}]}, 400, "invalid_attachments"),
        ({"text": "x", "attachments": [{}] * 101}, 400, "too_many_attachments"),
    ],
)
def test_slack_webhook(message: dict[str, Any], status: int, answer: str) -> None:
    found = requests.post(SLACK, json=message, timeout=10)
    assert (found.status_code, found.text) == (status, answer)


@pytest.mark.parametrize(
    ("url", "body", "status", "answer"),
    [
        (SLACK, b"no json", 400, "invalid_payload"),
        (SLACK + "x", b'{"text": "x"}', 403, "invalid_token"),
        ("https://hooks.slack.com/services/T9/B9/x", b'{"text": "x"}', 404, "no_service"),
    ],
)
def test_slack_webhook_refuses(url: str, body: bytes, status: int, answer: str) -> None:
    found = requests.post(url, data=body, timeout=10)
    assert (found.status_code, found.text) == (status, answer)


@pytest.mark.parametrize(
    ("token", "message", "error"),
    [
        (slack_rules.BOT_TOKEN, {"channel": "#ops", "text": "x"}, None),
        ("xoxb-wrong", {"channel": "#ops", "text": "x"}, "invalid_auth"),
        (slack_rules.BOT_TOKEN, {"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        (slack_rules.BOT_TOKEN, {"channel": "#ops"}, "no_text"),
    ],
)
def test_slack_web_api_answers_200_also_when_it_refuses(token: str, message: dict[str, Any], error: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    found = requests.post("https://slack.com/api/chat.postMessage", json=message, headers=headers, timeout=10)
    assert found.status_code == 200
    assert found.json()["ok"] is (error is None)
    assert found.json().get("error") == error


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ({"content": "hello"}, 204, None),
        ({"embeds": [{"title": "x"}]}, 204, None),
        ({}, 400, 50006),
        ({"content": "x" * 2001}, 400, 50035),
        ({"content": "x", "username": "x" * 81}, 400, 50035),
        ({"embeds": [{"title": "x" * 257}]}, 400, 50035),
        ({"embeds": [{"description": "x" * 4097}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "", "value": "x"}]}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "x", "value": "x" * 1025}]}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "x", "value": "x"}] * 26}]}, 400, 50035),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, 400, 50035),
        ({"embeds": [{"title": "x"}] * 11}, 400, 50035),
        ({"embeds": [{"title": "x", "color": 0x1000000}]}, 400, 50035),
    ],
)
def test_discord_webhook(message: dict[str, Any], status: int, code: int | None) -> None:
    found = requests.post(DISCORD, json=message, timeout=10)
    assert found.status_code == status
    assert (found.json()["code"] if found.text else None) == code


@pytest.mark.parametrize(
    ("url", "status", "code"), [(DISCORD + "x", 401, 50027), ("https://discord.com/api/webhooks/1/x", 404, 10015)]
)
def test_discord_webhook_that_is_not_there(url: str, status: int, code: int) -> None:
    found = requests.post(url, json={"content": "x"}, timeout=10)
    assert (found.status_code, found.json()["code"]) == (status, code)


def test_only_known_hosts_are_reached(services: WebServices) -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        requests.post("https://elsewhere.example/", json={}, timeout=10)
    assert services.received == []
