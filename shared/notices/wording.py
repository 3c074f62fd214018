"""What every channel does to a notice before it lays it out: no character acts on a reader, no secret, no endless text.

Names of databases, tables and roles and the words of errors were written by others. A newline in them would forge a
header, a direction mark would turn a sentence round, half a surrogate cannot be sent at all: they are shown, not sent.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import urlsplit

from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity

TITLE_CHARACTERS = 300
SENTENCE_CHARACTERS = 2000
FINDING_CHARACTERS = 600
LABEL_CHARACTERS = 100
URL_CHARACTERS = 1000
CUT = " … (cut)"

_PASSWORD_IN_URL = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s:/@]*):[^\s/]*@")
_PASSWORD_IN_PAIR = re.compile(r"(?i)(\b\w*(?:password|passwd|secret|token)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"]+)")


class Tone(Enum):
    """How a notice looks: a sign for those who see no colours, and a colour."""

    GOOD = ("🟢", 0x1F883D)
    INFO = ("🔵", 0x2F6FDE)
    WARNING = ("🟡", 0xBF8700)
    CRITICAL = ("🔴", 0xCF222E)

    @property
    def icon(self) -> str:
        """A coloured disc."""
        return self.value[0]

    @property
    def colour(self) -> int:
        """0xRRGGBB."""
        return self.value[1]

    @property
    def hex_colour(self) -> str:
        """As style sheets write it."""
        return f"#{self.colour:06x}"


_GOOD_NEWS = {NoticeEvent.BACKUP_COMPLETED, NoticeEvent.RESTORE_TEST_PASSED, NoticeEvent.RECOVERED}


def tone_of(notice: Notice) -> Tone:
    """Say how a notice looks."""
    if notice.severity is NoticeSeverity.CRITICAL:
        return Tone.CRITICAL
    if notice.severity is NoticeSeverity.WARNING:
        return Tone.WARNING
    return Tone.GOOD if notice.event in _GOOD_NEWS else Tone.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What stands before the parts of a notice."""

    impact: str = "Impact"
    action: str = "Do"
    findings: str = "Findings"


_LABELS = {
    NoticeEvent.DIGEST: Labels(impact="In short", findings="Sources, worst first"),
    NoticeEvent.HEALTH_CHANGED: Labels(findings="Why"),
    NoticeEvent.REMINDER: Labels(findings="Why"),
    NoticeEvent.ESCALATION: Labels(findings="Why"),
    NoticeEvent.RECOVERED: Labels(findings="What was"),
}


def labels_of(notice: Notice) -> Labels:
    """Return the words that fit this kind of notice."""
    return _LABELS.get(notice.event, Labels())


def tidy(notice: Notice) -> Notice:
    """Return the notice as it may be laid out: every text clean and of a sensible length, links that are links."""
    return replace(
        notice,
        source=clean(notice.source, LABEL_CHARACTERS),
        title=clean(notice.title, TITLE_CHARACTERS),
        impact=clean(notice.impact, SENTENCE_CHARACTERS),
        action=clean(notice.action, SENTENCE_CHARACTERS),
        facts=tuple(
            (clean(label, LABEL_CHARACTERS), clean(value, FINDING_CHARACTERS)) for label, value in notice.facts
        ),
        findings=tuple(clean(finding, FINDING_CHARACTERS) for finding in notice.findings),
        links=tuple((clean(label, LABEL_CHARACTERS), url) for label, url in notice.links if _is_link(url)),
    )


def clean(text: str, limit: int) -> str:
    """Show what is not printable as an escape, put stars in place of passwords, cut what is too long."""
    text = text[: 4 * limit]
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(r"\1:***@", text)
    if "=" in text:
        text = _PASSWORD_IN_PAIR.sub(r"\1***", text)
    words = " ".join(text.split())
    if not words.isprintable():
        words = "".join(char if char.isprintable() else _escape(char) for char in words)
    return shorten(words, limit)


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, and say so."""
    if len(text) <= limit:
        return text
    return text[: max(0, limit - len(CUT))].rstrip() + CUT if limit > 2 * len(CUT) else text[:limit]


def not_shown(count: int, what: str = "finding") -> str:
    """Say that a list goes on."""
    return f"… and {count:,} more {what}{'' if count == 1 else 's'} not shown here"


def commands(text: str) -> list[tuple[str, bool]]:
    """Split a sentence into pieces and say of each whether it is a command, which stands between backticks."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a backtick without its fellow is an ordinary character
        pieces[-2:] = ["'".join(pieces[-2:])]
    return [(piece, number % 2 == 1) for number, piece in enumerate(pieces) if piece]


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _is_link(url: str) -> bool:
    """Say whether it may be clicked: a web page, without a password, without a character that ends a link."""
    if (
        len(url) > URL_CHARACTERS
        or re.search(r"[\s<>\"'`|()\\\[\]{}^]", url)
        or not url.isascii()
        or not url.isprintable()
    ):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
