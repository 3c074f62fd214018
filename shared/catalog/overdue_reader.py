"""Read what the clock is compared with: when backups began, and which runs have not ended."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from shared.catalog.connection import Database
from shared.catalog.models import BACKUP, RUN
from shared.catalog.records import RunState
from shared.domain.backup import BackupKind
from shared.domain.overdue import RunInProgress

# Almost every source has a backup of each scheduled kind within this time: one indexed query finds them all.
_RECENT = timedelta(days=40)
_RUNS_COMPARED = 28

Attempts = dict[str, dict[BackupKind, datetime]]


class OverdueReader:
    """Reads what has begun, of many sources at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_attempts(self, sources: Collection[str], now: datetime) -> Mapping[str, Mapping[BackupKind, datetime]]:
        """Return when the newest backup of each kind began, whatever became of it, by source."""
        found: Attempts = {source: {} for source in sources}
        columns = (BACKUP.c.source, BACKUP.c.kind, func.max(BACKUP.c.started_at).label("at"))
        query = select(*columns).where(BACKUP.c.started_at > now - _RECENT).group_by(BACKUP.c.source, BACKUP.c.kind)
        with self._database.reading() as connection:
            for row in connection.execute(query):
                if row.source in found:
                    found[row.source][BackupKind(row.kind)] = row.at
            for source, attempts in found.items():
                if BackupKind.DAILY not in attempts or BackupKind.WEEKLY not in attempts:
                    found[source] = _all_attempts(connection, source)
        return found

    def runs_in_progress(self) -> Mapping[str, tuple[RunInProgress, ...]]:
        """Return the runs that have not ended, by source, each with how long its like took before."""
        running = select(RUN).where(RUN.c.state == RunState.RUNNING.value, RUN.c.source != "").order_by(RUN.c.id)
        runs: dict[str, list[RunInProgress]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(running).all():
                run = RunInProgress(
                    number=row.id,
                    operation=row.operation,
                    started_at=row.started_at,
                    heartbeat_at=row.heartbeat_at,
                    usual_seconds=_usual_seconds(connection, row.source, row.operation),
                )
                runs[row.source].append(run)
        return {source: tuple(found) for source, found in runs.items()}


def _all_attempts(connection: Connection, source: str) -> dict[BackupKind, datetime]:
    columns = (BACKUP.c.kind, func.max(BACKUP.c.started_at).label("at"))
    query = select(*columns).where(BACKUP.c.source == source).group_by(BACKUP.c.kind)
    return {BackupKind(row.kind): row.at for row in connection.execute(query)}


def _usual_seconds(connection: Connection, source: str, operation: str) -> tuple[float, ...]:
    rows = connection.execute(
        select(RUN.c.started_at, RUN.c.finished_at)
        .where(RUN.c.state == RunState.DONE.value, RUN.c.source == source, RUN.c.operation == operation)
        .order_by(RUN.c.started_at.desc())
        .limit(_RUNS_COMPARED)
    )
    return tuple((row.finished_at - row.started_at).total_seconds() for row in rows if row.finished_at)
