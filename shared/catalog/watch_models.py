"""The tables of the watch: how sources stand, their incidents, the notices and how these were delivered.

They have no foreign keys to sources: the system itself has a state too, and so does a source before its first backup.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Index, Integer, Text, UniqueConstraint, false, text
from sqlmodel import Field

from shared.catalog.fields import (
    bytes_field,
    count_field,
    instant_field,
    json_field,
    number_key,
    ordinal_key,
    seconds_field,
    text_field,
)
from shared.catalog.models import CatalogTable, table_of

WATCH_ID = 1


class Watch(CatalogTable, table=True):
    """One row: who writes about states and incidents counts it up, so that no two decide from the same state."""

    id: int = ordinal_key()
    version: int = count_field()
    started_at: datetime = instant_field(optional=False)
    watched_at: datetime = instant_field(optional=False)
    watcher: str = text_field()
    audit_seq: int = bytes_field()
    sizes: dict[str, int] = json_field(dict)


class WatchGap(CatalogTable, table=True):
    """A time in which nobody looked: from the last look before it to the next one."""

    __tablename__ = "watch_gap"

    began_at: datetime = instant_field(key=True)
    ended_at: datetime = instant_field(optional=False)


class HealthStateRow(CatalogTable, table=True):
    """How a source stood when it was last looked at; an empty colour: it is not watched any more."""

    __tablename__ = "health_state"

    source: str = text_field(key=True)
    colour: str = text_field()
    codes: list[str] = json_field(list)
    since: datetime = instant_field(optional=False)
    version: int = count_field()


class HealthTransition(CatalogTable, table=True):
    """One change of health."""

    __tablename__ = "health_transition"
    __table_args__ = (Index("ix_health_transition_at", "at"),)

    source: str = text_field(key=True)
    version: int = ordinal_key()
    before: str = text_field()
    after: str = text_field()
    at: datetime = instant_field(optional=False)
    reasons: list[Any] = json_field(list)


class IncidentRow(CatalogTable, table=True):
    """One incident; fields as in `shared.domain.incident.Incident`."""

    __tablename__ = "incident"
    __table_args__ = (
        Index(
            "ix_incident_unfinished",
            "source",
            sqlite_where=text("NOT is_finished"),
            postgresql_where=text("NOT is_finished"),
        ),
        Index("ix_incident_opened", "opened_at"),
    )

    id: str = text_field(key=True)
    source: str = text_field()
    opened_at: datetime = instant_field(optional=False)
    colour: str = text_field()
    worst: str = text_field()
    colour_since: datetime | None = instant_field()
    worst_because: str = Field(sa_column=Column(Text(), default="", server_default=text("''"), nullable=False))
    worst_seconds: float | None = seconds_field()
    cause: str = text_field()
    reasons: list[Any] = json_field(list)
    told: str = text_field()
    told_at: datetime | None = instant_field()
    words: int = Field(sa_column=Column(Integer(), default=0, server_default=text("0"), nullable=False))
    told_version: int = count_field()
    told_causes: list[str] = json_field(list)
    absent: dict[str, str] | None = Field(sa_column=Column(JSON(), default=dict, nullable=True))
    alarms: int = count_field()
    alarm_at: datetime | None = instant_field()
    step: int = count_field()
    reminders: int = count_field()
    reminded_at: datetime | None = instant_field()
    acknowledged_at: datetime | None = instant_field()
    acknowledged_by: str = text_field()
    acknowledged_reason: str = text_field()
    held: str = text_field()
    held_version: int = count_field()
    maintenance: str = text_field()
    closed_at: datetime | None = instant_field()
    closed_because: str = text_field()
    is_finished: bool = Field(sa_column=Column(Boolean(), nullable=False, server_default=false()))


class NoticeRow(CatalogTable, table=True):
    """One notice; its key names what happened, so nothing is told twice. `grouped_into` names the one that told it."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_created", "created_at"),)

    key: str = text_field(key=True)
    event: str = text_field()
    severity: str = text_field()
    source: str = text_field()
    grouped_into: str = text_field()
    incident_id: str = text_field(index=True)
    document: dict[str, Any] = json_field(dict)
    created_at: datetime = instant_field(optional=False)


class Delivery(CatalogTable, table=True):
    """One notice on its way to one channel; whoever holds the lease is sending it."""

    __table_args__ = (
        UniqueConstraint("notice_key", "channel"),
        Index(
            "ix_delivery_pending",
            "next_attempt_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: int | None = number_key()
    notice_key: str = text_field(references="notice.key")
    channel: str = text_field()
    state: str = text_field()
    attempts: int = count_field()
    created_at: datetime = instant_field(optional=False)
    next_attempt_at: datetime = instant_field(optional=False)
    lease_until: datetime | None = instant_field()
    lease_holder: str = text_field()
    finished_at: datetime | None = instant_field()
    error: str = text_field()


class DeliveryAttempt(CatalogTable, table=True):
    """One attempt to hand a notice to a channel."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (Index("ix_delivery_attempt_channel", "channel", "id"),)

    id: int | None = number_key()
    notice_key: str = text_field(index=True)
    channel: str = text_field()
    at: datetime = instant_field(optional=False)
    duration_seconds: float | None = seconds_field()
    outcome: str = text_field()
    error: str = text_field()


class Reach(CatalogTable, table=True):
    """Whether something outside answered when it was last asked: the repository, a server behind a source."""

    name: str = text_field(key=True)
    state: str = text_field()
    asked_at: datetime = instant_field(optional=False)
    since: datetime | None = instant_field()
    failures: int = count_field()
    message: str = text_field()


WATCH = table_of(Watch)
WATCH_GAP = table_of(WatchGap)
HEALTH_STATE = table_of(HealthStateRow)
HEALTH_TRANSITION = table_of(HealthTransition)
INCIDENT = table_of(IncidentRow)
NOTICE = table_of(NoticeRow)
DELIVERY = table_of(Delivery)
DELIVERY_ATTEMPT = table_of(DeliveryAttempt)
REACH = table_of(Reach)
