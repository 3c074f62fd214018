"""What Discord takes and answers: https://discord.com/developers/docs/resources/webhook#execute-webhook."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

WEBHOOK_ID = "1112223334445556667"
WEBHOOK_TOKEN = "tokenTOKEN-token_TOKEN"
_EMBED_LIMITS = {"title": 256, "description": 4096}


def answer_of_discord(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Return status and body, as a webhook answers."""
    parts = urlsplit(path).path.strip("/").split("/")
    if parts[:2] != ["api", "webhooks"] or len(parts) != 4 or parts[2] != WEBHOOK_ID:
        return 404, json.dumps({"message": "Unknown Webhook", "code": 10015})
    if parts[3] != WEBHOOK_TOKEN:
        return 401, json.dumps({"message": "Invalid Webhook Token", "code": 50027})
    if not headers.get("Content-Type", "").startswith("application/json"):
        return 400, json.dumps({"message": "Cannot send an empty message", "code": 50006})
    try:
        message = json.loads(body)
    except ValueError:
        return 400, json.dumps({"message": "The request body contains invalid JSON.", "code": 50109})
    if not message.get("content") and not message.get("embeds"):
        return 400, json.dumps({"message": "Cannot send an empty message", "code": 50006})
    wrong = complaint(message)
    if wrong:
        return 400, json.dumps({"message": "Invalid Form Body", "code": 50035, "errors": {wrong: {"_errors": []}}})
    return 204, ""


def complaint(message: dict[str, Any]) -> str:
    """Name the part of a message that breaks a limit; empty when none does."""
    for key, limit in (("content", 2000), ("username", 80), ("embeds", 10)):
        if len(message.get(key, "")) > limit:
            return key
    embeds = message.get("embeds", [])
    wrong = next((found for found in map(_wrong_part, embeds) if found), "")
    return wrong or ("embeds" if sum(map(_characters, embeds)) > 6000 else "")


def _wrong_part(embed: dict[str, Any]) -> str:
    for key, limit in _EMBED_LIMITS.items():
        if len(embed.get(key, "")) > limit:
            return key
    if not 0 <= embed.get("color", 0) <= 0xFFFFFF:
        return "color"
    fields = embed.get("fields", [])
    are_fields = all(1 <= len(field["name"]) <= 256 and 1 <= len(field["value"]) <= 1024 for field in fields)
    return "" if are_fields and len(fields) <= 25 else "fields"


def _characters(embed: dict[str, Any]) -> int:
    fields = sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", []))
    return fields + sum(len(embed.get(key, "")) for key in _EMBED_LIMITS) + len(embed.get("footer", {}).get("text", ""))
