"""Generated history keeps the product's own promises: at no instant was the newest complete or proven backup let go."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.catalog.connection import open_database
from shared.catalog.engine import open_catalog
from shared.catalog.models import BACKUP, CLEANUP_ACTION
from shared.demo.generated_history import HistoryShape, fill_catalog
from shared.domain.compliance_facts import RepositoryFact
from shared.domain.control import Status
from shared.domain.period import parse_period
from shared.domain.source import Source
from shared.operations.report import ReportRequest, make_report

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
# Without chance failures the month must come out clean: whatever is not met was made by the generator's own cleanup.
SHAPE = HistoryShape(sources=6, days=150, failed_ratio=0.0, troubled_ratio=0.0)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("generated") / "catalog.db"
    fill_catalog(f"sqlite:///{path}", NOW, SHAPE)
    return f"sqlite:///{path}"


def test_whatever_expired_there_was_a_newer_one_and_a_newer_proven_one(generated: str) -> None:
    database = open_database(generated)
    with database.reading() as connection:
        backups = connection.execute(select(BACKUP).where(BACKUP.c.recovery_point_at.is_not(None))).all()
        gone = {row.backup_id: row.planned_at for row in connection.execute(select(CLEANUP_ACTION))}
    database.close()
    assert gone.keys() == {row.id for row in backups if row.status == "expired"}
    assert any(row.proven_at for row in backups if row.id in gone)
    for row in (row for row in backups if row.id in gone):
        at = gone[row.id]
        newer = [item for item in backups if item.source == row.source and item.finished_at <= at]
        newer = [item for item in newer if item.recovery_point_at > row.recovery_point_at]
        assert newer, f"{row.id} was the newest complete backup when it expired"
        if row.proven_at:
            assert any(item.proven_at and item.proven_at <= at for item in newer), f"{row.id} was the newest proof"
        assert at <= NOW


def test_the_proofs_of_a_month_without_trouble_are_within_their_objective(generated: str) -> None:
    wanted = ReportRequest(
        period=parse_period("2026-10"),
        policies={name: Source(name=name) for name in SHAPE.names},
        repository=RepositoryFact(recipients=1),
    )
    with open_catalog(generated) as catalog:
        report = make_report(catalog, wanted, NOW).report

    answers = {item.control.id: item for item in report.controls}
    assert answers["proven-recovery-point"].summary == "Met for 6 of 6 sources."
    assert answers["retention"].status is answers["recovery-point"].status is Status.MET
