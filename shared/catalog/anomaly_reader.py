"""Read anomalies and what they are judged by; every call is one short transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from shared.catalog.anomaly_models import ANOMALY
from shared.catalog.connection import Database
from shared.catalog.conversion import simple_record
from shared.domain.anomaly import Rule
from shared.domain.proof import Severity


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


class AnomalyReader:
    """Reads anomalies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_anomalies(self, source: str | None = None) -> tuple[AnomalyRow, ...]:
        """Return what is neither closed nor acknowledged, of all sources unless one is named, oldest first.

        Rows of severity info are among them; they do not colour health.
        """
        wanted: list[ColumnElement[bool]] = [ANOMALY.c.closed_at.is_(None), ANOMALY.c.acknowledged_at.is_(None)]
        if source is not None:
            wanted.append(ANOMALY.c.source == source)
        query = select(ANOMALY).where(*wanted).order_by(ANOMALY.c.started_at, ANOMALY.c.id)
        with self._database.reading() as connection:
            return tuple(anomaly_record(row) for row in connection.execute(query).mappings())


def anomaly_record(row: Any) -> AnomalyRow:
    """Build an anomaly."""
    return simple_record(AnomalyRow, row, rule=Rule(row["rule"]), severity=Severity(row["severity"]))
