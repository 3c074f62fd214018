"""`[watch]` and `[escalation]`: how people are told, and when they want to be left alone."""

from datetime import datetime, timedelta

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shared.config.section import Duration, Positive, Section
from shared.config.values import check_timezone
from shared.domain.escalation import TIERS, Escalation, Reminders
from shared.domain.quiet import MaintenanceWindow, parse_quiet_hours
from shared.domain.schedule import Cron
from shared.domain.source_watch import WatchPolicy

DEFAULT_ESCALATION = Escalation()
DEFAULT_REMINDERS = Reminders()


class MaintenanceSection(Section):
    """A time in which trouble is expected: once, from `from` to `to`, or again and again, `for` so long from `cron`."""

    reason: str = Field(min_length=3)
    sources: tuple[str, ...] = ()
    begins_at: datetime | None = Field(default=None, alias="from")
    ends_at: datetime | None = Field(default=None, alias="to")
    cron: str | None = None
    lasts: Positive | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "MaintenanceSection":
        given = (self.begins_at is not None, self.ends_at is not None, self.cron is not None, self.lasts is not None)
        if given not in {(True, True, False, False), (False, False, True, True)}:
            raise ValueError("write either from and to, or cron and for")
        return self

    @field_validator("begins_at", "ends_at")
    @classmethod
    def _is_aware(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value and value.tzinfo is None:
            raise ValueError("from and to need a zone; write for example 2026-12-01T22:00:00Z")
        begins_at = info.data.get("begins_at") if info.field_name == "ends_at" else None
        if value and begins_at and value <= begins_at:
            raise ValueError("to is not after from")
        return value

    def window(self, timezone: str) -> MaintenanceWindow:
        """Return the window as the domain knows it."""
        return MaintenanceWindow(
            reason=self.reason,
            sources=frozenset(self.sources),
            begins_at=self.begins_at,
            ends_at=self.ends_at,
            cron=Cron(self.cron, timezone) if self.cron else None,
            lasts=self.lasts or timedelta(0),
        )


class EscalationSection(Section):
    """Channels by tier, and when each of them hears of a red incident that nobody has acknowledged."""

    after: tuple[Duration, ...] = DEFAULT_ESCALATION.after
    primary: tuple[str, ...] = ()
    secondary: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()

    @field_validator("after")
    @classmethod
    def _grows(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if len(value) != len(TIERS) or value[0] != timedelta(0) or sorted(value) != list(value):
            raise ValueError(
                'write one time for each tier, the first 0 and none shorter than the one before: ["0m", "1h", "2h"]'
            )
        return value

    def channels(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the channels of each tier."""
        return (self.primary, self.secondary, self.escalation)


class WatchSection(Section):
    """How people are told."""

    timezone: str = "UTC"
    quiet_hours: str = ""
    digest: str = "0 8 * * 1"
    canary: str = "0 9 * * 1"
    reminders: tuple[Positive, ...] = DEFAULT_REMINDERS.red
    yellow_reminders: tuple[Positive, ...] = DEFAULT_REMINDERS.yellow
    dead_mans_switch: str | None = None
    maintenance: tuple[MaintenanceSection, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_timezone(value)

    @field_validator("quiet_hours")
    @classmethod
    def _is_part_of_a_day(cls, value: str) -> str:
        if value:
            parse_quiet_hours(value)
        return value

    @field_validator("digest", "canary")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if value:
            Cron(value)
        return value

    def policy(self, escalation: EscalationSection) -> WatchPolicy:
        """Return what the domain decides by."""
        return WatchPolicy(
            escalation=Escalation(after=escalation.after, channels=escalation.channels()),
            reminders=Reminders(red=self.reminders, yellow=self.yellow_reminders),
            quiet=parse_quiet_hours(self.quiet_hours, self.timezone) if self.quiet_hours else None,
            maintenance=tuple(item.window(self.timezone) for item in self.maintenance),
        )
