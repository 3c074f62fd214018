"""What leaves the catalog about anomalies: frozen rows."""

from dataclasses import dataclass
from datetime import datetime

from shared.catalog.conversion import Row, simple_record
from shared.domain.anomaly import Rule
from shared.domain.proof import NotMeasured, Outcome, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyRow:
    """One recorded anomaly; fields as in `shared.domain.anomaly.Anomaly`.

    Attributes:
        last_backup_id: The newest backup in which it still showed.
        detected_at: When it was recorded.
        closed_at: When it was over; None while it lasts.
        closed_reason: Why it is over.
        acknowledged_at: When somebody took note of it; it does not colour health any more from then on.
        acknowledged_by: Who.
        acknowledged_reason: Why it is no trouble, in that person's words.
    """

    id: int
    source: str
    rule: Rule
    object_name: str
    backup_id: str
    last_backup_id: str
    severity: Severity
    sentence: str
    expected: str
    found: str
    expected_value: float | None
    found_value: float | None
    started_at: datetime
    detected_at: datetime
    closed_at: datetime | None
    closed_reason: str
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_reason: str

    @property
    def is_open(self) -> bool:
        """Whether somebody should still look at it."""
        return self.closed_at is None and self.acknowledged_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyCheckRow:
    """How the look at one backup ended: passed, failed (something was odd), or not measured at all.

    `not_measured` names the rules that had nothing to judge by, each with the reason.
    """

    backup_id: str
    outcome: Outcome
    checked_at: datetime
    not_measured: tuple[NotMeasured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRecord:
    """The schema of a source in one backup, as far as the catalog knows it.

    Attributes:
        backup_id: The backup; empty where the catalog knows no schema of the source.
        form: In what way it was read; two schemas of different forms cannot be compared.
        digest: Digest of everything, so that an unchanged schema is seen at once.
    """

    backup_id: str
    form: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What recording the anomalies of a backup came to."""

    opened: tuple[AnomalyRow, ...]
    closed: tuple[AnomalyRow, ...]


def anomaly_record(row: Row) -> AnomalyRow:
    """Build an anomaly."""
    return simple_record(AnomalyRow, row, rule=Rule(row["rule"]), severity=Severity(row["severity"]))
