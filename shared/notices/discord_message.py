"""A notice as Discord shows it: one embed, within Discord's limits, with every character of others escaped.

Limits: https://discord.com/developers/docs/resources/message#embed-object-embed-limits (title 256, description 4,096,
25 fields of 256 and 1,024, 6,000 characters in all). Nobody is ever mentioned: `allowed_mentions` is empty.
"""

import re
from typing import Any

from shared.domain.notice import Notice
from shared.notices.wording import commands, labels_of, not_shown, shorten, tidy, tone_of
from shared.units import format_instant

TITLE_CHARACTERS = 256
DESCRIPTION_CHARACTERS = 3000
FIELD_NAME_CHARACTERS = 100
FIELD_VALUE_CHARACTERS = 400
EMBED_CHARACTERS = 6000
FIELDS_SHOWN = 12
FINDINGS_SHOWN = 20
LINKS_SHOWN = 5

# What formats or links: some characters everywhere, some only where they begin a line, an emoji or an address.
_MARKDOWN = re.compile(r"([\\*_~`<\[\]]|\|(?=\|)|(?<=\|)\||^[#>+-]|:(?=//|\w+:))")
_MENTION = re.compile(r"@")
_ZERO_WIDTH = "\u200b"


def discord_message(notice: Notice) -> dict[str, Any]:
    """Return what is posted to a webhook."""
    notice = tidy(notice)
    title = _cut(_escaped(f"{tone_of(notice).icon} {shorten(notice.title, 200)}"), TITLE_CHARACTERS)
    description = _description(notice)
    embed = {
        "title": title,
        "description": description,
        "color": tone_of(notice).colour,
        "timestamp": format_instant(notice.at),
        "footer": {"text": "Goldcopy"},
        "fields": _fields(notice.facts, EMBED_CHARACTERS - 300 - len(title) - len(description)),
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def markdown(text: str) -> str:
    """Escape a text of others; what stands between backticks is shown as code."""
    return "".join(
        f"`{_MENTION.sub('@' + _ZERO_WIDTH, piece)}`" if is_command else _escaped(piece)
        for piece, is_command in commands(text)
    )


def _description(notice: Notice) -> str:
    labels = labels_of(notice)
    links = " · ".join(f"[{_escaped(label)}]({url})" for label, url in notice.links[:LINKS_SHOWN])
    paragraphs = [
        f"**{labels.impact}:** {_cut(markdown(notice.impact), 800)}" if notice.impact else "",
        f"**{labels.action}:** {_cut(markdown(notice.action), 800)}" if notice.action else "",
    ]
    room = DESCRIPTION_CHARACTERS - sum(len(paragraph) + 2 for paragraph in [*paragraphs, links])
    paragraphs += [_findings(labels.findings, notice.findings, room), links]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _fields(facts: tuple[tuple[str, str], ...], room: int) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = []
    for number, (label, value) in enumerate(facts):
        shown = {
            "name": _cut(_escaped(label), FIELD_NAME_CHARACTERS) or "–",
            "value": _cut(markdown(value), FIELD_VALUE_CHARACTERS) or "–",
            "inline": len(value) <= 40,
        }
        room -= len(str(shown["name"])) + len(str(shown["value"]))
        if number == FIELDS_SHOWN or room < 0:
            return [*fields, {"name": "…", "value": not_shown(len(facts) - number, "fact"), "inline": False}]
        fields.append(shown)
    return fields


def _findings(label: str, findings: tuple[str, ...], room: int) -> str:
    if not findings:
        return ""
    lines = [f"**{label}:**"]
    room -= len(lines[0]) + len(not_shown(len(findings))) + 1
    for number, finding in enumerate(findings):
        line = f"- {markdown(shorten(finding, 300))}"
        room -= len(line) + 1
        if number == FINDINGS_SHOWN or room < 0:
            lines.append(not_shown(len(findings) - number))
            break
        lines.append(line)
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return _MENTION.sub("@" + _ZERO_WIDTH, _MARKDOWN.sub(r"\\\1", text))


def _cut(text: str, limit: int) -> str:
    """Cut a text that grew by escaping, never between a backslash and what it escapes."""
    short = shorten(text, limit)
    if short == text:
        return text
    head, separator, tail = short.rpartition(" … ")
    return re.sub(r"(?<!\\)((?:\\\\)*)\\$", r"\1", head) + separator + tail
