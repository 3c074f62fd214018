"""The small tables say at every moment what the facts say, after any history of events."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.records import BackupRow, DayRow, SourceStatusRow, VerificationResult
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.errors import RetentionRefused, SourceUnreachable
from tests.support.catalogs import complete, make_id, make_manifest, make_object, prove

BEGIN = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SOURCES = ("app", "shop")
SUCCEEDED = {BackupStatus.COMPLETE, BackupStatus.EXPIRING, BackupStatus.EXPIRED}


class History:
    """Makes random events of all kinds, in a random but repeatable order; time goes on by some hours each."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.catalog = catalog
        self.random = random.Random(seed)
        self.now = BEGIN
        self.number = 0

    def step(self) -> None:
        self.now += timedelta(minutes=self.random.randrange(1, 600))
        self.number += 1
        events: list[Callable[[], None]] = [self._succeed, self._fail, self._test, self._damage, self._mend]
        events += [self._hold, self._release, self._expire, self._verify, self._odd, self._late, self._succeed]
        self.random.choice(events)()

    def _pick(self, *statuses: BackupStatus) -> BackupRow | None:
        rows = self.catalog.backups(self.random.choice(SOURCES), statuses=statuses)
        return self.random.choice(rows) if rows else None

    def _begin(self) -> tuple[str, str]:
        source = self.random.choice(SOURCES)
        backup_id = make_id(self.now, source, f"{self.number:04x}")
        self.catalog.backup_started(backup_id=backup_id, source=source, kind=BackupKind.DAILY, reason="", now=self.now)
        return source, backup_id

    def _succeed(self) -> None:
        source, _ = self._begin()
        self._complete(source, self.now, f"{self.number:04x}")

    def _complete(self, source: str, at: datetime, suffix: str) -> None:
        labels = self.random.sample(range(12), 3)
        objects = tuple(make_object(f"{source} {label}", source=source, stored_bytes=10 + label) for label in labels)
        new_bytes = self.random.randrange(1000)
        self.now += timedelta(minutes=self.random.randrange(1, 200))
        complete(
            self.catalog,
            make_manifest(at=at, source=source, suffix=suffix, objects=objects, new_bytes=new_bytes),
            self.now,
        )

    def _fail(self) -> None:
        _, backup_id = self._begin()
        self.now += timedelta(minutes=5)
        self.catalog.backup_failed(backup_id, SourceUnreachable(f"gone {self.number}", hint="x"), self.now)

    def _late(self) -> None:
        """A backup that was given up turns out to have its manifest."""
        if row := self._pick(BackupStatus.FAILED):
            self._complete(row.source, row.started_at, row.id.rpartition("-")[2])

    def _test(self) -> None:
        if row := self._pick(BackupStatus.COMPLETE):
            prove(self.catalog, row.id, self.random.choice(list(Outcome)), self.now, source=row.source)

    def _damage(self) -> None:
        if row := self._pick(BackupStatus.COMPLETE):
            key = self.random.choice(self.catalog.objects(row.id)).key
            self.catalog.mark_object_damaged(key, "gone", self.now)

    def _mend(self) -> None:
        for key in sorted(self.catalog.damaged_keys(self.random.choice(SOURCES)))[:2]:
            self.catalog.mark_object_sound(key, self.now)

    def _hold(self) -> None:
        if row := self._pick(BackupStatus.COMPLETE):
            self.catalog.place_hold(row.id, owner=self.random.choice("ab"), reason="r", now=self.now)

    def _release(self) -> None:
        if holds := self.catalog.holds_in_force():
            hold = self.random.choice(holds)
            self.catalog.release_hold(hold.backup_id, released_by="x", reason="r", now=self.now, owner=hold.owner)

    def _expire(self) -> None:
        row = self._pick(BackupStatus.COMPLETE, BackupStatus.EXPIRING)
        if row is None:
            return
        try:
            self.catalog.mark_expiring(row.id, "old", run=None, now=self.now)
        except RetentionRefused:
            return
        if self.random.random() < 0.7:
            keys = [item.key for item in self.catalog.unshared_objects(row.id)]
            self.catalog.record_objects_removed(row.id, keys, 1, self.now)
            self.catalog.record_expired(row.id, self.now)

    def _verify(self) -> None:
        source = self.random.choice(SOURCES)
        self.catalog.register_source(source, "postgres", self.now)
        outcome = self.random.choice(list(Outcome))
        result = VerificationResult(source=source, outcome=outcome, started_at=self.now, finished_at=self.now)
        self.catalog.record_verification(result, self.now)

    def _odd(self) -> None:
        if row := self._pick(BackupStatus.COMPLETE, BackupStatus.FAILED):
            self.catalog.record_anomaly(row.id, self.random.choice(["", "half as large as usual"]), self.now)


def expected_days(catalog: Catalog) -> dict[tuple[str, date], DayRow]:
    """Count the days in the plainest way there is."""
    days: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
    for row in catalog.backups(include_expired=True):
        counter = days[row.source, row.started_at.date()]
        if row.status in SUCCEEDED:
            counter.update(ok=1, bytes_ok=row.stored_bytes, new_bytes=row.new_bytes, anomaly=int(row.anomaly != ""))
        elif row.status is BackupStatus.FAILED:
            counter.update(failed=1)
    return {
        (source, day): DayRow(day=day, source=source, **counter)
        for (source, day), counter in days.items()
        if any(counter.values())
    }


def expected_status(catalog: Catalog, source: str) -> SourceStatusRow:
    """Find out where a source stands by looking at everything."""
    rows = catalog.backups(source, include_expired=True)
    complete_rows = [row for row in rows if row.status is BackupStatus.COMPLETE]
    good = [row for row in complete_rows if row.damaged_at is None]
    newest = max(good, key=_recovery_point, default=None)
    proven = max((row for row in good if row.proven_at), key=_recovery_point, default=None)
    failures = [row for row in rows if row.status is BackupStatus.FAILED]
    failed = failures[0] if failures else None
    came_through = max((row.started_at for row in rows if row.status in SUCCEEDED), default=None)
    tests = catalog.restore_tests(source)
    passed = next((test for test in tests if test.outcome is Outcome.PASSED), None)
    verified = next(iter(catalog.verifications(source)), None)
    stored = {item.key: item.stored_bytes for row in rows for item in catalog.objects(row.id)}
    return SourceStatusRow(
        source=source,
        newest_complete_id=newest.id if newest else "",
        newest_complete_at=newest.recovery_point_at if newest else None,
        newest_complete_finished_at=newest.finished_at if newest else None,
        newest_complete_seconds=newest.duration_seconds if newest else None,
        newest_complete_dumped_bytes=newest.dumped_bytes if newest else 0,
        newest_complete_stored_bytes=newest.stored_bytes if newest else 0,
        newest_proven_id=proven.id if proven else "",
        newest_proven_at=proven.recovery_point_at if proven else None,
        newest_proven_tested_at=proven.proven_at if proven else None,
        last_failure_id=failed.id if failed else "",
        last_failure_at=failed.started_at if failed else None,
        last_failure_code=failed.error_code if failed else None,
        last_failure_message=failed.error_message if failed else "",
        failures_since_complete=sum(came_through is None or row.started_at > came_through for row in failures),
        last_test_id=tests[0].id if tests else "",
        last_test_at=tests[0].finished_at if tests else None,
        last_test_outcome=tests[0].outcome if tests else None,
        last_passed_test_id=passed.id if passed else "",
        last_passed_test_at=passed.finished_at if passed else None,
        last_passed_test_dumped_bytes=91 if passed else 0,
        recovery_time_seconds=passed.recovery_time_seconds if passed else None,
        last_verified_at=verified.finished_at if verified else None,
        last_verified_outcome=verified.outcome if verified else None,
        last_verified_whole_at=verified.finished_at if verified else None,
        backup_count=len(complete_rows),
        held_count=sum(row.held for row in rows),
        damaged_count=sum(row.damaged_at is not None for row in complete_rows),
        stored_bytes=sum(stored.values()),
    )


def _recovery_point(row: BackupRow) -> tuple[datetime, str]:
    assert row.recovery_point_at is not None
    return row.recovery_point_at, row.id


def kept(catalog: Catalog) -> tuple[list[SourceStatusRow], tuple[DayRow, ...], tuple[DayRow, ...]]:
    since = BEGIN.date()
    statuses = [replace(row, updated_at=None) for row in catalog.source_statuses()]
    # A day that lost its last backup to nothing cannot be; a day whose counts became zero may stay as zeros.
    days = tuple(row for row in catalog.backup_days(since=since) if row.ok or row.failed)
    fleet = tuple(row for row in catalog.fleet_days(since=since) if row.ok or row.failed)
    return statuses, days, fleet


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_tables_follow_any_history(catalog: Catalog, seed: int) -> None:
    history = History(catalog, seed)
    for number in range(60):
        history.step()
        if number % 6:
            continue
        statuses, days, fleet = kept(catalog)
        assert statuses == [expected_status(catalog, row.name) for row in catalog.sources()]
        expected = expected_days(catalog)
        assert {(row.source, row.day): row for row in days} == expected
        for row in fleet:
            of_day = [item for (_, day), item in expected.items() if day == row.day]
            assert (row.ok, row.failed) == (sum(item.ok for item in of_day), sum(item.failed for item in of_day))
            assert (row.bytes_ok, row.new_bytes, row.anomaly) == (
                sum(item.bytes_ok for item in of_day),
                sum(item.new_bytes for item in of_day),
                sum(item.anomaly for item in of_day),
            )
    before = kept(catalog)
    catalog.recompute_rollups(history.now)
    assert kept(catalog) == before
    assert catalog.verify_audit_chain().is_intact


def test_history_reaches_every_kind_of_event(tmp_path: Path) -> None:
    """Guards the test above against becoming empty."""
    with open_catalog(f"sqlite:///{tmp_path}/catalog.db") as catalog:
        history = History(catalog, 1)
        for _ in range(120):
            history.step()
        actions = {entry.action for entry in catalog.audit_entries()}
    assert actions >= {
        "backup.complete",
        "backup.failed",
        "backup.expire",
        "backup.expired",
        "hold.place",
        "hold.release",
        "object.damaged",
        "object.sound",
        "restore-test.passed",
        "restore-test.failed",
        "restore-test.not_measured",
    }


def test_day_is_the_utc_day_on_which_the_backup_began(catalog: Catalog) -> None:
    for at in (datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)):
        complete(catalog, make_manifest(at=at))
    assert [(row.day, row.ok) for row in catalog.backup_days(since=BEGIN.date())] == [
        (date(2026, 11, 20), 1),
        (date(2026, 11, 21), 1),
    ]


def test_registered_source_without_a_backup_has_a_status(catalog: Catalog) -> None:
    catalog.register_source("app", "supabase", BEGIN)
    status = catalog.source_status("app")
    assert status == SourceStatusRow(source="app", updated_at=BEGIN)
    assert catalog.source_status("other") is None
