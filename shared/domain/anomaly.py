"""An anomaly: something about a backup, or about its absence, that asks for a look.

An anomaly never fails a backup. It is one cause, not one observation: while it lasts, later backups do not raise it
again, and a backup that is normal again closes it. A person may acknowledge it with a reason. What is normal then is
what the source does from there on.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from shared.domain.backup import BackupKind
from shared.domain.proof import Severity

# An anomaly that is open is told again from so much more of its deviation on, so that a slow slide is told a few times.
_WORSE_BY = 1.5
# Stands for nothing left where a logarithm is taken.
_SOME = 0.5


class Rule(StrEnum):
    """What is looked at; the value is the rule's stable name."""

    DUMPED_SIZE = "dumped-size"
    STORED_SIZE = "stored-size"
    DURATION = "duration"
    COMPRESSION = "compression"
    TABLE_EMPTY = "table-empty"
    TABLE_SHRUNK = "table-shrunk"
    TABLE_GROWN = "table-grown"
    TABLE_DROPPED = "table-dropped"
    TABLE_NEW = "table-new"
    SCHEMA_CHANGED = "schema-changed"
    SCHEDULE_GAP = "schedule-gap"
    RUN_STUCK = "run-stuck"


NUMERIC_RULES = (Rule.DUMPED_SIZE, Rule.STORED_SIZE, Rule.DURATION, Rule.COMPRESSION)
"""Judged by how the source's own earlier backups were."""

TABLE_RULES = (Rule.TABLE_EMPTY, Rule.TABLE_SHRUNK, Rule.TABLE_GROWN, Rule.TABLE_DROPPED)
"""Judged per table, or per partitioned table as a whole."""

BACKUP_RULES = (*NUMERIC_RULES, *TABLE_RULES, Rule.TABLE_NEW, Rule.SCHEMA_CHANGED)
"""Looked at after each backup; the others are looked at by the clock."""

OVERDUE_RULES = (Rule.SCHEDULE_GAP, Rule.RUN_STUCK)
"""What no backup can report, because none came."""

EVENT_RULES = (Rule.TABLE_NEW, Rule.SCHEMA_CHANGED)
"""What happened once: the next time is another anomaly, even while this one is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyPolicy:
    """How strictly a source is looked at.

    Attributes:
        deviations: How many robust standard deviations from the expectation are still normal.
        minimum_points: Earlier backups that the numeric rules need; with fewer they are quiet.
        table_shrunk: Share of a table's rows whose loss is an anomaly, above 0 and below 1.
        table_grown: Growth of a table that is an anomaly, as a share of its rows; 1 is twice as many. The default is a
            bit less, so that a table that was loaded twice and lost some rows is found too.
        ignore: What nobody wants to hear of: a rule's name, or `rule:object` where both may hold `*`.
    """

    deviations: float = 4.0
    minimum_points: int = 7
    table_shrunk: float = 0.5
    table_grown: float = 0.9
    ignore: tuple[str, ...] = ()

    def ignores(self, rule: Rule, object_name: str) -> bool:
        """Say whether nobody wants to hear of this rule for this object."""
        return any(
            fnmatchcase(rule.value, wanted) and fnmatchcase(object_name, names or "*")
            for wanted, _, names in (pattern.partition(":") for pattern in self.ignore)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One thing that is odd.

    Attributes:
        rule: Which rule found it.
        source: Of which source.
        backup_id: The backup in which it showed first; empty where there is none.
        object: What it is about, such as `public.orders`; the source's name where it is about the whole backup.
        severity: A warning colours the source's health until it is closed or acknowledged; info is for the record.
        sentence: One plain sentence that says what was found and what was expected.
        expected: What would have been normal, in words.
        found: What was found, in words.
        started_at: Since when: the recovery point, or the instant at which something should have come.
        expected_value: The middle of what was expected, in bytes, seconds, rows or as a ratio; None without a number.
        found_value: The number that was found.
    """

    rule: Rule
    source: str
    backup_id: str
    object: str
    severity: Severity
    sentence: str
    expected: str
    found: str
    started_at: datetime
    expected_value: float | None = None
    found_value: float | None = None


def is_clearly_worse(found: float | None, than: float | None, expected: float | None) -> bool:
    """Say whether a later backup shows so much more of an anomaly that it has to be told anew.

    It does where its deviation is half as large again, as a factor of what is expected, or goes the other way.

    Args:
        found: The number that a later backup shows.
        than: The number that was told.
        expected: The number that was expected when the anomaly began.
    """
    if found is None or than is None or not expected:
        return False
    later, told = (math.log(max(value, _SOME) / max(expected, _SOME)) for value in (found, than))
    return later * told < 0 or abs(later) >= _WORSE_BY * abs(told) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPoint:
    """The numbers of one complete backup."""

    at: datetime
    kind: BackupKind
    dumped_bytes: int
    stored_bytes: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCount:
    """One table's rows in a backup; `partition_root` as in the manifest."""

    schema: str
    name: str
    rows: int
    fingerprint: str = ""
    partition_root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesAt:
    """All tables of one backup."""

    at: datetime
    tables: tuple[TableCount, ...]


class ObjectChange(StrEnum):
    """What happened to a schema object since the backup before."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDrift:
    """One schema object that is not what it was; the digests are keyed, and empty where there is no object."""

    change: ObjectChange
    object_class: str
    identity: str
    digest_before: str = ""
    digest_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An anomaly of before, as far as it decides what is normal now.

    `started_at` is the recovery point of the first backup that showed it, `closed_at` that of the first one without it.
    """

    rule: Rule
    object: str
    severity: Severity
    started_at: datetime
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    expected_value: float | None = None
    found_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a backup is compared with; all of it is of the same source and older than the backup.

    Attributes:
        points: Earlier complete backups, oldest first.
        tables: Tables of the newest of them, oldest first; expired ones have none any more.
        episodes: Anomalies of before that were acknowledged, or that are not over.
    """

    points: tuple[BackupPoint, ...] = ()
    tables: tuple[TablesAt, ...] = ()
    episodes: tuple[Episode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The backup that is looked at.

    Attributes:
        source: Its source.
        backup_id: Its id.
        point: Its numbers.
        tables: Its tables.
        excluded: What it leaves out on purpose: `schema.table` or a schema's name.
        drift: Schema objects that are not what they were; None where that could not be compared.
        drift_since: The backup with which the schema was compared.
    """

    source: str
    backup_id: str
    point: BackupPoint
    tables: tuple[TableCount, ...] = ()
    excluded: frozenset[str] = frozenset()
    drift: tuple[SchemaDrift, ...] | None = None
    drift_since: str = ""
