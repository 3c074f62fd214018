"""A source: one database we protect, and what was agreed for it."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.domain.anomaly import AnomalyPolicy
from shared.domain.backup import BackupKind
from shared.domain.manifest import Exclusion


class SourceKind(StrEnum):
    """What stands behind the URL."""

    POSTGRES = "postgres"
    SUPABASE = "supabase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When things are expected; cron expressions of five fields, and `last friday 04:00` for the restore test.

    Attributes:
        own: Whether the source has a deployment of its own, because it is expected at other times than the others.
        grace: How late a backup may come before anybody hears of it.
        restore_test_grace: The same for a restore test, which waits its turn behind those of other sources.
    """

    daily: str = "0 2 * * *"
    weekly: str = "0 2 * * 0"
    restore_test: str = "last friday 04:00"
    timezone: str = "UTC"
    own: bool = False
    grace: timedelta = timedelta(hours=2)
    restore_test_grace: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What was promised for a source.

    Attributes:
        rpo: How old the newest complete backup may be.
        proven: How old the newest proven backup may be. Two last Fridays are up to 35 days apart; one more day is time
            to carry out the test.
        rto: How long until the database is usable again.
        backup_time: How long a backup may take.
        restore_time: How long the restore itself may take.
        success_rate: Share of backups that succeed, above 0 to 1.
    """

    rpo: timedelta = timedelta(hours=24)
    proven: timedelta = timedelta(days=36)
    rto: timedelta = timedelta(hours=4)
    backup_time: timedelta = timedelta(minutes=30)
    restore_time: timedelta = timedelta(minutes=15)
    success_rate: float = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRules:
    """What health is judged by besides objectives and schedule.

    Attributes:
        red_factor: So many times its objective old is red, above 1.
        stale_after: Facts that were read longer ago are not judged as good.
        clock_tolerance: Instants so far in the future are still taken for now.
        silent_after: A run that gave no sign of life for so long is lost.
    """

    red_factor: float = 2.0
    stale_after: timedelta = timedelta(minutes=30)
    clock_tolerance: timedelta = timedelta(minutes=5)
    silent_after: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """How long and how many backups of one kind stay.

    A backup is kept while ANY part of the rule keeps it. `age` alone is the common case.

    Attributes:
        age: Keep while younger than this; None keeps nothing by age.
        minimum_count: Always keep this many of the newest complete ones.
        daily, weekly, monthly, yearly: Keep the newest of each of the last N calendar buckets (UTC) that have one.
    """

    age: timedelta | None
    minimum_count: int = 1
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0


DEFAULT_RETENTION = {
    BackupKind.DAILY: KeepRule(age=timedelta(days=7)),
    BackupKind.WEEKLY: KeepRule(age=timedelta(days=28)),
    BackupKind.MANUAL: KeepRule(age=timedelta(days=90)),
    BackupKind.PRE_DEPLOY: KeepRule(age=timedelta(days=90)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpPolicy:
    """How a source is dumped.

    Attributes:
        jobs: Parallel connections of pg_dump.
        role: Role to SET before dumping, or empty.
        excluded_tables: Tables left out on purpose, `schema.table` with the reason.
        excluded_data: Tables whose rows are left out on purpose; their definition is kept.
        excluded_schemas: Schemas left out on purpose, with the reason.
        allow_empty: Whether a source without rows may follow a backup with rows.
        lock_wait: How long to wait for a table lock.
        stall_after: End the run when nothing moves for this long.
        scratch_limit_bytes: Pause the dump while this much waits in scratch.
    """

    jobs: int = 2
    role: str = ""
    excluded_tables: tuple[Exclusion, ...] = ()
    excluded_data: tuple[Exclusion, ...] = ()
    excluded_schemas: tuple[Exclusion, ...] = ()
    allow_empty: bool = False
    lock_wait: timedelta = timedelta(minutes=1)
    stall_after: timedelta = timedelta(minutes=15)
    scratch_limit_bytes: int = 2 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A database we protect; how to reach it is kept apart, in the configuration."""

    name: str
    kind: SourceKind = SourceKind.POSTGRES
    schedule: Schedule = field(default_factory=Schedule)
    retention: dict[BackupKind, KeepRule] = field(default_factory=lambda: dict(DEFAULT_RETENTION))
    objectives: Objectives = field(default_factory=Objectives)
    health: HealthRules = field(default_factory=HealthRules)
    dump: DumpPolicy = field(default_factory=DumpPolicy)
    anomalies: AnomalyPolicy = field(default_factory=AnomalyPolicy)
    restore_test_after_backup: bool = False
