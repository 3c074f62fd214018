"""Years of history of many sources that never were: for benchmarks, and for a look at the app before there is any.

Nothing of it is real, and it says so: every backup's reason and tool version read `generated`. A catalog that holds
anything already is refused. The same shape and seed give the same rows.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Date, Table, func, insert, select
from sqlalchemy.types import JSON

from shared.catalog.columns import Instant
from shared.catalog.connection import Database, open_database
from shared.catalog.engine import open_catalog
from shared.catalog.models import (
    BACKUP,
    BACKUP_DAY,
    BACKUP_OBJECT,
    CLEANUP_ACTION,
    FLEET_DAY,
    RESTORE_TEST,
    SOURCE,
    SOURCE_STATUS,
    STORED_OBJECT,
    VERIFICATION,
)
from shared.catalog.records import CleanupState
from shared.catalog.rollups import source_status_values
from shared.domain.backup import BackupId, BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.errors import CatalogRefused

GENERATED = "generated"
_CHUNK = 20_000
_SIZE_MEDIAN_BYTES = 2_000_000_000
_BYTES_PER_SECOND = 60_000_000
_RESTORE_BYTES_PER_SECOND = 25_000_000
_KEPT = {BackupKind.DAILY: timedelta(days=7), BackupKind.WEEKLY: timedelta(days=28)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryShape:
    """How much history, and how it comes out.

    Attributes:
        sources: How many sources.
        days: How many days back each has daily backups.
        failed_ratio: Share of backups that fail.
        troubled_ratio: Share of sources that are in some trouble at the end.
        seed: Of all chance.
    """

    sources: int = 1_000
    days: int = 1_100
    failed_ratio: float = 0.004
    troubled_ratio: float = 0.03
    seed: int = 20261121

    @property
    def names(self) -> list[str]:
        """The names of the sources."""
        return [f"{GENERATED}-{number:04}" for number in range(self.sources)]


@dataclass(slots=True)
class GeneratedHistory:
    """What was written; also counts it while it is."""

    sources: int = 0
    backups: int = 0
    restore_tests: int = 0
    days: dict[tuple[str, date], dict[str, int]] = field(default_factory=dict, repr=False)


def fill_catalog(url: str, now: datetime, shape: HistoryShape | None = None) -> GeneratedHistory:
    """Fill an empty catalog with generated history.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`; made where it is not there.
        now: Aware instant at which the history ends.
        shape: How much of it.

    Raises:
        CatalogRefused: The catalog holds something already.
    """
    open_catalog(url).close()
    database = open_database(url)
    try:
        return _fill(database, now, shape or HistoryShape())
    finally:
        database.close()


def configuration_text(catalog_url: str, shape: HistoryShape) -> str:
    """Return a `goldcopy.toml` that names the generated sources; no address in it leads anywhere."""
    head = f'[catalog]\nurl = "{catalog_url}"\n\n[repository]\nrecipients = ["{_NOBODY}"]\n'
    return head + "".join(
        f'\n[sources.{name}]\nurl = "postgresql://nobody@generated.invalid:5432/{name}"\n' for name in shape.names
    )


_NOBODY = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"


def _fill(database: Database, now: datetime, shape: HistoryShape) -> GeneratedHistory:
    made = GeneratedHistory(sources=shape.sources)
    with database.writing() as connection:
        if connection.execute(select(func.count()).select_from(SOURCE)).scalar_one():
            raise CatalogRefused(
                f"the catalog {database.label} is not empty", hint="Generated history needs a catalog of its own."
            )
        began = now - timedelta(days=shape.days)
        known = ({"name": name, "kind": "postgres", "registered_at": began} for name in shape.names)
        _write(connection, SOURCE, known)
        # Tests refer to backups, and there are few of them: they wait until all backups are written.
        tests: list[dict[str, Any]] = []
        _write(connection, BACKUP, _backups(shape, now, made, tests))
        _write(connection, RESTORE_TEST, iter(tests))
        _write(connection, STORED_OBJECT, _objects(connection))
        named = select(STORED_OBJECT.c.first_backup_id, STORED_OBJECT.c.id)
        connection.execute(insert(BACKUP_OBJECT).from_select(["backup_id", "object_id"], named))
        for name in shape.names:
            _write(connection, CLEANUP_ACTION, _expiries(connection, name))
        made.restore_tests = len(tests)
        _write_days(connection, made)
        _write(connection, VERIFICATION, (_verification(name, now) for name in shape.names))
        for name in shape.names:
            connection.execute(insert(SOURCE_STATUS).values(**source_status_values(connection, name, now)))
    return made


def _verification(source: str, now: datetime) -> dict[str, Any]:
    """The last weekly verify run; it found everything whole."""
    began = now - timedelta(days=3)
    return {
        "source": source,
        "backup_id": "",
        "outcome": Outcome.PASSED.value,
        "started_at": began,
        "finished_at": began + timedelta(minutes=20),
    }


def _objects(connection: Connection) -> list[dict[str, Any]]:
    """One object stands for all that a kept backup added, so that sizes add up."""
    kept = select(BACKUP.c.id, BACKUP.c.source, BACKUP.c.stored_bytes, BACKUP.c.new_bytes)
    kept = kept.where(BACKUP.c.status == BackupStatus.COMPLETE.value).order_by(BACKUP.c.source, BACKUP.c.id)
    seen: set[str] = set()
    rows = []
    for backup in connection.execute(kept):
        rows.append(
            {
                "key": f"sources/{backup.source}/objects/00/{backup.id}",
                "source": backup.source,
                "stored_bytes": backup.new_bytes if backup.source in seen else backup.stored_bytes,
                "first_backup_id": backup.id,
            }
        )
        seen.add(backup.source)
    return rows


def _expiries(connection: Connection, source: str) -> list[dict[str, Any]]:
    """What expired, and freed what it had added.

    A list: while rows are copied into Postgres, its connection can read none.
    """
    names = ("id", "kind", "status", "recovery_point_at", "finished_at", "proven_at", "new_bytes")
    complete = select(*(BACKUP.c[name] for name in names)).where(BACKUP.c.recovery_point_at.is_not(None))
    complete = complete.where(BACKUP.c.source == source).order_by(BACKUP.c.recovery_point_at)
    backups = [dict(row) for row in connection.execute(complete).mappings()]
    return [
        {
            "backup_id": backup["id"],
            "source": source,
            "reason": GENERATED,
            "state": CleanupState.DONE.value,
            "freed_bytes": backup["new_bytes"],
            "planned_at": gone_at,
            "updated_at": gone_at,
        }
        for backup, gone_at in zip(backups, _expire_at(backups), strict=True)
        if gone_at is not None and backup["status"] == BackupStatus.EXPIRED.value
    ]


def _expire_at(backups: Sequence[Mapping[str, Any]]) -> list[datetime | None]:
    """Return when a cleanup would let each complete backup go, oldest first; None where one never could.

    The newest complete backup and the newest proven one stay, whatever their age, until there is a newer one: what was
    the newest then, not what is today.
    """
    found: list[datetime | None] = []
    next_complete: datetime | None = None
    next_proven: datetime | None = None
    for backup in reversed(backups):
        ends = [backup["recovery_point_at"] + _KEPT[BackupKind(backup["kind"])], next_complete]
        proven_at = backup.get("proven_at")
        if proven_at is not None:
            ends.append(next_proven)
            next_proven = min(proven_at, next_proven or proven_at)
        next_complete = min(backup["finished_at"], next_complete or backup["finished_at"])
        found.append(None if None in ends else max(at for at in ends if at is not None))
    return found[::-1]


def _backups(
    shape: HistoryShape, now: datetime, made: GeneratedHistory, tests: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for name in shape.names:
        story = _Story(shape, name, now)
        for row in story.backups():
            made.backups += 1
            _count(made, row)
            yield row
        tests += story.tests


class _Story:
    """What happened to one source."""

    def __init__(self, shape: HistoryShape, name: str, now: datetime) -> None:
        self._chance = random.Random(f"{shape.seed} {name}")  # noqa: S311 - chance, not secrecy
        self._shape, self._name, self._now = shape, name, now
        self._size = _SIZE_MEDIAN_BYTES * self._chance.lognormvariate(0, 1.2)
        self._growth = 1 + self._chance.uniform(0, 0.0015)
        self._minute = self._chance.randrange(90)
        is_troubled = self._chance.random() < shape.troubled_ratio
        self._trouble = self._chance.choice(["late", "failed-test", "failing", "unproven"]) if is_troubled else ""
        self.tests: list[dict[str, Any]] = []

    def backups(self) -> Iterator[dict[str, Any]]:
        """Yield its backups, oldest first, and remember their restore tests."""
        first = (self._now - timedelta(days=self._shape.days)).astimezone(UTC).date()
        rows = [row for number in range(self._shape.days + 1) if (row := self._backup(first + timedelta(days=number)))]
        self._expire(rows)
        return iter(rows)

    def _backup(self, day: date) -> dict[str, Any] | None:
        at = datetime.combine(day, time(2), UTC) + timedelta(minutes=self._minute, seconds=self._chance.random() * 60)
        self._size *= self._growth * self._chance.uniform(0.998, 1.002)
        seconds = self._size / _BYTES_PER_SECOND * self._chance.uniform(0.9, 1.2) + 2
        end = at + timedelta(seconds=seconds)
        age = self._now - at
        if end >= self._now or (self._trouble == "late" and age < timedelta(days=3)):
            return None
        row: dict[str, Any] = {
            "id": str(BackupId(at=at, source=self._name, suffix=f"{self._chance.randrange(16**4):04x}")),
            "source": self._name,
            "kind": (BackupKind.WEEKLY if day.weekday() == 6 else BackupKind.DAILY).value,
            "status": BackupStatus.COMPLETE.value,
            "reason": GENERATED,
            "tool_version": GENERATED,
            "started_at": at,
            "finished_at": end,
            "duration_seconds": seconds,
        }
        is_failing = self._trouble == "failing" and age < timedelta(days=2)
        if is_failing or self._chance.random() < self._shape.failed_ratio:
            failed = {"status": BackupStatus.FAILED.value, "error_code": 22, "error_message": "generated failure"}
            return row | failed
        return row | self._measures(at) | self._test(row["id"], at, day)

    def _measures(self, at: datetime) -> dict[str, Any]:
        stored = int(self._size * 0.22)
        return {
            "recovery_point_at": at + timedelta(seconds=1),
            "dumped_bytes": int(self._size),
            "stored_bytes": stored,
            "new_bytes": stored // 10,
            "table_count": 40,
            "row_count": int(self._size // 120),
            "object_count": 60,
            "server_version": "17.5",
            "client_version": "17.5",
            "durations": {"dump": self._size / _BYTES_PER_SECOND},
        }

    def _test(self, backup_id: str, at: datetime, day: date) -> dict[str, Any]:
        """Test the backup of the last Friday of each month, and say how it came out."""
        is_last_friday = day.weekday() == 4 and (day + timedelta(days=7)).month != day.month
        began = datetime.combine(day, time(5), UTC)
        if not is_last_friday or self._trouble == "unproven" or began + timedelta(hours=12) > self._now:
            return {}
        is_bad = self._trouble == "failed-test" and self._now - at < timedelta(days=36)
        outcome = Outcome.FAILED if is_bad or self._chance.random() < 0.003 else Outcome.PASSED
        fetch, data = 2 + self._size / 2e8, self._size / _RESTORE_BYTES_PER_SECOND * self._chance.uniform(0.85, 1.15)
        end = began + timedelta(seconds=min(fetch + data * 1.8, 36_000))
        self.tests.append(
            {
                "id": f"rt-{backup_id}",
                "backup_id": backup_id,
                "source": self._name,
                "picked": "newest",
                "outcome": outcome.value,
                "started_at": began,
                "finished_at": end,
                "phases": {"fetch": fetch, "restore_data": data, "prove": data * 0.8},
                "recovery_time_seconds": fetch + data,
                "tables_proven": 40,
                "rows_proven": int(self._size // 120),
                "source_version": "17.5",
                "scratch_version": "17.5",
                "tool_version": GENERATED,
            }
        )
        return {"proven_at": end if outcome is Outcome.PASSED else None, "test_outcome": outcome.value}

    def _expire(self, rows: list[dict[str, Any]]) -> None:
        """Let go what a policy would have let go by now."""
        complete = [row for row in rows if row["status"] == BackupStatus.COMPLETE.value]
        for row, gone_at in zip(complete, _expire_at(complete), strict=True):
            if gone_at is not None and gone_at < self._now:
                row["status"] = BackupStatus.EXPIRED.value


def _count(made: GeneratedHistory, row: dict[str, Any]) -> None:
    sums = {"ok": 0, "failed": 1, "bytes_ok": 0, "new_bytes": 0, "anomaly": 0}
    if row["status"] != BackupStatus.FAILED.value:
        sums |= {"ok": 1, "failed": 0, "bytes_ok": row["stored_bytes"], "new_bytes": row["new_bytes"]}
    made.days[(row["source"], row["started_at"].date())] = sums


def _write_days(connection: Connection, made: GeneratedHistory) -> None:
    fleet: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (_source, day), sums in made.days.items():
        for name, value in sums.items():
            fleet[day][name] += value
    _write(
        connection, BACKUP_DAY, ({"source": source, "day": day, **sums} for (source, day), sums in made.days.items())
    )
    _write(connection, FLEET_DAY, ({"day": day, **sums} for day, sums in fleet.items()))


def _write(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows past SQLAlchemy's own way, ten times as fast: a million of them in a minute or two."""
    columns = [column for column in table.columns if column.autoincrement is not True]
    is_sqlite = connection.dialect.name == "sqlite"
    ways = [(column.name, _default(column), _converter(column.type, is_sqlite=is_sqlite)) for column in columns]
    defaults = {name: convert(default) for name, default, convert in ways}
    plain = (
        tuple([convert(row[name]) if name in row else defaults[name] for name, _, convert in ways]) for row in rows
    )
    names = ", ".join(f'"{column.name}"' for column in columns)
    raw: Any = connection.connection.dbapi_connection
    if is_sqlite:
        places = ", ".join("?" * len(columns))
        while chunk := list(islice(plain, _CHUNK)):
            raw.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({places})', chunk)
        return
    with raw.cursor().copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for values in plain:
            copy.write_row(values)


def _default(column: Any) -> Any:
    if column.default is None:
        return None
    return column.default.arg(None) if column.default.is_callable else column.default.arg


def _converter(kind: Any, *, is_sqlite: bool) -> Callable[[Any], Any]:
    """Return what makes a value fit for the driver; SQLite keeps instants, days and documents as text."""
    if isinstance(kind, JSON):
        return json.dumps
    if is_sqlite and isinstance(kind, Instant):
        return _instant_text
    if is_sqlite and isinstance(kind, Date):
        return lambda value: value and value.isoformat()
    return lambda value: value


def _instant_text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
