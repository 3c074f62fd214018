"""A notice: what is told to people, once, about one event.

A notice holds facts and sentences, no markup: every channel escapes and lays it out in its own way. It never holds a
secret. Its key names the event, so that the same event makes the same notice and can be told only once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.units import format_instant, parse_instant

FORMAT = 1


class NoticeEvent(StrEnum):
    """What happened."""

    BACKUP_COMPLETED = "backup-completed"
    BACKUP_FAILED = "backup-failed"
    BACKUP_SLOW = "backup-slow"
    BACKUP_LATE = "backup-late"
    RESTORE_TEST_PASSED = "restore-test-passed"
    RESTORE_TEST_FAILED = "restore-test-failed"
    RESTORE_TEST_NOT_MEASURED = "restore-test-not-measured"
    HEALTH_CHANGED = "health-changed"
    RECOVERED = "recovered"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    ANOMALY = "anomaly"
    CLEANUP_REFUSED = "cleanup-refused"
    DIGEST = "digest"
    REPORT_READY = "report-ready"
    CHANNEL_FAILED = "channel-failed"
    CANARY = "canary"
    TEST = "test"


class NoticeSeverity(StrEnum):
    """How much it matters; a channel may ask for a minimum."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(NoticeSeverity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice, as it is stored and as every channel gets it.

    Attributes:
        key: Unique name of the event, such as `backup-completed:20261121T020000Z-app-7f3a`.
        event: What happened.
        severity: How much it matters.
        source: What it is about; empty for the whole organisation.
        title: One line that says it all, the subject of a mail.
        facts: Label and value, in the order in which they are read.
        impact: What it means for the people who rely on the backups; may be empty.
        action: What to do next, with a command; may be empty.
        findings: One line for each thing that was found; may be long.
        links: Label and URL of pages that say more.
        at: When it happened, not when it is sent.
    """

    key: str
    event: NoticeEvent
    severity: NoticeSeverity
    source: str
    title: str
    at: datetime
    facts: tuple[tuple[str, str], ...] = ()
    impact: str = ""
    action: str = ""
    findings: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "format": FORMAT,
            "key": self.key,
            "event": self.event.value,
            "severity": self.severity.value,
            "source": self.source,
            "at": format_instant(self.at),
            "title": self.title,
            "impact": self.impact,
            "action": self.action,
            "facts": [{"label": label, "value": value} for label, value in self.facts],
            "findings": list(self.findings),
            "links": [{"label": label, "url": url} for label, url in self.links],
        }


def read_notice(document: Mapping[str, Any]) -> Notice:
    """Read what `Notice.document` returned.

    Raises:
        ValueError: It is no notice of this format.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"a notice of format {document.get('format')!r} is not known here")
    return Notice(
        key=document["key"],
        event=NoticeEvent(document["event"]),
        severity=NoticeSeverity(document["severity"]),
        source=document["source"],
        at=parse_instant(document["at"]),
        title=document["title"],
        impact=document["impact"],
        action=document["action"],
        facts=tuple((fact["label"], fact["value"]) for fact in document["facts"]),
        findings=tuple(document["findings"]),
        links=tuple((link["label"], link["url"]) for link in document["links"]),
    )
