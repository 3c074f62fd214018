"""What may stand in `goldcopy.toml`: names, types, defaults. Unknown keys are errors."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from shared.config.anomalies_model import AnomaliesSection
from shared.config.channels_model import ChannelName, ChannelSection
from shared.config.prices_model import PricesSection, ReportsSection
from shared.config.section import Bytes, Duration, Positive, Section
from shared.config.values import CatalogUrl, DatabaseUrl, Recipient, RepositoryUrl, check_timezone
from shared.config.watch_model import EscalationSection, WatchSection
from shared.domain.backup import BackupKind
from shared.domain.manifest import Exclusion
from shared.domain.schedule import Cron, parse_restore_test_schedule
from shared.domain.source import (
    DEFAULT_RETENTION,
    DumpPolicy,
    HealthRules,
    KeepRule,
    Objectives,
    Schedule,
    Source,
    SourceKind,
)


class CatalogSection(Section):
    """The metadata store."""

    url: CatalogUrl = "sqlite:///.goldcopy/catalog.db"


class RepositorySection(Section):
    """Where backups live and for whom they are sealed."""

    url: RepositoryUrl = "file://.goldcopy/repository"
    recipients: list[Recipient] = Field(min_length=1)
    identity: str | None = None
    fingerprint_key: str = "file:.goldcopy/fingerprint.key"
    endpoint_url: str | None = None
    region: str | None = None
    credentials: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    path_style: bool | None = None


class ScratchSection(Section):
    """Where dumps wait and restore tests run."""

    url: DatabaseUrl | None = None
    folder: str = ".goldcopy/scratch"
    limit: Bytes = 2 * 2**30
    jobs: int = Field(default=2, ge=2, le=32)


class ToolsSection(Section):
    """Client tools and servers that `goldcopy tools add` fetched."""

    folder: str = ".goldcopy/tools"


class LimitsSection(Section):
    """How much may run at once."""

    backups_at_once: int = Field(default=2, ge=1, le=64)
    upload_threads: int = Field(default=4, ge=1, le=64)


class ScheduleSection(Section):
    """When backups and restore tests are expected."""

    daily: str = "0 2 * * *"
    weekly: str = "0 2 * * 0"
    restore_test: str = "last friday 04:00"
    timezone: str = "UTC"
    grace: Duration = timedelta(hours=2)
    restore_test_grace: Duration = timedelta(days=1)

    @field_validator("daily", "weekly")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        Cron(value)
        return value

    @field_validator("restore_test")
    @classmethod
    def _is_monthly(cls, value: str) -> str:
        parse_restore_test_schedule(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_timezone(value)

    @property
    def is_own(self) -> bool:
        """Whether it differs in when things fire; grace only changes how they are judged."""
        judged = {"grace", "restore_test_grace"}
        return self.model_dump(exclude=judged) != ScheduleSection().model_dump(exclude=judged)


class KeepSection(Section):
    """How long and how many backups of one kind stay; `"7d"` is short for `{ age = "7d" }`."""

    age: Duration | None = None
    minimum_count: int = Field(default=1, ge=0)
    daily: int = Field(default=0, ge=0)
    weekly: int = Field(default=0, ge=0)
    monthly: int = Field(default=0, ge=0)
    yearly: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"age": value} if isinstance(value, str) else value


class RetentionSection(Section):
    """Retention per kind."""

    daily: KeepSection | None = None
    weekly: KeepSection | None = None
    manual: KeepSection | None = None
    pre_deploy: KeepSection | None = None

    def rules(self) -> dict[BackupKind, KeepRule]:
        """Return the rule of every kind."""
        rules = dict(DEFAULT_RETENTION)
        for kind in BackupKind:
            section = getattr(self, kind.value.replace("-", "_"))
            if section is not None:
                rules[kind] = KeepRule(**section.model_dump())
        return rules


class ObjectivesSection(Section):
    """What was promised."""

    rpo: Positive = timedelta(hours=24)
    proven: Positive = timedelta(days=36)
    rto: Positive = timedelta(hours=4)
    backup_time: Positive = timedelta(minutes=30)
    restore_time: Positive = timedelta(minutes=15)
    success_rate: float = Field(default=0.999, gt=0, le=1)


class HealthSection(Section):
    """What the health of every source is judged by, besides its objectives and its schedule."""

    red_factor: float = Field(default=2.0, gt=1, le=1000, allow_inf_nan=False)
    stale_after: Positive = timedelta(minutes=30)
    clock_tolerance: Duration = timedelta(minutes=5)
    silent_after: Positive = timedelta(minutes=10)
    repository_timeout: Positive = timedelta(seconds=10)

    def rules(self) -> HealthRules:
        """Return what the domain judges by."""
        return HealthRules(**self.model_dump(exclude={"repository_timeout"}))


class ExclusionSection(Section):
    """Something left out on purpose; the reason is kept with every backup and shown."""

    table: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    data_only: bool = False
    reason: str = Field(min_length=3)

    @model_validator(mode="after")
    def _names_one(self) -> "ExclusionSection":
        if (self.table is None) == (self.schema_name is None):
            raise ValueError("name either a table or a schema")
        if self.table is not None and "." not in self.table:
            raise ValueError(f"{self.table!r} lacks its schema; write for example public.{self.table}")
        return self


class SourceSection(Section):
    """One database we protect."""

    url: DatabaseUrl
    kind: SourceKind = SourceKind.POSTGRES
    schedule: ScheduleSection | None = None
    retention: RetentionSection = RetentionSection()
    objectives: ObjectivesSection = ObjectivesSection()
    anomalies: AnomaliesSection = AnomaliesSection()
    checks: str | None = None
    restore_test_after_backup: bool = False
    jobs: int = Field(default=2, ge=1, le=32)
    role: str = ""
    exclude: list[ExclusionSection] = Field(default=[])
    allow_empty: bool = False
    lock_wait: Duration = timedelta(minutes=1)
    stall_after: Duration = timedelta(minutes=15)

    def source(self, name: str, scratch_limit_bytes: int, health: HealthRules, anomalies: AnomaliesSection) -> Source:
        """Return the source as the domain knows it."""
        schedule = self.schedule or ScheduleSection()
        return Source(
            name=name,
            kind=self.kind,
            schedule=Schedule(**schedule.model_dump(), own=schedule.is_own),
            retention=self.retention.rules(),
            objectives=Objectives(**self.objectives.model_dump()),
            health=health,
            dump=DumpPolicy(
                jobs=self.jobs,
                role=self.role,
                excluded_tables=self._exclusions("table", data_only=False),
                excluded_data=self._exclusions("table", data_only=True),
                excluded_schemas=self._exclusions("schema_name", data_only=False),
                allow_empty=self.allow_empty,
                lock_wait=self.lock_wait,
                stall_after=self.stall_after,
                scratch_limit_bytes=scratch_limit_bytes,
            ),
            anomalies=self.anomalies.policy(anomalies),
            restore_test_after_backup=self.restore_test_after_backup,
        )

    def _exclusions(self, what: Literal["table", "schema_name"], *, data_only: bool) -> tuple[Exclusion, ...]:
        return tuple(
            Exclusion(object=getattr(item, what), reason=item.reason)
            for item in self.exclude
            if getattr(item, what) is not None and item.data_only is data_only
        )


class SignInSection(Section):
    """The OpenID Connect provider that says who somebody is."""

    metadata_url: str
    client_id: str
    client_secret: str
    cookie_secret: str
    session_age: Duration = timedelta(hours=12)
    trust_unverified_email: bool = False


class AppSection(Section):
    """The monitoring app."""

    host: str = "127.0.0.1"
    port: int = Field(default=8501, ge=1, le=65535)
    url: str | None = None
    allowed_hosts: list[str] = Field(default=[])
    catalog_url: CatalogUrl | None = None
    prefect_url: str | None = None
    stale_after: Duration = timedelta(hours=1)
    sign_in: SignInSection | None = None


class ConfigFile(Section):
    """The whole file."""

    catalog: CatalogSection = CatalogSection()
    repository: RepositorySection
    scratch: ScratchSection = ScratchSection()
    tools: ToolsSection = ToolsSection()
    limits: LimitsSection = LimitsSection()
    health: HealthSection = HealthSection()
    anomalies: AnomaliesSection = AnomaliesSection()
    app: AppSection = AppSection()
    channels: dict[ChannelName, ChannelSection] = Field(default={})
    watch: WatchSection = WatchSection()
    escalation: EscalationSection = EscalationSection()
    prices: PricesSection = PricesSection()
    reports: ReportsSection = ReportsSection()
    sources: dict[str, SourceSection] = Field(default={})
