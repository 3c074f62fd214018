"""A notice as plain text: the text part of a mail, and what every service without a layout of its own gets."""

import re
from collections.abc import Iterator

from shared.domain.notice import Notice
from shared.notices.wording import labels_of, not_shown, shorten, tidy

MAIL_FINDINGS = 200
_CALLS_EVERYBODY = re.compile(r"@(?=(?:everyone|here|channel|all|room|group)\b)", re.IGNORECASE)


def plain_text(notice: Notice, *, findings: int = MAIL_FINDINGS) -> str:
    """Lay a notice out for a fixed or proportional font, without its title.

    Args:
        notice: Any notice.
        findings: How many of them are shown at most.
    """
    return "\n\n".join(_paragraphs(tidy(notice), findings))


def short_text(notice: Notice, limit: int) -> str:
    """Lay it out in at most `limit` characters; mentions that call everybody are taken apart.

    What matters most comes first, so what is cut is the tail of the findings, then the facts.
    """
    for findings in (20, 5, 1, 0):
        text = without_calls(plain_text(notice, findings=findings))
        if len(text) <= limit:
            return text
    tidied = tidy(notice)
    labelled = ((labels_of(notice).impact, tidied.impact), (labels_of(notice).action, tidied.action))
    parts = [f"{label}: {part}" for label, part in labelled if part]
    text = "\n".join(parts) or tidied.title
    return shorten(without_calls(text), limit)


def without_calls(text: str) -> str:
    """Take apart the words that would call everybody in a room."""
    return _CALLS_EVERYBODY.sub("@\u200b", text)


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
