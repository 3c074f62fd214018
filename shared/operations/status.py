"""How every source stands now: facts from the catalog, the verdict on them, and the numbers behind it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.records import SourceStatusRow
from shared.domain.health import Colour, Health, Reason, SourceFacts, evaluate, worst
from shared.domain.incident import Incident
from shared.domain.objectives import Standing, SuccessRate, measure
from shared.domain.source import Source
from shared.domain.source_facts import Reachability
from shared.domain.transition import SYSTEM
from shared.errors import CatalogProblem
from shared.operations.facts_reading import REPOSITORY, read_facts
from shared.units import format_instant

_EXIT_CODES = {Colour.GREEN: 0, Colour.YELLOW: 0, Colour.RED: 1, Colour.UNKNOWN: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """How one source stands: the verdict, the numbers, and what they were made from.

    Attributes:
        facts: None where the catalog could not be read.
        incident: The one that is open, as the watch saw it last.
        phases: Seconds by phase of the last restore test that passed.
    """

    source: Source
    health: Health
    standing: Standing
    facts: SourceFacts | None
    phases: Mapping[str, float]
    incident: Incident | None = None

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types; null is what nobody knows."""
        standing, facts = self.standing, self.facts
        passed, newest = standing.last_passed, facts.newest if facts else None
        return {
            "source": self.source.name,
            "health": self.health.colour.value,
            "reasons": [reason_document(reason) for reason in self.health.reasons],
            "incident": _incident_document(self.incident),
            "exposure_seconds": _seconds(standing.exposure),
            "proven_exposure_seconds": _seconds(standing.proven_exposure),
            "recovery_time_seconds": passed.recovery_time_seconds if passed else None,
            "rpo_met": standing.rpo_met,
            "proven_met": standing.proven_met,
            "rto_met": standing.rto_met,
            "backup_time_met": standing.backup_time_met,
            "restore_time_met": standing.restore_time_met,
            "success_rate_met": standing.success_met,
            "newest_backup_id": newest.backup_id if newest else None,
            "newest_recovery_point_at": _instant(newest.recovery_point_at if newest else None),
            "newest_proven_backup_id": facts.proven.backup_id if facts and facts.proven else None,
            "proven_at": _instant(facts.proven.tested_at if facts and facts.proven else None),
            "backup_seconds": _seconds(standing.backup_time),
            "dumped_bytes": newest.dumped_bytes if newest else None,
            "stored_bytes": facts.stored_bytes if facts else None,
            "backup_count": facts.backup_count if facts else None,
            "failures_since_complete": facts.failures_since_complete if facts else None,
            "recovery_phases": dict(self.phases),
            "recovery_prediction": _prediction_document(standing),
            "lost_rows": standing.lost_rows,
            "success": {"30d": _success_document(standing.success_30), "90d": _success_document(standing.success_90)},
            "objectives": _objectives_document(self.source),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """How all sources stand.

    Attributes:
        at: For which instant.
        sources: By name.
        unconfigured: Those the catalog knows and the configuration does not; they are shown and not judged.
        catalog_error: Why nothing is known, or empty.
        own_incident: Goldcopy's own trouble, such as a channel that reaches nobody, as the watch saw it last. It says
            nothing about backups, so it changes neither colour nor exit code.
        watched_at: When the watch looked last; None where it never did, or where nobody knows.
    """

    at: datetime
    sources: tuple[SourceReport, ...]
    unconfigured: tuple[SourceStatusRow, ...] = ()
    catalog_error: str = ""
    own_incident: Incident | None = None
    watched_at: datetime | None = None

    @property
    def healths(self) -> tuple[Health, ...]:
        """The verdicts alone."""
        return tuple(report.health for report in self.sources)

    @property
    def colour(self) -> Colour:
        """The worst of all; without a source nothing is protected, and nobody knows what should be."""
        return worst(health.colour for health in self.healths)

    @property
    def exit_code(self) -> int:
        """0 where all are green or yellow, 1 where one is red, 3 where one is unknown and none red."""
        return _EXIT_CODES[self.colour]

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "at": format_instant(self.at),
            "health": self.colour.value,
            "counts": {colour.value: sum(item.colour is colour for item in self.healths) for colour in Colour},
            "catalog_error": self.catalog_error or None,
            "watched_at": _instant(self.watched_at),
            "own_trouble": self._own_document(),
            "sources": [report.document() for report in self.sources],
            "not_configured": [
                {
                    "source": row.source,
                    "backup_count": row.backup_count,
                    "newest_recovery_point_at": _instant(row.newest_complete_at),
                    "stored_bytes": row.stored_bytes,
                }
                for row in self.unconfigured
            ],
        }

    def _own_document(self) -> dict[str, Any] | None:
        incident = self.own_incident
        if incident is None:
            return None
        reasons = [reason_document(reason) for reason in incident.reasons]
        return {"health": incident.colour.value, "reasons": reasons, "incident": _incident_document(incident)}


def read_status(
    catalog: Catalog,
    sources: Mapping[str, Source],
    now: datetime,
    *,
    only: Iterable[str] | None = None,
    repository: Reachability | None = None,
    unknown_backups: Mapping[str, str] | None = None,
) -> StatusReport:
    """Judge sources by what the catalog knows.

    Args:
        catalog: The metadata store.
        sources: All that are configured, by name.
        now: Aware instant to judge for.
        only: Judge only these of them.
        repository: What the repository answered just now; without it what was found out last counts.
        unknown_backups: Backups that only the repository knows, by source, where somebody looked for them.

    Raises:
        CatalogProblem: The catalog cannot be read; `unknown_status` is what is left to say then.
    """
    chosen = [sources[name] for name in sorted(sources if only is None else only)]
    reaches = {REPOSITORY: repository} if repository else None
    known = read_facts(catalog, chosen, now, reaches=reaches, unknown_backups=unknown_backups)
    facts = known.facts
    success = _success(catalog, now)
    none = (SuccessRate(), SuccessRate())
    standings = {
        source.name: measure(source, facts[source.name], now, success=success.get(source.name, none))
        for source in chosen
    }
    passed = {name: standing.last_passed.id for name, standing in standings.items() if standing.last_passed}
    phases = catalog.phases_of_tests(passed.values())
    incidents = {incident.source: incident for incident in catalog.incidents(open_only=True)}
    return StatusReport(
        at=now,
        sources=tuple(
            SourceReport(
                source=source,
                health=evaluate(source, facts[source.name], now),
                standing=standings[source.name],
                facts=facts[source.name],
                phases=phases.get(passed.get(source.name, ""), {}),
                incident=incidents.get(source.name),
            )
            for source in chosen
        ),
        unconfigured=known.beside(sources) if only is None else (),
        own_incident=incidents.get(SYSTEM),
        watched_at=catalog.watched_at(),
    )


def unknown_status(
    sources: Mapping[str, Source], now: datetime, error: CatalogProblem, *, only: Iterable[str] | None = None
) -> StatusReport:
    """Say that nothing is known of any source, because the catalog cannot be read."""
    return StatusReport(
        at=now,
        sources=tuple(
            SourceReport(
                source=sources[name],
                health=evaluate(sources[name], None, now),
                standing=Standing(),
                facts=None,
                phases={},
            )
            for name in sorted(sources if only is None else only)
        ),
        catalog_error=error.message,
    )


def reason_document(reason: Reason) -> dict[str, Any]:
    """Return one reason in JSON's own types."""
    return {
        "code": str(reason.code),
        "colour": reason.colour.value,
        "sentence": reason.sentence,
        "action": reason.action,
        "since": _instant(reason.since),
    }


def _incident_document(incident: Incident | None) -> dict[str, Any] | None:
    if incident is None:
        return None
    taken = incident.acknowledgement
    return {
        "id": incident.id,
        "opened_at": format_instant(incident.opened_at),
        "acknowledged_by": taken.by if taken else None,
        "acknowledged_at": format_instant(taken.at) if taken else None,
        "acknowledged_reason": taken.reason if taken else None,
    }


def _success(catalog: Catalog, now: datetime) -> dict[str, tuple[SuccessRate, SuccessRate]]:
    """Count backups of the last 30 and of the last 90 days, today included."""
    today = now.astimezone(UTC).date()
    counts = catalog.backup_counts(since=today - timedelta(days=89), recent_since=today - timedelta(days=29))
    return {
        source: (
            SuccessRate(ok=count.recent_ok, failed=count.recent_failed),
            SuccessRate(ok=count.ok, failed=count.failed),
        )
        for source, count in counts.items()
    }


def _prediction_document(standing: Standing) -> dict[str, Any] | None:
    predicted = standing.predicted
    if predicted is None:
        return None
    return {
        "seconds": predicted.seconds,
        "low_seconds": predicted.low_seconds,
        "high_seconds": predicted.high_seconds,
        "for_bytes": predicted.dumped_bytes,
        "tests": predicted.tests,
        "last_tested_at": _instant(predicted.last_tested_at),
        "calibration": {
            "inside": standing.calibration.inside,
            "predicted": standing.calibration.predicted,
            "ratio": standing.calibration.ratio,
        },
    }


def _success_document(rate: SuccessRate) -> dict[str, Any]:
    return {"ok": rate.ok, "failed": rate.failed, "ratio": rate.ratio}


def _objectives_document(source: Source) -> dict[str, Any]:
    agreed = source.objectives
    return {
        "rpo_seconds": agreed.rpo.total_seconds(),
        "grace_seconds": source.schedule.grace.total_seconds(),
        "proven_seconds": agreed.proven.total_seconds(),
        "rto_seconds": agreed.rto.total_seconds(),
        "backup_time_seconds": agreed.backup_time.total_seconds(),
        "restore_time_seconds": agreed.restore_time.total_seconds(),
        "success_rate": agreed.success_rate,
    }


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
