"""Look for anomalies: after each backup at its numbers, tables and schema, and by the clock at what is missing.

Nothing here ever fails a backup. A look that could not be had is recorded as not measured, never as "nothing odd".
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.catalog.anomaly_records import AnomalyRow, SchemaRecord
from shared.catalog.engine import Catalog
from shared.domain.anomaly import BackupPoint, Subject, TableCount
from shared.domain.anomaly_rules import detect, unmeasured_rules
from shared.domain.manifest import Manifest
from shared.domain.overdue import detect_overdue
from shared.domain.source import Source
from shared.errors import CatalogProblem
from shared.postgres.schema import READER_FORMAT, Schema, digest_objects

_LOG = logging.getLogger(__name__)
_NO_BASELINE = "no earlier schema that can be compared: the first backup, a rebuilt catalog, or a new server version"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueResult:
    """What a look by the clock came to, over all sources."""

    opened: tuple[AnomalyRow, ...]
    closed: tuple[AnomalyRow, ...]


def look_at_backup(
    catalog: Catalog, source: Source, manifest: Manifest, schema: Schema, key: bytes, now: datetime
) -> tuple[AnomalyRow, ...]:
    """Look at a backup that is complete and recorded, and record what is odd about it.

    Args:
        catalog: Where its source's history is.
        source: With its policy.
        manifest: The backup's.
        schema: As it was read in the backup's snapshot.
        key: The repository's fingerprint key.
        now: Aware instant.

    Returns:
        The anomalies that are new; empty as well where nobody could look. Never raises because of the look.
    """
    backup_id = manifest.backup_id
    try:
        newest = catalog.newest_complete(source.name, include_damaged=True)
        if newest is None or newest.id != backup_id:
            catalog.record_check_not_measured(backup_id, "a newer backup is there already", now)
            return ()
        record = _schema_record(manifest, schema, key)
        # Digesting some ten thousand objects takes seconds; of a schema that is as it was, one digest says so.
        is_same = catalog.schema_record(source.name).digest == record.digest
        digests = None if is_same else digest_objects(schema, key)
        since = catalog.record_schema(source.name, record, digests, now)
        return _judge(catalog, source, manifest, since, now)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the backup itself is good
        _LOG.warning("backup %s could not be looked at for anomalies", backup_id, exc_info=True)
        _note_failure(catalog, backup_id, error, now)
        return ()


def look_at_clock(catalog: Catalog, sources: Iterable[Source], now: datetime) -> OverdueResult:
    """Find expected backups that never began and runs that never ended, and close what has come since.

    Args:
        catalog: Where backups and runs are recorded.
        sources: The configured sources; one that the catalog has not met yet has nothing to miss.
        now: Aware instant.

    Raises:
        CatalogProblem: The catalog cannot be read or written.
    """
    known_since = {row.name: row.registered_at for row in catalog.sources()}
    known = [source for source in sources if source.name in known_since]
    attempts = catalog.newest_attempts([source.name for source in known], now)
    running = catalog.runs_in_progress()
    opened: list[AnomalyRow] = []
    closed: list[AnomalyRow] = []
    for source in known:
        found = detect_overdue(
            source,
            known_since=known_since[source.name],
            attempts=attempts[source.name],
            running=running.get(source.name, ()),
            now=now,
        )
        settled = catalog.record_overdue(source.name, found, now)
        opened += settled.opened
        closed += settled.closed
    return OverdueResult(opened=tuple(opened), closed=tuple(closed))


def _judge(catalog: Catalog, source: Source, manifest: Manifest, since: str, now: datetime) -> tuple[AnomalyRow, ...]:
    point = BackupPoint(
        at=manifest.recovery_point_at,
        kind=manifest.kind,
        dumped_bytes=manifest.dumped_bytes,
        stored_bytes=manifest.stored_bytes,
        duration_seconds=manifest.duration_seconds,
    )
    subject = Subject(
        source=source.name,
        backup_id=manifest.backup_id,
        point=point,
        tables=tuple(
            TableCount(
                schema=table.schema,
                name=table.name,
                rows=table.rows,
                fingerprint=table.fingerprint,
                partition_root=table.partition_root,
            )
            for table in manifest.tables
        ),
        excluded=frozenset(item.object for item in manifest.excluded),
        drift=catalog.schema_changes(manifest.backup_id) if since else None,
        drift_since=since,
    )
    history = catalog.anomaly_history(source.name, point.at)
    found = detect(history, subject, source.anomalies)
    gaps = unmeasured_rules(history, subject, source.anomalies, schema_gap="" if since else _NO_BASELINE)
    settled = catalog.record_anomalies(manifest.backup_id, found, gaps, now)
    for row in settled.opened:
        _LOG.info("anomaly in backup %s: %s", manifest.backup_id, row.sentence)
    return settled.opened


def _schema_record(manifest: Manifest, schema: Schema, key: bytes) -> SchemaRecord:
    """Name the form in which the schema was read: server, reader and key must be the same to compare."""
    form = f"{READER_FORMAT} {manifest.server.major} {_mac(key, 'schema form')[:16]}"
    whole = _mac(key, json.dumps(schema, sort_keys=True))
    return SchemaRecord(backup_id=manifest.backup_id, form=form, digest=whole)


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _note_failure(catalog: Catalog, backup_id: str, error: Exception, now: datetime) -> None:
    try:
        catalog.record_check_not_measured(backup_id, f"the look failed ({type(error).__name__})", now)
    except CatalogProblem:
        _LOG.warning("that could not be recorded either", exc_info=True)
