"""The tables about anomalies: what was odd, which backups were looked at, and what the schema was before."""

from datetime import datetime

from sqlalchemy import Index, text

from shared.catalog.fields import instant_field, json_field, number_key, ordinal_key, real_field, text_field
from shared.catalog.models import CatalogTable, table_of


class AnomalyEntry(CatalogTable, table=True):
    """One thing that was odd; open while neither closed nor acknowledged."""

    __tablename__ = "anomaly"
    __table_args__ = (
        # One row for one cause, however often it is looked for.
        Index("uq_anomaly_cause", "source", "rule", "object_name", "started_at", unique=True),
        Index(
            "ix_anomaly_unclosed",
            "source",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int | None = number_key()
    source: str = text_field(references="source.name")
    rule: str = text_field()
    object_name: str = text_field()
    backup_id: str = text_field(index=True)
    last_backup_id: str = text_field()
    severity: str = text_field()
    sentence: str = text_field()
    expected: str = text_field()
    found: str = text_field()
    expected_value: float | None = real_field()
    found_value: float | None = real_field()
    started_at: datetime = instant_field(optional=False)
    detected_at: datetime = instant_field(optional=False)
    closed_at: datetime | None = instant_field()
    closed_reason: str = text_field()
    acknowledged_at: datetime | None = instant_field()
    acknowledged_by: str = text_field()
    acknowledged_reason: str = text_field()


class AnomalyCheck(CatalogTable, table=True):
    """How the look at one backup ended: passed, failed (something was odd), or not measured."""

    __tablename__ = "anomaly_check"

    backup_id: str = text_field(key=True, references="backup.id")
    outcome: str = text_field()
    checked_at: datetime = instant_field(optional=False)
    not_measured: list[dict[str, str]] = json_field(list)


class SchemaBaseline(CatalogTable, table=True):
    """Whose schema `schema_object` holds; two of different forms cannot be compared."""

    __tablename__ = "schema_baseline"

    source: str = text_field(key=True, references="source.name")
    backup_id: str = text_field()
    compared_with: str = text_field()
    form: str = text_field()
    digest: str = text_field()
    recorded_at: datetime = instant_field(optional=False)


class SchemaObject(CatalogTable, table=True):
    """One schema object of the source's newest backup; its definition only as a keyed digest."""

    __tablename__ = "schema_object"

    source: str = text_field(key=True, references="source.name")
    # A digest of class and name: names may be longer than what an index takes.
    object_key: str = text_field(key=True)
    object_class: str = text_field()
    identity: str = text_field()
    digest: str = text_field()


class SchemaChange(CatalogTable, table=True):
    """One schema object that a backup found added, removed or changed since the one before."""

    __tablename__ = "schema_change"

    backup_id: str = text_field(key=True, references="backup.id")
    ordinal: int = ordinal_key()
    change: str = text_field()
    object_class: str = text_field()
    identity: str = text_field()
    digest_before: str = text_field()
    digest_after: str = text_field()


ANOMALY = table_of(AnomalyEntry)
ANOMALY_CHECK = table_of(AnomalyCheck)
SCHEMA_BASELINE = table_of(SchemaBaseline)
SCHEMA_OBJECT = table_of(SchemaObject)
SCHEMA_CHANGE = table_of(SchemaChange)
