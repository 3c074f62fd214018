"""A notice as Slack shows it: mrkdwn in blocks, within Slack's limits, with every character of others escaped.

Limits: https://docs.slack.dev/reference/block-kit/blocks (50 blocks, 3,000 characters a section, 10 fields of 2,000)
and 40,000 characters of text a message.
"""

import re
from collections.abc import Iterator
from typing import Any

from shared.domain.notice import Notice
from shared.notices.wording import commands, labels_of, not_shown, shorten, tidy, tone_of

SECTION_CHARACTERS = 3000
FIELD_CHARACTERS = 2000
FIELDS_A_BLOCK = 10
FACTS_SHOWN = 20
FINDINGS_SHOWN = 20
LINKS_SHOWN = 10

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Slack has no escape for these. Look-alikes cannot be taken for formatting; an underscore inside a name never is.
_LOOK_ALIKES = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})
_OUTER_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9_])_+|_+(?![A-Za-z0-9_])")


def slack_message(notice: Notice) -> dict[str, Any]:
    """Return what is posted: the title, and the rest beside a bar of the notice's colour."""
    tidied = tidy(notice)
    title = f"{tone_of(tidied).icon} *{mrkdwn(tidied.title)}*"
    return {
        "text": slack_text(notice),
        "blocks": [_section(title)],
        "attachments": [slack_attachment(notice)],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def slack_text(notice: Notice) -> str:
    """Return the one line that stands for the message where blocks cannot be shown, such as on a telephone."""
    tidied = tidy(notice)
    return f"{tone_of(tidied).icon} {_entities(tidied.title)}"


def slack_attachment(notice: Notice) -> dict[str, Any]:
    """Return what follows the title."""
    tidied = tidy(notice)
    return {
        "color": tone_of(tidied).hex_colour,
        "fallback": _entities(tidied.title),
        "blocks": list(_blocks(tidied)) or [_context("Goldcopy")],
    }


def mrkdwn(text: str) -> str:
    """Escape a text of others; what stands between backticks is shown as code."""
    return "".join(
        f"`{_entities(piece)}`"
        if is_command
        else _OUTER_UNDERSCORE.sub(_low_line, _entities(piece)).translate(_LOOK_ALIKES)
        for piece, is_command in commands(text)
    )


def _blocks(notice: Notice) -> Iterator[dict[str, Any]]:
    labels = labels_of(notice)
    if notice.impact:
        yield _section(f"*{labels.impact}:* {mrkdwn(notice.impact)}")
    if notice.action:
        yield _section(f"*{labels.action}:* {mrkdwn(notice.action)}")
    if notice.findings:
        yield _section(_findings(labels.findings, notice.findings))
    facts = notice.facts[:FACTS_SHOWN]
    for start in range(0, len(facts), FIELDS_A_BLOCK):
        yield {"type": "section", "fields": [_field(*fact) for fact in facts[start : start + FIELDS_A_BLOCK]]}
    if len(notice.facts) > FACTS_SHOWN:
        yield _context(not_shown(len(notice.facts) - FACTS_SHOWN, "fact"))
    if notice.links:
        yield _context("  ·  ".join(f"<{_url(url)}|{mrkdwn(label)}>" for label, url in notice.links[:LINKS_SHOWN]))


def _findings(label: str, findings: tuple[str, ...]) -> str:
    lines = [f"*{label}:*"]
    room = SECTION_CHARACTERS - len(lines[0]) - len(not_shown(len(findings))) - 1
    for number, finding in enumerate(findings):
        line = f"• {mrkdwn(shorten(finding, 400))}"
        room -= len(line) + 1
        if number == FINDINGS_SHOWN or room < 0:
            lines.append(not_shown(len(findings) - number))
            break
        lines.append(line)
    return "\n".join(lines)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text, SECTION_CHARACTERS)}


def _field(label: str, value: str) -> dict[str, Any]:
    return _text(f"*{mrkdwn(label)}*\n{mrkdwn(value)}", FIELD_CHARACTERS)


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_text(text, SECTION_CHARACTERS)]}


def _text(text: str, limit: int) -> dict[str, Any]:
    """Return a text object; `verbatim` keeps Slack from making links of addresses in somebody else's words."""
    return {"type": "mrkdwn", "text": _cut(text, limit), "verbatim": True}


def _cut(text: str, limit: int) -> str:
    """Cut a text that grew by escaping, never inside an entity."""
    short = shorten(text, limit)
    return short if short == text else re.sub(r"&[a-z]{0,3}(?= … |$)", "", short)


def _entities(text: str) -> str:
    return text.translate(_ENTITIES)


def _url(url: str) -> str:
    return url.replace("&", "&amp;")


def _low_line(match: re.Match[str]) -> str:
    return "\u02cd" * len(match[0])
