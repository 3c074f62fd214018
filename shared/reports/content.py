"""What a compliance report says: facts and answers put into headings, sentences and tables. Instants are UTC."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from shared.domain.action_words import action_words
from shared.domain.compliance import DISCLAIMER, ComplianceReport, SourceSummary
from shared.domain.compliance_facts import TestRecord
from shared.domain.control import ControlResult, Deviation, Status, deviations_sentence, plural
from shared.domain.period import format_second
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.domain.what_if import format_keep_rule
from shared.reports.layout import Cell, Column, Content, Section, Table
from shared.units import format_duration, format_instant

GLYPHS = {Status.MET: "✓", Status.NOT_MET: "✕", Status.NOT_MEASURED: "?"}
OUTCOMES = {Outcome.PASSED: Status.MET, Outcome.FAILED: Status.NOT_MET, Outcome.NOT_MEASURED: Status.NOT_MEASURED}
NONE = "–"


def compose(report: ComplianceReport) -> Content:
    """Put a report into words."""
    controls, exceptions = _controls(report.controls), _exceptions(report.controls)
    sources, agreed, tests = _sources(report.sources), _agreed(report.policies), _tests(report.tests)
    incidents, actions = _incidents(report), _actions(report)
    return Content(
        title=report.finding,
        facts=tuple(_facts(report)),
        notes=report.notes,
        disclaimer=DISCLAIMER,
        sections=(
            Section(title="Controls", table=controls),
            Section(title="Each control", parts=tuple(_control_part(item) for item in report.controls)),
            Section(title="Sources over the period", table=sources),
            Section(title="What was agreed", sentences=(_AGREED,), table=agreed),
            Section(title="Restore tests", sentences=(_TESTS,), table=tests),
            Section(title="Incidents", table=incidents),
            Section(title="Who did what", sentences=(_ACTIONS,), table=actions),
            Section(title="The audit trail", sentences=tuple(_trail(report))),
        ),
        tables=(controls, exceptions, sources, agreed, tests, incidents, actions),
    )


_AGREED = "As configured on the day this report was made. Objectives here are without the schedule's grace."
_TESTS = "Each was restored to a scratch server and compared with what the source held in the dump's own snapshot."
_ACTIONS = "Deeds of people from the audit trail; what schedules did is left out."


def status_cell(status: Status) -> Cell:
    """Return an answer as glyph and word; CSV gets the word."""
    return Cell(f"{GLYPHS[status]} {status}", status.value, status)


def _facts(report: ComplianceReport) -> Iterator[tuple[str, str]]:
    if report.organisation:
        yield "Organisation", report.organisation
    yield "Period", f"{format_instant(report.period.begins_at)} to {format_instant(report.period.ends_at)} (UTC)"
    yield "Judged until", format_second(report.until)
    yield "Sources judged", f"{len(report.policies):,}"
    yield (
        "Audit trail",
        f"{plural(report.trail.entry_count, 'entry', 'entries')}, last hash {report.trail.head_hash or NONE}",
    )


def _controls(controls: Sequence[ControlResult]) -> Table:
    return Table(
        name="controls",
        caption="Every control with its answer",
        columns=(
            Column("Answer", 1.3),
            Column("Control", 3.2),
            Column("Result", 3.6),
            Column("Exceptions", 1.0, is_number=True),
            Column("Not measured", 1.0, is_number=True),
            Column("Supports the audit of", 2.0),
        ),
        rows=tuple(
            (
                status_cell(item.status),
                Cell(item.control.title),
                Cell(item.summary),
                _number(item.exceptions),
                _number(len(item.deviations) - item.exceptions),
                Cell("; ".join(item.control.supports)),
            )
            for item in controls
        ),
    )


def _control_part(result: ControlResult) -> Section:
    sentences = [result.summary]
    if result.evidence:
        counted = "; ".join(f"{name}: {count:,}" for name, count in result.evidence)
        sentences.append(f"Counted: {counted}.")
    if result.control.limits:
        sentences.append(f"Limits: {result.control.limits}")
    table = None
    if any(item.source or item.is_measured for item in result.deviations):
        table = Table(
            name=f"exceptions-{result.control.id}",
            caption=f"{deviations_sentence(result.exceptions, len(result.deviations))}: {result.control.title}",
            columns=_EXCEPTION_COLUMNS,
            rows=tuple(_exception_row(item) for item in result.deviations),
        )
    return Section(title=result.control.title, status=result.status, sentences=tuple(sentences), table=table)


_EXCEPTION_COLUMNS = (
    Column("Kind", 1.2),
    Column("Source", 1.2),
    Column("Began", 1.6),
    Column("Object", 2.2),
    Column("What", 5.0),
)


def _exception_row(item: Deviation) -> tuple[Cell, ...]:
    return (
        Cell("exception" if item.is_measured else "not measured"),
        Cell(item.source or "all"),
        _instant(item.at),
        Cell(item.object or NONE),
        Cell(item.sentence),
    )


def _exceptions(controls: Iterable[ControlResult]) -> Table:
    rows = [(Cell(result.control.id), *_exception_row(item)) for result in controls for item in result.deviations]
    return Table(
        name="exceptions",
        caption="Every exception of every control, and why something was not measured",
        columns=(Column("Control"), *_EXCEPTION_COLUMNS),
        rows=tuple(rows),
    )


def _sources(sources: Sequence[SourceSummary]) -> Table:
    return Table(
        name="sources",
        caption="How every source stood",
        columns=(
            Column("Source", 1.6),
            Column("Judged from", 1.9),
            Column("Backups", 1.0, is_number=True),
            Column("Failed", 0.9, is_number=True),
            Column("Worst exposure", 1.3, is_number=True, unit="seconds"),
            Column("Limit", 0.9, is_number=True, unit="seconds"),
            Column("Worst proven exposure", 1.3, is_number=True, unit="seconds"),
            Column("Limit", 0.9, is_number=True, unit="seconds"),
            Column("Tests passed", 0.9, is_number=True),
            Column("Tests failed", 0.9, is_number=True),
            Column("Slowest recovery", 1.3, is_number=True, unit="seconds"),
            Column("Limit", 0.9, is_number=True, unit="seconds"),
        ),
        rows=tuple(_source_row(item) for item in sources),
        nothing="No source is configured.",
    )


def _source_row(item: SourceSummary) -> tuple[Cell, ...]:
    if item.judged_from is None:
        return (Cell(item.name), Cell("no record"), *(Cell(NONE) for _ in range(10)))
    return (
        Cell(item.name),
        _instant(item.judged_from),
        _number(item.completed),
        _number(item.failed),
        _exposure(item.worst_exposure, is_judged=item.is_exposure_judged),
        _span(item.rpo),
        _exposure(item.worst_proven, is_judged=item.is_proof_judged),
        _span(item.proven),
        _number(item.tests_passed),
        _number(item.tests_failed),
        _seconds(item.slowest_recovery_seconds),
        _span(item.rto),
    )


def _agreed(policies: Sequence[Source]) -> Table:
    return Table(
        name="agreed",
        caption="Schedules, retention and objectives as configured",
        columns=(
            Column("Source", 1.4),
            Column("Schedule", 2.6),
            Column("Retention", 3.2),
            Column("Recovery point", 1.1, is_number=True, unit="seconds"),
            Column("Proven", 1.0, is_number=True, unit="seconds"),
            Column("Recovery time", 1.1, is_number=True, unit="seconds"),
            Column("Success rate", 1.0, is_number=True),
        ),
        rows=tuple(
            (
                Cell(policy.name),
                Cell(
                    f"daily {policy.schedule.daily}; weekly {policy.schedule.weekly}; restore test "
                    f"{policy.schedule.restore_test} ({policy.schedule.timezone})"
                ),
                Cell("; ".join(f"{kind}: {format_keep_rule(rule)}" for kind, rule in policy.retention.items())),
                _span(policy.objectives.rpo),
                _span(policy.objectives.proven),
                _span(policy.objectives.rto),
                Cell(f"{policy.objectives.success_rate:.4g}", policy.objectives.success_rate),
            )
            for policy in policies
        ),
        nothing="No source is configured.",
    )


def _tests(tests: Sequence[TestRecord]) -> Table:
    return Table(
        name="restore-tests",
        caption="Every restore test that ended in the period",
        columns=(
            Column("Result", 1.3),
            Column("Ended", 1.7),
            Column("Source", 1.1),
            Column("Backup", 2.3),
            Column("Tables", 1.2, is_number=True),
            Column("Rows", 1.7, is_number=True),
            Column("Recovery", 1.1, is_number=True, unit="seconds"),
            Column("Postgres", 1.2),
            Column("Found", 2.2),
        ),
        rows=tuple(_test_row(item) for item in tests),
        nothing="No restore test ended in the period.",
    )


def _test_row(item: TestRecord) -> tuple[Cell, ...]:
    word = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.NOT_MEASURED: "not measured"}[item.outcome]
    found = list(item.findings)
    if item.not_measured:
        found.append(f"{plural(item.not_measured, 'thing')} could not be checked")
    return (
        Cell(f"{GLYPHS[OUTCOMES[item.outcome]]} {word}", word, OUTCOMES[item.outcome]),
        _instant(item.finished_at),
        Cell(item.source),
        Cell(item.backup_id),
        Cell(f"{item.tables_proven:,} of {item.tables_expected:,}"),
        Cell(f"{item.rows_proven:,} of {item.rows_expected:,}"),
        _seconds(item.recovery_time_seconds),
        Cell(f"{item.source_version} to {item.scratch_version}"),
        Cell("; ".join(found) or NONE),
    )


def _incidents(report: ComplianceReport) -> Table:
    return Table(
        name="incidents",
        caption="Incidents that were open in the period",
        columns=(
            Column("Incident", 1.3),
            Column("Opened", 1.7),
            Column("Worst", 0.9),
            Column("Cause", 1.5),
            Column("Taken up", 1.7),
            Column("By", 1.6),
            Column("Reason", 2.0),
            Column("Ended", 1.7),
        ),
        rows=tuple(
            (
                Cell(item.id),
                _instant(item.opened_at),
                Cell(item.worst),
                Cell(item.cause.replace("-", " ") or NONE, item.cause or None),
                _instant(item.acknowledged_at),
                Cell(item.acknowledged_by or NONE),
                Cell(item.reason or NONE),
                _instant(item.closed_at),
            )
            for item in report.incidents
        ),
        nothing="No incident was open in the period.",
    )


def _actions(report: ComplianceReport) -> Table:
    return Table(
        name="actions",
        caption="What people did",
        columns=(
            Column("Entry", 0.8, is_number=True),
            Column("When", 1.7),
            Column("Who", 1.9),
            Column("What", 1.7),
            Column("On", 2.3),
            Column("Why", 2.6),
        ),
        rows=tuple(
            (
                _number(item.seq),
                _instant(item.at),
                Cell(item.actor or NONE),
                Cell(action_words(item.action), item.action),
                Cell(item.object or NONE),
                Cell(item.reason or NONE),
            )
            for item in report.actions
        ),
        nothing="Nobody did anything by hand in the period.",
    )


def _trail(report: ComplianceReport) -> Iterator[str]:
    trail = report.trail
    yield f"{plural(trail.entry_count, 'entry', 'entries')} up to {format_second(report.until)}."
    yield f"Hash of the last of them: {trail.head_hash or NONE}."
    yield (
        "Keep this hash: every entry holds the hash of the one before it, so a trail that later has another hash at "
        "this entry was changed."
    )


def _number(value: int) -> Cell:
    return Cell(f"{value:,}", value)


def _instant(at: datetime | None) -> Cell:
    if at is None:
        return Cell(NONE)
    return Cell(f"{at:%Y-%m-%d %H:%M}", format_instant(at))


def _span(value: timedelta | None) -> Cell:
    return _seconds(None if value is None else value.total_seconds())


def _seconds(value: float | None) -> Cell:
    return Cell(NONE) if value is None else Cell(format_duration(value), round(value, 3))


def _exposure(value: timedelta | None, *, is_judged: bool) -> Cell:
    """Print an exposure; where there was nothing to restore it is beyond every number."""
    if value is None:
        return Cell("nothing to restore" if is_judged else NONE)
    return _span(value)
