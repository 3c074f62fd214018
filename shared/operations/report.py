"""Make a compliance report: read what was recorded of a period, judge it, print it, and record that it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from shared.catalog.engine import Catalog
from shared.domain.compliance import ComplianceReport, judge_period
from shared.domain.compliance_facts import PeriodFacts, RepositoryFact, SourceRecord
from shared.domain.control import Status
from shared.domain.period import Period
from shared.domain.source import Source
from shared.errors import StoreProblem, UsageProblem
from shared.operations.watch_events import REPORT_MADE
from shared.reports.printing import DIGESTS, ReportFile, print_report, report_name
from shared.units import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """Which report is wanted.

    Attributes:
        period: What it is about.
        policies: The configured sources by name.
        repository: Where backups are kept, as configured.
        source: Only this one; None for all.
        organisation: Whose; printed at the top.
    """

    period: Period
    policies: Mapping[str, Source]
    repository: RepositoryFact
    source: str | None = None
    organisation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A report that was made.

    Attributes:
        name: Of its folder.
        folder: Where it was written; None where it was only made.
    """

    name: str
    report: ComplianceReport
    files: tuple[ReportFile, ...]
    folder: Path | None = None

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        report = self.report
        return {
            "name": self.name,
            "period": report.period.label,
            "judged_until": format_instant(report.until),
            "finding": report.finding,
            "notes": list(report.notes),
            "controls": [
                {
                    "id": item.control.id,
                    "title": item.control.title,
                    "status": item.status.value,
                    "summary": item.summary,
                    "supports": list(item.control.supports),
                    "exceptions": item.exceptions,
                    "not_measured": len(item.deviations) - item.exceptions,
                }
                for item in report.controls
            ],
            "folder": str(self.folder) if self.folder else None,
            "files": [{"name": item.name, "bytes": len(item.data), "sha256": item.sha256} for item in self.files],
        }

    @property
    def is_good(self) -> bool:
        """Whether no control was found not met."""
        return not self.report.count(Status.NOT_MET)


def make_report(catalog: Catalog, request: ReportRequest, now: datetime) -> ReportResult:
    """Read, judge and print. Nothing is written and nothing recorded.

    Args:
        catalog: What was recorded; reading suffices.
        request: Which report.
        now: Aware instant; matters only where the period is not over.

    Raises:
        UsageProblem: The period has not begun, or there is no such source.
    """
    if request.period.begins_at >= now:
        raise UsageProblem(f"{request.period.title} has not begun", hint="Name a period that has.")
    report = judge_period(read_facts(catalog, request, now))
    return ReportResult(name=report_name(report, request.source), report=report, files=print_report(report))


def save_report(catalog: Catalog, made: ReportResult, folder: Path, now: datetime) -> ReportResult:
    """Write a report below a folder and record that it was made; the digests come last.

    Raises:
        StoreProblem: The folder cannot be written.
    """
    target = folder / made.name
    try:
        for item in made.files:
            _write(target / item.name, item.data)
    except OSError as error:
        raise StoreProblem(
            f"the report cannot be written to {target}: {error.strerror}",
            hint="Choose another folder with --to, or set reports.folder.",
        ) from error
    digests = next(item for item in made.files if item.name == DIGESTS)
    catalog.append_audit(
        actor=catalog.actor,
        action=REPORT_MADE,
        object_name=made.name,
        details={
            "period": made.report.period.title,
            "finding": made.report.finding,
            "folder": str(target),
            "sha256": digests.sha256,
        },
        now=now,
    )
    return replace(made, folder=target)


def read_facts(catalog: Catalog, request: ReportRequest, now: datetime) -> PeriodFacts:
    """Read what a report is judged from; nothing later than the end of its period.

    Raises:
        UsageProblem: There is no such source.
    """
    period, only = request.period, request.source
    until = min(period.ends_at, now)
    begins_at = period.begins_at
    first_records = catalog.first_records()
    names = _names(request, first_records)
    attempts = catalog.attempts_of_period(begins_at, until, only)
    tests = catalog.tests_of_period(begins_at, until, only)
    expiries = catalog.expiries_of_period(begins_at, until, only)
    verifications = catalog.verifications_of_period(begins_at, until)
    vanished = catalog.vanished(until)
    records = tuple(
        SourceRecord(
            name=name,
            policy=request.policies.get(name),
            first_record_at=first_records.get(name),
            attempts=attempts.get(name, ()),
            tests=tests.get(name, ()),
            verifications=tuple(item for item in verifications if item.source in {"", name}),
            expiries=expiries.get(name, ()),
            removed={
                item.backup_id: vanished[item.backup_id]
                for item in attempts.get(name, ())
                if item.backup_id in vanished
            },
        )
        for name in names
    )
    return PeriodFacts(
        organisation=request.organisation,
        period=period,
        until=until,
        sources=records,
        watched_since=catalog.watched_since(),
        unwatched=catalog.unwatched(begins_at, until),
        incidents=catalog.incidents_of_period(begins_at, until, only),
        actions=catalog.actions_of_period(begins_at, until),
        trail=catalog.trail_until(until),
        repository=request.repository,
    )


def _names(request: ReportRequest, known: Mapping[str, datetime]) -> Sequence[str]:
    if request.source is None:
        return sorted({*request.policies, *known})
    if request.source not in request.policies and request.source not in known:
        raise UsageProblem(
            f"there is no source {request.source!r}",
            hint=f"Known sources: {', '.join(sorted({*request.policies, *known})) or 'none yet'}.",
        )
    return [request.source]


def _write(path: Path, data: bytes) -> None:
    """Put a file in place at once, so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        passing.write_bytes(data)
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
