"""Record anomalies: what a look at a backup found, what the clock found missing, and who took note of it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from shared.catalog.anomaly_models import ANOMALY, ANOMALY_CHECK, SCHEMA_BASELINE, SCHEMA_CHANGE, SCHEMA_OBJECT
from shared.catalog.anomaly_reader import read_anomaly, read_schema_changes, read_schema_digests
from shared.catalog.anomaly_records import AnomalyRow, SchemaRecord, Settled, anomaly_record
from shared.catalog.audit_writer import append_entry
from shared.catalog.columns import clean_text
from shared.catalog.connection import Database
from shared.catalog.conversion import plain_items
from shared.catalog.models import BACKUP
from shared.catalog.rollups import refresh_source
from shared.catalog.statements import chunked, cut, lock_source, upsert
from shared.catalog.writer import require_backup
from shared.domain.anomaly import BACKUP_RULES, EVENT_RULES, OVERDUE_RULES, Anomaly, Rule, SchemaDrift, is_clearly_worse
from shared.domain.anomaly_schema import SchemaDigests, compare_schemas, is_reverted
from shared.domain.proof import NotMeasured, Outcome, Severity
from shared.errors import UsageProblem

_COPIED = ("source", "backup_id", "expected", "found", "started_at", "expected_value", "found_value")


class AnomalyWriter:
    """Writes what is odd about backups and their absence."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def record_schema(self, source: str, record: SchemaRecord, digests: SchemaDigests | None, now: datetime) -> str:
        """Record the schema that a backup found, and what is different from the backup before.

        Recording the same backup again changes nothing.

        Args:
            source: The source.
            record: Which backup, in what way it was read, and the digest of everything.
            digests: Digest of every object by class and name; None is enough where the whole has not changed.
            now: Aware instant.

        Returns:
            The backup with whose schema it was compared; empty where there was none of the same form.
        """
        clean = {(name, clean_text(identity)): digest for (name, identity), digest in (digests or {}).items()}
        with self._database.writing() as connection:
            lock_source(connection, source, now)
            before = connection.execute(select(SCHEMA_BASELINE).where(SCHEMA_BASELINE.c.source == source)).one_or_none()
            if before and before.backup_id == record.backup_id:
                return str(before.compared_with)
            if before is None or before.digest != record.digest:
                if digests is None:
                    raise ValueError(f"the schema of {source} has changed, and its objects were not digested")
                known = read_schema_digests(connection, source)
                if before and before.form == record.form:
                    _write_changes(connection, record.backup_id, compare_schemas(known, clean))
                _write_objects(connection, source, known, clean)
            since = str(before.backup_id) if before and before.form == record.form else ""
            values = {
                "source": source,
                "backup_id": record.backup_id,
                "compared_with": since,
                "form": record.form,
                "digest": record.digest,
                "recorded_at": now,
            }
            upsert(connection, SCHEMA_BASELINE, values, keys=("source",))
        return since

    def record_anomalies(
        self, backup_id: str, found: Sequence[Anomaly], not_measured: Sequence[NotMeasured], now: datetime
    ) -> Settled:
        """Record what a look at a source's newest backup found, and close what is over.

        One that lasts keeps its row, unless it is clearly worse now: then that is another one, for what was told and
        may be acknowledged is the old one. What a rule could not judge (`not_measured`) stays as it is. Doing it again
        changes nothing.

        Args:
            backup_id: The backup that was looked at.
            found: All that is odd about it.
            not_measured: Rules that had nothing to judge by; `check` is the rule's name.
            now: Aware instant.

        Raises:
            BackupUnknown: The catalog has no such backup.
        """
        unjudged = {item.check for item in not_measured}
        with self._database.writing() as connection:
            backup = require_backup(connection, backup_id)
            lock_source(connection, backup.source, now)
            lasting = _unclosed(connection, backup.source, BACKUP_RULES)
            worse = [row for row in lasting if any(_is_worse(row, anomaly) for anomaly in found)]
            _close(connection, worse, backup.recovery_point_at or now, f"much more of it in backup {backup_id}")
            lasting = tuple(row for row in lasting if row not in worse)
            opened = _open(connection, found, lasting, now)
            over = [row for row in lasting if row.rule not in unjudged and _is_over(connection, row, backup_id, found)]
            closed = _close(connection, over, backup.recovery_point_at or now, f"not in backup {backup_id} any more")
            odd = [anomaly for anomaly in found if anomaly.severity is not Severity.INFO]
            _write_check(connection, backup_id, Outcome.FAILED if odd else Outcome.PASSED, not_measured, now)
            words = cut("; ".join(anomaly.sentence for anomaly in odd))
            connection.execute(update(BACKUP).where(BACKUP.c.id == backup_id).values(anomaly=words))
            refresh_source(connection, backup.source, now, days=[backup.started_at])
        return Settled(opened=opened, closed=closed)

    def record_check_not_measured(self, backup_id: str, reason: str, now: datetime) -> None:
        """Record that nobody could look at a backup, and why; open anomalies stay open."""
        gap = NotMeasured(check="anomalies", object=backup_id, reason=reason)
        with self._database.writing() as connection:
            require_backup(connection, backup_id)
            _write_check(connection, backup_id, Outcome.NOT_MEASURED, [gap], now)

    def record_overdue(self, source: str, found: Sequence[Anomaly], now: datetime) -> Settled:
        """Record what is missing of a source by the clock, and close what has come in the meantime."""
        with self._database.reading() as connection:
            quiet = not found and not _unclosed(connection, source, OVERDUE_RULES)
        if quiet:
            return Settled(opened=(), closed=())
        with self._database.writing() as connection:
            lock_source(connection, source, now)
            lasting = _unclosed(connection, source, OVERDUE_RULES)
            causes = {(item.rule, item.object, item.started_at) for item in found}
            opened = _open(connection, found, [], now)
            over = [row for row in lasting if (row.rule, row.object_name, row.started_at) not in causes]
            closed = _close(connection, over, now, "it came, or it ended")
        return Settled(opened=opened, closed=closed)

    def acknowledge_anomaly(self, number: int, *, by: str, reason: str, now: datetime) -> AnomalyRow:
        """Record that somebody took note of an anomaly and why it is no trouble; what it found is normal from now on.

        Raises:
            UsageProblem: There is no such anomaly, it is over or acknowledged already, or the reason is empty.
        """
        if not reason.strip() or not by.strip():
            raise UsageProblem(
                f"anomaly {number} cannot be acknowledged without who and why", hint="Say why it is no trouble."
            )
        with self._database.writing() as connection:
            before = read_anomaly(connection, number)
            lock_source(connection, before.source, now)
            changed = connection.execute(
                update(ANOMALY)
                .where(ANOMALY.c.id == number, ANOMALY.c.closed_at.is_(None), ANOMALY.c.acknowledged_at.is_(None))
                .values(acknowledged_at=now, acknowledged_by=by, acknowledged_reason=cut(reason.strip()))
            )
            if changed.rowcount != 1:
                raise UsageProblem(_why_settled(read_anomaly(connection, number)), hint="There is nothing to do.")
            after = read_anomaly(connection, number)
            append_entry(
                connection,
                actor=by,
                action="anomaly.acknowledge",
                object_name=f"anomaly {number}",
                reason=reason.strip(),
                details={"source": after.source, "rule": after.rule.value, "object": after.object_name},
                now=now,
            )
        return after


def _why_settled(row: AnomalyRow) -> str:
    if row.closed_at is not None:
        return f"anomaly {row.id} is over: {row.closed_reason}"
    return f"anomaly {row.id} was acknowledged by {row.acknowledged_by} already"


def _unclosed(connection: Connection, source: str, rules: Collection[Rule]) -> tuple[AnomalyRow, ...]:
    wanted = [rule.value for rule in rules]
    query = select(ANOMALY).where(ANOMALY.c.source == source, ANOMALY.c.closed_at.is_(None), ANOMALY.c.rule.in_(wanted))
    return tuple(anomaly_record(row) for row in connection.execute(query.order_by(ANOMALY.c.id)).mappings())


def _open(
    connection: Connection, found: Iterable[Anomaly], lasting: Sequence[AnomalyRow], now: datetime
) -> tuple[AnomalyRow, ...]:
    """Write what is new; what lasts only learns in which backup it showed last."""
    # What was acknowledged is the new normal for the rules: what they still find is another cause.
    same = [row for row in lasting if row.rule not in EVENT_RULES and row.acknowledged_at is None]
    known = {(row.rule, row.object_name): row.id for row in same}
    opened = []
    for anomaly in found:
        number = known.get((anomaly.rule, clean_text(anomaly.object)))
        if number is not None:
            seen = {"last_backup_id": anomaly.backup_id}
            connection.execute(update(ANOMALY).where(ANOMALY.c.id == number).values(seen))
            continue
        row = _insert_once(connection, anomaly, now)
        opened += [row] if row else []
    return tuple(opened)


def _is_worse(row: AnomalyRow, found: Anomaly) -> bool:
    """Say whether a backup shows clearly more of an anomaly that nobody has acknowledged."""
    is_same = (row.rule, row.object_name) == (found.rule, clean_text(found.object)) and row.acknowledged_at is None
    is_warned = found.severity is not Severity.INFO
    is_later = row.started_at < found.started_at and row.rule not in EVENT_RULES
    return (
        is_same and is_warned and is_later and is_clearly_worse(found.found_value, row.found_value, row.expected_value)
    )


def _insert_once(connection: Connection, anomaly: Anomaly, now: datetime) -> AnomalyRow | None:
    """Write an anomaly unless this very one is there already; one that had ceased for a while is opened again."""
    cause: tuple[ColumnElement[bool], ...] = (
        ANOMALY.c.source == anomaly.source,
        ANOMALY.c.rule == anomaly.rule.value,
        ANOMALY.c.object_name == anomaly.object,
        ANOMALY.c.started_at == anomaly.started_at,
    )
    known = connection.execute(select(ANOMALY).where(*cause)).one_or_none()
    if known is not None:
        if known.closed_at is None or known.acknowledged_at is not None or anomaly.rule not in OVERDUE_RULES:
            return None
        connection.execute(update(ANOMALY).where(*cause).values(closed_at=None, closed_reason=""))
        return read_anomaly(connection, known.id)
    values: dict[str, Any] = {name: getattr(anomaly, name) for name in _COPIED}
    values |= {
        "rule": anomaly.rule.value,
        "severity": anomaly.severity.value,
        "object_name": anomaly.object,
        "sentence": cut(anomaly.sentence),
        "last_backup_id": anomaly.backup_id,
        "detected_at": now,
    }
    return anomaly_record(connection.execute(insert(ANOMALY).values(values).returning(ANOMALY)).mappings().one())


def _is_over(connection: Connection, row: AnomalyRow, backup_id: str, found: Sequence[Anomaly]) -> bool:
    if row.acknowledged_at is not None:
        return row.last_backup_id != backup_id
    if row.rule not in EVENT_RULES:
        return all((item.rule, clean_text(item.object)) != (row.rule, row.object_name) for item in found)
    if row.backup_id == backup_id:
        return False
    # An event that was only for the record is over once the next backup is there.
    if row.severity is Severity.INFO:
        return True
    changes = [item for item in read_schema_changes(connection, row.backup_id) if item.change.value == row.object_name]
    return bool(changes) and is_reverted(changes, read_schema_digests(connection, row.source))


def _close(
    connection: Connection, rows: Iterable[AnomalyRow], closed_at: datetime, reason: str
) -> tuple[AnomalyRow, ...]:
    closed = []
    for row in rows:
        values = {"closed_at": closed_at, "closed_reason": reason}
        connection.execute(update(ANOMALY).where(ANOMALY.c.id == row.id).values(values))
        closed.append(read_anomaly(connection, row.id))
    return tuple(closed)


def _write_check(
    connection: Connection, backup_id: str, outcome: Outcome, not_measured: Sequence[NotMeasured], now: datetime
) -> None:
    values = {
        "backup_id": backup_id,
        "outcome": outcome.value,
        "checked_at": now,
        "not_measured": plain_items(tuple(not_measured)),
    }
    upsert(connection, ANOMALY_CHECK, values, keys=("backup_id",))


def _write_changes(connection: Connection, backup_id: str, changes: Sequence[SchemaDrift]) -> None:
    connection.execute(delete(SCHEMA_CHANGE).where(SCHEMA_CHANGE.c.backup_id == backup_id))
    rows = [
        {
            "backup_id": backup_id,
            "ordinal": ordinal,
            "change": item.change.value,
            "object_class": item.object_class,
            "identity": item.identity,
            "digest_before": item.digest_before,
            "digest_after": item.digest_after,
        }
        for ordinal, item in enumerate(changes)
    ]
    for chunk in chunked(rows):
        connection.execute(insert(SCHEMA_CHANGE), list(chunk))


def _write_objects(
    connection: Connection, source: str, known: SchemaDigests, wanted: Mapping[tuple[str, str], str]
) -> None:
    """Bring the source's objects up to date; only what differs is written."""
    stale = [_object_key(*name) for name, digest in known.items() if wanted.get(name) != digest]
    for keys in chunked(stale):
        mine = (SCHEMA_OBJECT.c.source == source, SCHEMA_OBJECT.c.object_key.in_(keys))
        connection.execute(delete(SCHEMA_OBJECT).where(*mine))
    objects = [
        {
            "source": source,
            "object_key": _object_key(*name),
            "object_class": name[0],
            "identity": name[1],
            "digest": digest,
        }
        for name, digest in wanted.items()
        if known.get(name) != digest
    ]
    for chunk in chunked(objects):
        connection.execute(insert(SCHEMA_OBJECT), list(chunk))


def _object_key(object_class: str, identity: str) -> str:
    return hashlib.sha256(f"{object_class} {identity}".encode()).hexdigest()[:32]
