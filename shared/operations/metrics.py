"""What a monitoring system may read of a status: one number per source and question. docs/metrics.md lists them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from shared.domain.health import Colour
from shared.domain.metrics_text import Metric, Sample, render_metrics
from shared.domain.source_facts import Reachability
from shared.operations.status import SourceReport, StatusReport

_Value = Callable[[SourceReport], float | None]


def metrics_of(report: StatusReport, *, version: str, repository: Reachability | None = None) -> tuple[Metric, ...]:
    """Return the metrics of a status; what nobody knows is left out, so that no alert takes it for zero.

    Args:
        report: How the sources stand.
        version: Of Goldcopy.
        repository: What the repository answered, where it was asked just now.
    """
    return (*_general(report, version, repository), *_by_source(report.sources), *_labelled(report.sources))


def metrics_text(report: StatusReport, *, version: str, repository: Reachability | None = None) -> str:
    """Return the metrics of a status in Prometheus' text format."""
    return render_metrics(metrics_of(report, version=version, repository=repository))


def _general(report: StatusReport, version: str, repository: Reachability | None) -> Iterator[Metric]:
    yield Metric(
        name="goldcopy_build_info",
        help="Version of Goldcopy, always 1",
        samples=(Sample(value=1, labels={"version": version}),),
    )
    yield Metric(
        name="goldcopy_status_timestamp_seconds",
        help="When these numbers were read, in seconds since 1970",
        samples=(Sample(value=report.at.timestamp()),),
    )
    yield Metric(
        name="goldcopy_catalog_readable",
        help="Whether the catalog could be read (1) or nothing is known of any source (0)",
        samples=(Sample(value=not report.catalog_error),),
    )
    if repository is not None and repository.is_reachable is not None:
        yield Metric(
            name="goldcopy_repository_reachable",
            help="Whether the repository answered when it was asked just now",
            samples=(Sample(value=repository.is_reachable),),
        )
    counts = {colour: sum(health.colour is colour for health in report.healths) for colour in Colour}
    yield Metric(
        name="goldcopy_sources",
        help="Configured sources by health",
        samples=tuple(Sample(value=count, labels={"health": colour.value}) for colour, count in counts.items()),
    )


def _by_source(sources: Iterable[SourceReport]) -> Iterator[Metric]:
    """Metrics with one number for each source."""
    reports = list(sources)
    for name, words, value in _ONE_NUMBER:
        found = ((report.source.name, value(report)) for report in reports)
        yield Metric(
            name=f"goldcopy_source_{name}",
            help=words,
            samples=tuple(
                Sample(value=number, labels={"source": source}) for source, number in found if number is not None
            ),
        )


def _labelled(sources: Iterable[SourceReport]) -> Iterator[Metric]:
    """Metrics with several numbers for each source."""
    reports = list(sources)
    for name, words, rows in _SEVERAL_NUMBERS:
        yield Metric(
            name=f"goldcopy_source_{name}",
            help=words,
            samples=tuple(
                Sample(value=value, labels={"source": report.source.name, **labels})
                for report in reports
                for labels, value in rows(report)
            ),
        )


def _exposure(report: SourceReport) -> float | None:
    return report.standing.exposure.total_seconds() if report.standing.exposure is not None else None


def _proven_exposure(report: SourceReport) -> float | None:
    exposure = report.standing.proven_exposure
    return exposure.total_seconds() if exposure is not None else None


def _newest_at(report: SourceReport) -> float | None:
    return _timestamp(report.facts.newest.recovery_point_at if report.facts and report.facts.newest else None)


def _proven_at(report: SourceReport) -> float | None:
    return _timestamp(report.facts.proven.recovery_point_at if report.facts and report.facts.proven else None)


def _tested_at(report: SourceReport) -> float | None:
    return _timestamp(report.facts.last_test.finished_at if report.facts and report.facts.last_test else None)


def _backup_seconds(report: SourceReport) -> float | None:
    took = report.standing.backup_time
    return took.total_seconds() if took is not None else None


def _recovery_seconds(report: SourceReport) -> float | None:
    passed = report.standing.last_passed
    return passed.recovery_time_seconds if passed else None


def _predicted(report: SourceReport) -> float | None:
    return report.standing.predicted.seconds if report.standing.predicted else None


def _predicted_high(report: SourceReport) -> float | None:
    return report.standing.predicted.high_seconds if report.standing.predicted else None


def _dumped_bytes(report: SourceReport) -> float | None:
    return report.facts.newest.dumped_bytes if report.facts and report.facts.newest else None


def _stored_bytes(report: SourceReport) -> float | None:
    return report.facts.stored_bytes if report.facts else None


def _backup_count(report: SourceReport) -> float | None:
    return report.facts.backup_count if report.facts else None


def _failures(report: SourceReport) -> float | None:
    return report.facts.failures_since_complete if report.facts else None


def _lost_rows(report: SourceReport) -> float | None:
    return report.standing.lost_rows


_ONE_NUMBER: tuple[tuple[str, str, _Value], ...] = (
    ("exposure_seconds", "Age of the newest complete backup, from its snapshot on", _exposure),
    ("proven_exposure_seconds", "Age of the newest proven backup, from its snapshot on", _proven_exposure),
    ("newest_backup_timestamp_seconds", "Recovery point of the newest complete backup", _newest_at),
    ("newest_proven_timestamp_seconds", "Recovery point of the newest proven backup", _proven_at),
    ("last_restore_test_timestamp_seconds", "When the last restore test ended, whatever its outcome", _tested_at),
    ("last_backup_duration_seconds", "How long the newest complete backup took", _backup_seconds),
    ("last_recovery_duration_seconds", "Time to recover in the last restore test that passed", _recovery_seconds),
    ("predicted_recovery_seconds", "Predicted time to recover today's size", _predicted),
    ("predicted_recovery_high_seconds", "Upper end of the interval of that prediction", _predicted_high),
    ("last_backup_dumped_bytes", "Uncompressed size of the newest complete backup", _dumped_bytes),
    ("stored_bytes", "What all backups of the source take in the repository", _stored_bytes),
    ("complete_backups", "Complete backups that are kept", _backup_count),
    ("failures_since_complete", "Failed attempts since the newest complete backup", _failures),
    ("lost_rows", "Rows dumped less rows proven in the last decisive restore test", _lost_rows),
)

_Rows = Iterable[tuple[dict[str, str], float]]


def _health_rows(report: SourceReport) -> _Rows:
    return [({"health": colour.value}, float(report.health.colour is colour)) for colour in Colour]


def _reason_rows(report: SourceReport) -> _Rows:
    # Several anomalies are one code: labels must not repeat.
    found = {(str(reason.code), reason.colour) for reason in report.health.reasons}
    return [({"code": code, "colour": colour.value}, 1.0) for code, colour in sorted(found)]


def _objective_rows(report: SourceReport) -> _Rows:
    agreed, grace = report.source.objectives, report.source.schedule.grace
    return [
        ({"objective": "rpo"}, agreed.rpo.total_seconds()),
        ({"objective": "rpo_with_grace"}, (agreed.rpo + grace).total_seconds()),
        ({"objective": "proven"}, agreed.proven.total_seconds()),
        ({"objective": "rto"}, agreed.rto.total_seconds()),
        ({"objective": "backup_time"}, agreed.backup_time.total_seconds()),
        ({"objective": "restore_time"}, agreed.restore_time.total_seconds()),
    ]


def _met_rows(report: SourceReport) -> _Rows:
    standing = report.standing
    met = {
        "rpo": standing.rpo_met,
        "proven": standing.proven_met,
        "rto": standing.rto_met,
        "backup_time": standing.backup_time_met,
        "restore_time": standing.restore_time_met,
        "success_rate": standing.success_met,
    }
    return [({"objective": name}, float(value)) for name, value in met.items() if value is not None]


def _phase_rows(report: SourceReport) -> _Rows:
    return [({"phase": phase}, seconds) for phase, seconds in report.phases.items()]


def _backup_rows(report: SourceReport) -> _Rows:
    windows = (("30d", report.standing.success_30), ("90d", report.standing.success_90))
    return [
        ({"window": window, "outcome": outcome}, float(count))
        for window, rate in windows
        if report.facts is not None
        for outcome, count in (("ok", rate.ok), ("failed", rate.failed))
    ]


_SEVERAL_NUMBERS: tuple[tuple[str, str, Callable[[SourceReport], _Rows]], ...] = (
    ("health", "1 for the health that the source has, 0 for the others", _health_rows),
    ("reason", "Why the source has its health; see docs/health.md for the codes", _reason_rows),
    ("objective_seconds", "What was agreed", _objective_rows),
    ("objective_met", "Whether it is kept; no sample where nobody knows", _met_rows),
    ("last_recovery_phase_seconds", "The last restore test that passed, by phase; prove is no part of it", _phase_rows),
    ("backups", "Backups that began within a window of days, by outcome", _backup_rows),
)


def _timestamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
