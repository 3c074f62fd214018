"""Say that somebody is at it: incidents and anomalies are acknowledged with who and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.catalog.anomaly_records import AnomalyRow
from shared.catalog.engine import Catalog
from shared.catalog.watch_conversion import reason_documents
from shared.domain.incident import Incident
from shared.domain.proof import Severity
from shared.domain.transition import SYSTEM, SYSTEM_WORD
from shared.errors import UsageProblem
from shared.units import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeResult:
    """What was acknowledged.

    Attributes:
        by: Who did.
        reason: Why.
        incidents: Ids of the incidents.
        anomalies: Numbers of the anomalies.
    """

    by: str
    reason: str
    incidents: tuple[str, ...]
    anomalies: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "by": self.by,
            "reason": self.reason,
            "incidents": list(self.incidents),
            "anomalies": list(self.anomalies),
        }


def acknowledge(catalog: Catalog, subject: str, *, by: str, reason: str, now: datetime) -> AcknowledgeResult:
    """Acknowledge what a word names, as far as the last look knew it: what was found since then stays open.

    Args:
        catalog: Where incidents and anomalies are.
        subject: A source, an incident's id, a reason's code, `system`, or an anomaly's number.
        by: Who does.
        reason: What is being done, or why it is no trouble.
        now: Aware instant.

    Raises:
        UsageProblem: There is nothing open by that name, or no reason is given.
    """
    if not reason.strip():
        raise UsageProblem(
            f"{subject} cannot be acknowledged without a reason", hint="Say what is being done about it."
        )
    if subject.isdigit():
        row = catalog.acknowledge_anomaly(int(subject), by=by, reason=reason, now=now)
        return AcknowledgeResult(by=by, reason=reason, incidents=(), anomalies=(row.id,))
    open_ = catalog.incidents(open_only=True)
    wanted = _named(open_, subject)
    odd, unseen = _odd(catalog, subject)
    if unseen and not odd:
        numbers = ", ".join(f"{row.id} ({row.sentence})" for row in unseen)
        raise UsageProblem(
            f"what is unusual in {subject} was found after the last look, nobody was told of it yet: {numbers}",
            hint=f"Look at it, then acknowledge it by its number: `goldcopy ack {unseen[0].id} --reason ...`.",
        )
    if not wanted and not odd:
        known = ", ".join(incident.id for incident in open_) or "none"
        raise UsageProblem(
            f"nothing by the name of {subject!r} is open", hint=f"Open incidents: {known}; see `goldcopy incidents`."
        )
    for row in odd:
        catalog.acknowledge_anomaly(row.id, by=by, reason=reason, now=now)
    done = catalog.acknowledge([incident.id for incident in wanted], by=by, reason=reason, now=now) if wanted else ()
    return AcknowledgeResult(
        by=by,
        reason=reason,
        incidents=tuple(incident.id for incident in done),
        anomalies=tuple(row.id for row in odd),
    )


def _odd(catalog: Catalog, source: str) -> tuple[list[AnomalyRow], list[AnomalyRow]]:
    """Return the open anomalies of a source: those that the last look knew, and those that were found since."""
    rows = [row for row in catalog.open_anomalies(source) if row.severity is not Severity.INFO]
    looked_at = catalog.watched_at()
    seen = [row for row in rows if looked_at is None or row.detected_at <= looked_at]
    return seen, [row for row in rows if row not in seen]


def _named(incidents: tuple[Incident, ...], subject: str) -> list[Incident]:
    """Find the incidents that a word names: an id, else a source, else the system, else a reason."""
    ways = (
        [item for item in incidents if item.id == subject],
        [item for item in incidents if item.source == subject],
        [item for item in incidents if item.source == SYSTEM and subject.lower() == SYSTEM_WORD],
        [item for item in incidents if any(reason.code == subject for reason in item.reasons)],
    )
    return next((found for found in ways if found), [])


def incident_document(incident: Incident, line: str, now: datetime) -> dict[str, Any]:
    """Return an incident in JSON's own types; `line` says it for people."""
    taken = incident.acknowledgement
    return {
        "id": incident.id,
        "source": incident.source,
        "is_open": incident.is_open,
        "colour": incident.colour.value,
        "worst": incident.worst.value,
        "opened_at": format_instant(incident.opened_at),
        "closed_at": format_instant(incident.closed_at) if incident.closed_at else None,
        "closed_because": incident.closed_because,
        "lasted_seconds": incident.lasted(now).total_seconds(),
        "told": incident.told.value if incident.told else None,
        "held": incident.held,
        "maintenance": incident.maintenance,
        "escalation_step": incident.step,
        "reminders": incident.reminders,
        "acknowledged_by": taken.by if taken else None,
        "acknowledged_at": format_instant(taken.at) if taken else None,
        "acknowledged_reason": taken.reason if taken else None,
        "reasons": reason_documents(incident.reasons),
        "line": line,
    }
