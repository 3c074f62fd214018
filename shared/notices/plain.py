"""A notice as plain text: the text part of a mail, and what every service without a layout of its own gets."""

import re
from collections.abc import Iterator
from dataclasses import replace

from shared.domain.notice import Notice
from shared.notices.wording import labels_of, not_shown, shorten, tidy

MAIL_FINDINGS = 200
_NO_ROOM = "\u200b"
_ACTS = re.compile(r"[@<](?=\S)|\](?=[(\[:])|:(?=//)|(?:\bwww)(?=\.)|\b(?:mailto|xmpp|tel)(?=:)", re.IGNORECASE)
"""Mentions, tags, links in markdown, and addresses that are made links by themselves."""


def plain_text(notice: Notice, *, findings: int = MAIL_FINDINGS) -> str:
    """Lay a notice out for a fixed or proportional font, without its title.

    Args:
        notice: Any notice.
        findings: How many of them are shown at most.
    """
    return "\n\n".join(_paragraphs(tidy(notice), findings))


def defused(notice: Notice) -> Notice:
    """Return the notice, tidy, with every text taken apart that a service could act on; its own links stay links."""
    tidied = tidy(notice)
    return replace(
        tidied,
        source=harmless(tidied.source),
        title=harmless(tidied.title),
        impact=harmless(tidied.impact),
        action=harmless(tidied.action),
        facts=tuple((harmless(label), harmless(value)) for label, value in tidied.facts),
        findings=tuple(harmless(finding) for finding in tidied.findings),
        links=tuple((harmless(label), url) for label, url in tidied.links),
    )


def short_text(notice: Notice, limit: int) -> str:
    """Lay it out in at most `limit` characters; no word of others is a mention, a link or a tag in it.

    What matters most comes first, so what is cut is the tail of the findings, then the facts.
    """
    shown = defused(notice)
    for findings in (20, 5, 1, 0):
        text = "\n\n".join(_paragraphs(shown, findings))
        if len(text) <= limit:
            return text
    labelled = ((labels_of(shown).impact, shown.impact), (labels_of(shown).action, shown.action))
    parts = [f"{label}: {part}" for label, part in labelled if part]
    return shorten("\n".join(parts) or shown.title, limit)


def harmless(text: str) -> str:
    """Put a mark that takes no room into what calls people, links or begins a tag."""
    return _ACTS.sub(lambda found: f"{found[0]}{_NO_ROOM}", text)


def _paragraphs(notice: Notice, findings: int) -> Iterator[str]:
    labels = labels_of(notice)
    if notice.impact:
        yield f"{labels.impact}: {notice.impact}"
    if notice.action:
        yield f"{labels.action}: {notice.action}"
    if notice.findings:
        shown = [f"  - {finding}" for finding in notice.findings[:findings]]
        hidden = len(notice.findings) - len(shown)
        yield "\n".join([f"{labels.findings}:", *shown, *([f"  {not_shown(hidden)}"] if hidden else [])])
    if notice.facts:
        width = max(len(label) for label, _ in notice.facts)
        yield "\n".join(f"{label + ':':<{width + 1}} {value}" for label, value in notice.facts)
    if notice.links:
        yield "\n".join(f"{label}: {url}" for label, url in notice.links)
