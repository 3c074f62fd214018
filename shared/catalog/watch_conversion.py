"""Turn what the watch decides into rows and back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.catalog.conversion import Row, simple_record
from shared.catalog.statements import cut
from shared.catalog.watch_records import DeliveryRow, OutboxState
from shared.domain.health_reason import Colour, Reason
from shared.domain.incident import Acknowledgement, Incident
from shared.domain.notice import read_notice
from shared.domain.source_facts import Reachability
from shared.domain.transition import HealthState, Transition
from shared.units import format_instant, parse_instant

_REACHABLE = {"reachable": True, "unreachable": False}


def reach_record(row: Row) -> Reachability:
    """Build what something outside answered last."""
    return Reachability(
        is_reachable=_REACHABLE.get(row["state"]), asked_at=row["asked_at"], since=row["since"], message=row["message"]
    )


def state_values(state: HealthState) -> dict[str, Any]:
    """Return a state as a row."""
    return {
        "source": state.source,
        "colour": _text(state.colour),
        "codes": list(state.codes),
        "since": state.since,
        "version": state.version,
    }


def state_record(row: Row) -> HealthState:
    """Build a state."""
    return HealthState(
        source=row["source"],
        colour=_colour(row["colour"]),
        codes=tuple(row["codes"]),
        since=row["since"],
        version=row["version"],
    )


def transition_values(transition: Transition) -> dict[str, Any]:
    """Return a transition as a row."""
    return {
        "source": transition.source,
        "version": transition.version,
        "before": _text(transition.before),
        "after": _text(transition.after),
        "at": transition.at,
        "reasons": reason_documents(transition.reasons),
    }


def transition_record(row: Row) -> Transition:
    """Build a transition."""
    return Transition(
        source=row["source"],
        version=row["version"],
        before=_colour(row["before"]),
        after=_colour(row["after"]),
        at=row["at"],
        reasons=_reasons(row["reasons"]),
    )


def incident_values(incident: Incident) -> dict[str, Any]:
    """Return an incident as a row."""
    taken = incident.acknowledgement
    return {
        "id": incident.id,
        "source": incident.source,
        "opened_at": incident.opened_at,
        "colour": incident.colour.value,
        "worst": incident.worst.value,
        "colour_since": incident.colour_since,
        "worst_because": incident.worst_because,
        "worst_seconds": incident.worst_seconds,
        "cause": incident.cause,
        "reasons": reason_documents(incident.reasons),
        "told": _text(incident.told),
        "told_at": incident.told_at,
        "told_version": incident.told_version,
        "told_causes": list(incident.told_causes),
        "absent": {cause: format_instant(at) for cause, at in incident.absent.items()},
        "alarms": incident.alarms,
        "alarm_at": incident.alarm_at,
        "step": incident.step,
        "words": incident.words,
        "reminders": incident.reminders,
        "reminded_at": incident.reminded_at,
        "acknowledged_at": taken.at if taken else None,
        "acknowledged_by": taken.by if taken else "",
        "acknowledged_reason": cut(taken.reason) if taken else "",
        "held": incident.held,
        "held_version": incident.held_version,
        "maintenance": incident.maintenance,
        "closed_at": incident.closed_at,
        "closed_because": incident.closed_because,
        "is_finished": incident.is_finished,
    }


def incident_record(row: Row) -> Incident:
    """Build an incident."""
    taken_at = row["acknowledged_at"]
    taken = Acknowledgement(at=taken_at, by=row["acknowledged_by"], reason=row["acknowledged_reason"])
    return Incident(
        id=row["id"],
        source=row["source"],
        opened_at=row["opened_at"],
        colour=Colour(row["colour"]),
        worst=Colour(row["worst"]),
        colour_since=row["colour_since"],
        worst_because=row["worst_because"],
        worst_seconds=row["worst_seconds"] or 0.0,
        reasons=_reasons(row["reasons"]),
        told=_colour(row["told"]),
        told_at=row["told_at"],
        told_version=row["told_version"],
        told_causes=tuple(name for name in row["told_causes"] if ":" in name),
        absent={cause: parse_instant(at) for cause, at in (row["absent"] or {}).items()},
        alarms=row["alarms"],
        alarm_at=row["alarm_at"],
        step=row["step"],
        words=row["words"],
        reminders=row["reminders"],
        reminded_at=row["reminded_at"],
        acknowledgement=taken if taken_at else None,
        held=row["held"],
        held_version=row["held_version"],
        maintenance=row["maintenance"],
        closed_at=row["closed_at"],
        closed_because=row["closed_because"],
    )


def delivery_values(key: str, channel: str, now: datetime, *, begins_at: datetime | None = None) -> dict[str, Any]:
    """Return the row of a notice that is to be sent to a channel, now or later."""
    return {
        "notice_key": key,
        "channel": channel,
        "state": OutboxState.PENDING.value,
        "attempts": 0,
        "created_at": now,
        "next_attempt_at": begins_at or now,
        "lease_until": None,
        "lease_holder": "",
        "finished_at": None,
        "error": "",
    }


def delivery_record(row: Row) -> DeliveryRow:
    """Build a delivery from its row, which carries the notice's document besides the table's columns."""
    return simple_record(DeliveryRow, row, state=OutboxState(row["state"]), notice=read_notice(row["document"]))


def reason_documents(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Return reasons in JSON's own types."""
    return [
        {
            "code": reason.code,
            "colour": reason.colour.value,
            "sentence": reason.sentence,
            "action": reason.action,
            "since": format_instant(reason.since) if reason.since else None,
            "subjects": list(reason.subjects),
        }
        for reason in reasons
    ]


def _reasons(documents: Iterable[Row]) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            code=item["code"],
            colour=Colour(item["colour"]),
            sentence=item["sentence"],
            action=item["action"],
            since=parse_instant(item["since"]) if item["since"] else None,
            subjects=tuple(item.get("subjects", ())),
        )
        for item in documents
    )


def _text(colour: Colour | None) -> str:
    return colour.value if colour else ""


def _colour(text: str) -> Colour | None:
    return Colour(text) if text else None
