"""Facts of a source in good order, to be changed one at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.backup import BackupKind
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.domain.source_facts import ProvenPoint, RestorePoint, RestoreTestFact, SourceFacts

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
"""A Saturday; the daily backup was expected four hours ago, the weekly one last Sunday, the test on 30 October."""

APP = Source(name="app")
LAST_NIGHT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
LAST_SUNDAY = datetime(2026, 11, 15, 2, 0, tzinfo=UTC)
TEST_NIGHT = datetime(2026, 10, 30, 4, 0, tzinfo=UTC)
GB = 10**9


def restore_point(at: datetime = LAST_NIGHT, **changes: Any) -> RestorePoint:
    point = RestorePoint(
        backup_id=f"{at:%Y%m%dT%H%M%SZ}-app-7f3a",
        recovery_point_at=at,
        finished_at=at + timedelta(minutes=5),
        duration_seconds=300.0,
        dumped_bytes=GB,
        stored_bytes=GB // 5,
    )
    return replace(point, **changes)


def restore_test(at: datetime = TEST_NIGHT, outcome: Outcome = Outcome.PASSED, **changes: Any) -> RestoreTestFact:
    test = RestoreTestFact(
        id=f"rt-{at:%Y%m%dT%H%M%S}",
        backup_id=f"{at:%Y%m%d}T020000Z-app-7f3a",
        outcome=outcome,
        started_at=at,
        finished_at=at + timedelta(minutes=6),
        recovery_time_seconds=120.0,
        dumped_bytes=GB,
        rows_dumped=1000,
        rows_proven=1000,
        phases={"fetch": 20.0, "restore_data": 100.0, "prove": 240.0},
    )
    return replace(test, **changes)


def good_facts(**changes: Any) -> SourceFacts:
    test = restore_test()
    facts = SourceFacts(
        read_at=NOW,
        first_backup_at=NOW - timedelta(days=200),
        newest=restore_point(),
        last_completed_at=restore_point().finished_at,
        proven=ProvenPoint(
            backup_id=test.backup_id, recovery_point_at=TEST_NIGHT - timedelta(hours=2), tested_at=test.finished_at
        ),
        last_started={BackupKind.DAILY: LAST_NIGHT, BackupKind.WEEKLY: LAST_SUNDAY},
        tests=(test,),
        last_test=test,
        last_decisive=test,
        last_verified_at=NOW - timedelta(days=3),
        last_verified_outcome=Outcome.PASSED,
        last_verified_whole_at=NOW - timedelta(days=3),
        backup_count=12,
        stored_bytes=GB,
    )
    return replace(facts, **changes)
