"""From catalog rows to facts: what health is judged by, for all sources in a handful of queries."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.catalog.engine import Catalog
from shared.catalog.health_reader import AttemptsRow, HealthRows
from shared.catalog.records import SourceStatusRow
from shared.domain.health_backup_rules import expected_before
from shared.domain.proof import Outcome, Severity
from shared.domain.source import Source
from shared.domain.source_facts import (
    FailedAttempt,
    OpenAnomaly,
    ProvenPoint,
    Reachability,
    RestorePoint,
    RestoreTestFact,
    SourceFacts,
)

REPOSITORY = "repository"
TESTS_SINCE = timedelta(days=400)
"""Older tests say little about how long a restore takes today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFacts:
    """What the catalog knows: facts by source, and where all sources stand that it has met."""

    facts: Mapping[str, SourceFacts]
    statuses: Mapping[str, SourceStatusRow]

    def beside(self, sources: Collection[str]) -> tuple[SourceStatusRow, ...]:
        """Return the sources that the catalog knows and the configuration does not, by name."""
        return tuple(row for name, row in sorted(self.statuses.items()) if name not in sources)


def provider_of(source: str) -> str:
    """Name the server behind a source, as it is asked whether it can be reached."""
    return f"provider:{source}"


def read_facts(
    catalog: Catalog,
    sources: Iterable[Source],
    now: datetime,
    *,
    reaches: Mapping[str, Reachability] | None = None,
    unknown_backups: Mapping[str, str] | None = None,
) -> KnownFacts:
    """Read what is known of sources.

    Args:
        catalog: The metadata store.
        sources: Those to read; one that the catalog has not met has no backups, and that is a fact.
        now: Aware instant.
        reaches: What was asked just now, by name; it counts before what was recorded earlier.
        unknown_backups: Backups that only the repository knows, by source, where somebody looked.

    Raises:
        CatalogProblem: The catalog cannot be read, so nothing is known.
    """
    wanted = list(sources)
    rows = catalog.health_rows(started_since=_started_since(wanted, now), tested_since=now - TESTS_SINCE)
    anomalies = _open_anomalies(catalog)
    answers = dict(rows.reaches) | dict(reaches or {})
    unknown = unknown_backups or {}
    facts = {
        source.name: replace(
            _facts(source.name, rows, anomalies.get(source.name, ()), answers, now),
            unknown_backup_id=unknown.get(source.name, ""),
        )
        for source in wanted
    }
    return KnownFacts(facts=facts, statuses=rows.statuses)


def _started_since(sources: Iterable[Source], now: datetime) -> datetime:
    """Return the earliest instant at which any of the sources should have begun a backup."""
    expected = [
        expected_before(expression, source.schedule.timezone, now - source.schedule.grace)
        for source in sources
        for expression in (source.schedule.daily, source.schedule.weekly)
    ]
    return min(expected, default=now) - timedelta(days=1)


def _open_anomalies(catalog: Catalog) -> dict[str, tuple[OpenAnomaly, ...]]:
    found: dict[str, tuple[OpenAnomaly, ...]] = {}
    for row in catalog.open_anomalies():
        if row.severity is not Severity.INFO:
            anomaly = OpenAnomaly(
                rule=row.rule.value, sentence=row.sentence, found_at=row.detected_at, backup_id=row.backup_id
            )
            found[row.source] = (*found.get(row.source, ()), anomaly)
    return found


def _facts(
    name: str,
    rows: HealthRows,
    anomalies: tuple[OpenAnomaly, ...],
    reaches: Mapping[str, Reachability],
    now: datetime,
) -> SourceFacts:
    status = rows.statuses.get(name) or SourceStatusRow(source=name)
    attempts = rows.attempts.get(name) or AttemptsRow()
    tests = rows.tests.get(name, ())
    last = tests[0] if tests else _remembered_test(status)
    decisive = next((test for test in tests if test.outcome is not Outcome.NOT_MEASURED), None)
    if decisive is None and last is not None and last.outcome is not Outcome.NOT_MEASURED:
        decisive = last
    return SourceFacts(
        read_at=now,
        first_backup_at=rows.first_backups.get(name),
        newest=_newest(status),
        proven=_proven(status),
        damaged=rows.damaged.get(name, ()),
        last_started=rows.last_started.get(name, {}),
        last_completed_at=attempts.completed_at,
        failures_since_complete=status.failures_since_complete,
        failing_since=attempts.failing_since,
        last_failure=_last_failure(status),
        running=rows.running.get(name, ()),
        tests=tests,
        last_test=last,
        last_decisive=decisive,
        last_verified_at=status.last_verified_at,
        last_verified_outcome=status.last_verified_outcome,
        last_verified_whole_at=status.last_verified_whole_at,
        anomalies=anomalies,
        repository=reaches.get(REPOSITORY),
        provider=reaches.get(provider_of(name)),
        backup_count=status.backup_count,
        stored_bytes=status.stored_bytes,
    )


def _newest(status: SourceStatusRow) -> RestorePoint | None:
    if status.newest_complete_at is None:
        return None
    return RestorePoint(
        backup_id=status.newest_complete_id,
        recovery_point_at=status.newest_complete_at,
        finished_at=status.newest_complete_finished_at,
        duration_seconds=status.newest_complete_seconds,
        dumped_bytes=status.newest_complete_dumped_bytes,
        stored_bytes=status.newest_complete_stored_bytes,
    )


def _proven(status: SourceStatusRow) -> ProvenPoint | None:
    if status.newest_proven_at is None or status.newest_proven_tested_at is None:
        return None
    return ProvenPoint(
        backup_id=status.newest_proven_id,
        recovery_point_at=status.newest_proven_at,
        tested_at=status.newest_proven_tested_at,
    )


def _last_failure(status: SourceStatusRow) -> FailedAttempt | None:
    if status.last_failure_at is None:
        return None
    return FailedAttempt(
        backup_id=status.last_failure_id,
        at=status.last_failure_at,
        message=" ".join(status.last_failure_message.split()),
        code=status.last_failure_code,
    )


def _remembered_test(status: SourceStatusRow) -> RestoreTestFact | None:
    """The last test where it is older than those that were read; of it only the end is known here."""
    if status.last_test_at is None or status.last_test_outcome is None:
        return None
    return RestoreTestFact(
        id=status.last_test_id,
        backup_id="",
        outcome=status.last_test_outcome,
        started_at=status.last_test_at,
        finished_at=status.last_test_at,
    )
