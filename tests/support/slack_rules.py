"""What Slack takes and answers.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and https://docs.slack.dev/reference/block-kit
"""

import json
import re
from collections.abc import Mapping
from typing import Any

WEBHOOK_PATH = "/services/T0123/B0456/abcDEF789"
BOT_TOKEN = "xoxb-1234-5678-abcdef"
CHANNELS = {"#ops", "#general"}
TEXT_LIMIT = 40_000
BLOCKS_LIMIT = 50
_BLOCK_TYPES = {"section", "context", "header", "divider"}


def answer_of_slack(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Return status and body, as an incoming webhook or `chat.postMessage` answers."""
    if path.startswith("/services/"):
        return _webhook(path, body)
    if path == "/api/chat.postMessage":
        return 200, json.dumps(_bot(headers, body))
    return 404, "not found"


def _webhook(path: str, body: bytes) -> tuple[int, str]:
    if path != WEBHOOK_PATH:
        return (
            (403, "invalid_token")
            if path.rpartition("/")[0] == WEBHOOK_PATH.rpartition("/")[0]
            else (404, "no_service")
        )
    message = _read(body)
    if message is None:
        return 400, "invalid_payload"
    wrong = complaint(message)
    return (400, wrong) if wrong else (200, "ok")


def _bot(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
        return {"ok": False, "error": "invalid_auth"}
    message = _read(body)
    if message is None:
        return {"ok": False, "error": "invalid_json"}
    if message.get("channel") not in CHANNELS:
        return {"ok": False, "error": "channel_not_found"}
    wrong = complaint(message)
    if wrong:
        return {"ok": False, "error": wrong}
    return {"ok": True, "channel": "C123456", "ts": "1503435956.000247", "message": {"text": message.get("text", "")}}


def complaint(message: dict[str, Any]) -> str:
    """Say in Slack's own word what is wrong with a message; empty when nothing is."""
    attachments = message.get("attachments", [])
    if not message.get("text") and not message.get("blocks") and not attachments:
        return "no_text"
    if len(str(message.get("text", ""))) > TEXT_LIMIT:
        return "msg_too_long"
    if not _are_blocks(message.get("blocks", [])):
        return "invalid_blocks"
    if not isinstance(attachments, list) or len(attachments) > 100:
        return "too_many_attachments"
    for attachment in attachments:
        if not _are_blocks(attachment.get("blocks", [])) or not re.fullmatch(
            r"#[0-9a-f]{6}|good|warning|danger", attachment.get("color", "good")
        ):
            return "invalid_attachments"
    return ""


def _are_blocks(blocks: Any) -> bool:
    return isinstance(blocks, list) and len(blocks) <= BLOCKS_LIMIT and all(_is_block(block) for block in blocks)


def _is_block(block: dict[str, Any]) -> bool:
    match block.get("type"):
        case "section":
            fields = block.get("fields", [])
            if "text" not in block and not fields:
                return False
            is_text = "text" not in block or _is_text(block["text"], 3000)
            return is_text and len(fields) <= 10 and all(_is_text(field, 2000) for field in fields)
        case "context":
            elements = block.get("elements", [])
            return 1 <= len(elements) <= 10 and all(_is_text(element, 3000) for element in elements)
        case "header":
            text = block.get("text", {})
            return text.get("type") == "plain_text" and _is_text(text, 150)
        case _:
            return block.get("type") in _BLOCK_TYPES


def _is_text(text: dict[str, Any], limit: int) -> bool:
    known = {"type", "text", "verbatim"} if text.get("type") == "mrkdwn" else {"type", "text", "emoji"}
    is_kind = text.get("type") in ("mrkdwn", "plain_text") and set(text) <= known
    return is_kind and isinstance(text.get("text"), str) and 1 <= len(text["text"]) <= limit


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def mentions(text: str) -> list[str]:
    """Return what Slack would act on: mentions of people, groups and channels, and links."""
    return re.findall(r"<([!@#][^>]*|https?://[^>]*)>", text)
