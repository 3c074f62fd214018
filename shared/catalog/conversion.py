"""Turn rows of the database into the records that leave the catalog."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from shared.catalog.records import (
    AuditRow,
    BackupRow,
    CleanupActionRow,
    CleanupState,
    DayRow,
    HoldRow,
    RestoreTestRow,
    RunRow,
    RunState,
    SourceStatusRow,
    VerificationRow,
)
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity

Record = TypeVar("Record")
Row = Mapping[Any, Any]

NOT_MEASURED = "not_measured"


def simple_record(record: type[Record], row: Row, /, **changed: object) -> Record:
    """Build a record from the columns that bear its fields' names; `changed` replaces some."""
    names = [item.name for item in fields(record)]  # type: ignore[arg-type]  # always one of our dataclasses
    return record(**{name: changed[name] if name in changed else row[name] for name in names})


def optional_outcome(text: str) -> Outcome | None:
    """Read an outcome; empty text stands for none."""
    return Outcome(text) if text else None


def backup_record(row: Row) -> BackupRow:
    """Build a backup from its row, which carries `held` besides the table's columns."""
    return simple_record(
        BackupRow,
        row,
        kind=BackupKind(row["kind"]),
        status=BackupStatus(row["status"]),
        warnings=tuple(row["warnings"]),
        excluded=tuple(Exclusion(**item) for item in row["excluded"]),
        test_outcome=optional_outcome(row["test_outcome"]),
        held=bool(row["held"]),
    )


def run_record(row: Row) -> RunRow:
    """Build a run."""
    return simple_record(RunRow, row, state=RunState(row["state"]))


def hold_record(row: Row) -> HoldRow:
    """Build a hold."""
    return simple_record(HoldRow, row)


def cleanup_record(row: Row) -> CleanupActionRow:
    """Build a cleanup action."""
    return simple_record(CleanupActionRow, row, state=CleanupState(row["state"]))


def audit_record(row: Row) -> AuditRow:
    """Build an audit entry."""
    return simple_record(AuditRow, row)


def status_record(row: Row) -> SourceStatusRow:
    """Build a source's status."""
    return simple_record(
        SourceStatusRow,
        row,
        last_test_outcome=optional_outcome(row["last_test_outcome"]),
        last_verified_outcome=optional_outcome(row["last_verified_outcome"]),
    )


def day_record(row: Row) -> DayRow:
    """Build a day of one source, or of the fleet where the row has no source."""
    return simple_record(DayRow, row, source=row.get("source", ""))


def restore_test_record(row: Row, findings: list[Row]) -> RestoreTestRow:
    """Build a restore test from its row and its findings' rows."""
    measured = [item for item in findings if item["severity"] != NOT_MEASURED]
    missing = [item for item in findings if item["severity"] == NOT_MEASURED]
    return simple_record(
        RestoreTestRow,
        row,
        outcome=optional_outcome(row["outcome"]),
        findings=tuple(
            Finding(
                check=item["check_name"],
                severity=Severity(item["severity"]),
                object=item["object_name"],
                message=item["message"],
                hint=item["hint"],
            )
            for item in measured
        ),
        not_measured=tuple(
            NotMeasured(check=item["check_name"], object=item["object_name"], reason=item["message"])
            for item in missing
        ),
    )


def verification_record(row: Row) -> VerificationRow:
    """Build a verify run."""
    return simple_record(
        VerificationRow,
        row,
        outcome=Outcome(row["outcome"]),
        findings=tuple(Finding(**{**item, "severity": Severity(item["severity"])}) for item in row["findings"]),
        not_measured=tuple(NotMeasured(**item) for item in row["not_measured"]),
    )


def finding_rows(findings: tuple[Finding, ...], not_measured: tuple[NotMeasured, ...]) -> list[dict[str, str]]:
    """Return findings and gaps as rows of one table, in order."""
    found = [
        {
            "check_name": item.check,
            "severity": item.severity.value,
            "object_name": item.object,
            "message": item.message,
            "hint": item.hint,
        }
        for item in findings
    ]
    missing = [
        {
            "check_name": item.check,
            "severity": NOT_MEASURED,
            "object_name": item.object,
            "message": item.reason,
            "hint": "",
        }
        for item in not_measured
    ]
    return found + missing


def plain_items(items: tuple[Finding, ...] | tuple[NotMeasured, ...]) -> list[dict[str, str]]:
    """Return findings or gaps as plain JSON values."""
    return [{name: str(value) for name, value in asdict(item).items()} for item in items]
