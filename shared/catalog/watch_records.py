"""What the watch reads from the catalog and hands to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.incident import Incident
from shared.domain.notice import Notice
from shared.domain.transition import HealthState, Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRecord:
    """What was recorded by earlier looks.

    Attributes:
        version: Counts the changes of everything here; a plan made from it can only be recorded while it is the same.
        started_at: When the watch looked for the first time.
        watched_at: When it looked last.
        audit_seq: Up to which entry of the audit trail events were told.
        sizes: What every source took in the repository when the last digest was made, in bytes.
        states: How every source stood, the system under the empty name.
        incidents: Those that are not finished.
        changes: Changes of health by source, within the window that was asked for.
    """

    version: int
    started_at: datetime
    watched_at: datetime
    audit_seq: int
    sizes: Mapping[str, int]
    states: Mapping[str, HealthState]
    incidents: tuple[Incident, ...]
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxNotice:
    """A notice to be sent.

    Attributes:
        notice: What is told.
        channels: Names of the channels that get it now.
        later: Names of those that get it at `later_at`.
        later_at: When the quiet hours are over.
        incident_id: The incident it is about, if it is about one.
        members: Notices that this one tells together; they are recorded, so that none of them is ever told again.
    """

    notice: Notice
    channels: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    later_at: datetime | None = None
    incident_id: str = ""
    members: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult:
    """What one look came to, to be recorded at once.

    Attributes:
        states: Those that changed.
        transitions: Changes of health.
        incidents: Those that changed.
        outbox: Notices to be sent.
        audit_seq: Up to which entry of the audit trail events are told with it.
        sizes: What every source takes in the repository, where a digest tells of it.
    """

    states: tuple[HealthState, ...] = ()
    transitions: tuple[Transition, ...] = ()
    incidents: tuple[Incident, ...] = ()
    outbox: tuple[OutboxNotice, ...] = ()
    audit_seq: int = 0
    sizes: Mapping[str, int] | None = None


class OutboxState(StrEnum):
    """How a notice stands on its way to a channel."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One notice on its way to one channel.

    Attributes:
        attempts: How often it was begun to be sent.
        lease_holder: Who is sending it, where somebody is.
    """

    id: int
    notice_key: str
    channel: str
    state: OutboxState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    lease_holder: str
    finished_at: datetime | None
    error: str
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt to hand a notice to a channel; `outcome` is delivered, retry or failed."""

    id: int
    notice_key: str
    channel: str
    at: datetime
    duration_seconds: float | None
    outcome: str
    error: str
