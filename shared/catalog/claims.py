"""Runs: who does what now, and the lock that keeps two exclusive runs off one source.

The lock is the row itself: a partial unique index allows one running exclusive run per source. A run whose process died
is found by pid and start time, or by its silence, and is closed by whoever comes next.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread
from typing import Any

from sqlalchemy import Connection, insert, select, update

from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.conversion import finding_rows, run_record
from shared.catalog.models import BACKUP, CLEANUP_ACTION, RESTORE_TEST, RESTORE_TEST_FINDING, RUN
from shared.catalog.problems import RowRefused
from shared.catalog.process_identity import HEARTBEAT_SECONDS, is_lost, this_process
from shared.catalog.records import CleanupState, RunRow, RunState
from shared.catalog.rollups import refresh_source
from shared.catalog.statements import error_facts, lock_source
from shared.catalog.usage import require_readable
from shared.domain.backup import BackupStatus
from shared.domain.proof import NotMeasured, Outcome
from shared.errors import CatalogProblem, Interrupted, RunConflict
from shared.units import format_instant

_LOG = logging.getLogger(__name__)
_LOST = "the run's process died or fell silent before it ended"


class RunClaims:
    """Begin, keep alive and end runs."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor
        self._run_url = ""

    def begin_run(
        self,
        operation: str,
        source: str,
        *,
        exclusive: bool,
        now: datetime,
        run_reference: str | None = None,
        backup_id: str = "",
    ) -> RunRow:
        """Record that an operation begins; dead holders of the same source are closed first.

        Args:
            operation: Its name, such as `backup`.
            source: What it works on; empty for all sources (such a run locks only its like).
            exclusive: Whether it may not run beside another exclusive run of the source.
            now: Aware instant.
            run_reference: The orchestrator's id of it.
            backup_id: The backup that it reads, which then counts as in use.

        Raises:
            RunConflict: A living run holds the source; the message names it.
            BackupUnknown: The backup that it would read is expiring or gone.
        """
        for run in self._running(source):
            if is_lost(run, now):
                self._reclaim(run, now)
        values = _new_run(operation, source, now) | {
            "backup_id": backup_id,
            "exclusive": exclusive,
            "run_reference": run_reference or "",
            "run_url": self._run_url,
        }
        try:
            with self._database.writing() as connection:
                if source:
                    lock_source(connection, source, now)
                if backup_id:
                    require_readable(connection, backup_id)
                return run_record(connection.execute(insert(RUN).values(values).returning(RUN)).mappings().one())
        except RowRefused as error:
            raise self._conflict(operation, source) from error

    def heartbeat(self, run: RunRow, now: datetime) -> bool:
        """Give a sign of life; returns whether the run still counts as running."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(RUN).where(RUN.c.id == run.id, RUN.c.state == RunState.RUNNING.value).values(heartbeat_at=now)
            )
            return changed.rowcount == 1

    def finish_run(self, run: RunRow, state: RunState, now: datetime, error: BaseException | None = None) -> None:
        """Record how a run ended and let go of its source."""
        values: dict[str, Any] = {"state": state.value, "finished_at": now, "heartbeat_at": now}
        with self._database.writing() as connection:
            connection.execute(
                update(RUN).where(RUN.c.id == run.id).values(**values, **(error_facts(error) if error else {}))
            )

    def reclaim_lost_runs(self, now: datetime) -> list[RunRow]:
        """Close every run whose process is gone.

        Its running backups become failed, its running restore tests not measured, its planned expiries are dropped;
        expiries that had begun stay and are taken up again by the next cleanup. A backup closed here may still have its
        manifest in the repository: `rebuild-catalog` and `backup_completed` turn it into a complete one.

        Returns:
            The runs that were closed, as they stood.
        """
        return [run for run in self._running(None) if is_lost(run, now) and self._reclaim(run, now)]

    @contextmanager
    def claimed_run(
        self,
        operation: str,
        source: str,
        *,
        exclusive: bool,
        now: Callable[[], datetime],
        run_reference: str | None = None,
        backup_id: str = "",
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> Iterator[RunRow]:
        """Hold a run while the block runs: heartbeats in a thread, ended as done, failed or interrupted.

        Args:
            operation: As for `begin_run`, like the other arguments.
            source: As for `begin_run`.
            exclusive: As for `begin_run`.
            now: Clock, aware UTC; also called from the heartbeat's thread.
            run_reference: As for `begin_run`.
            backup_id: As for `begin_run`.
            heartbeat_seconds: Time between heartbeats.

        Raises:
            RunConflict: A living run holds the source.
        """
        run = self.begin_run(
            operation, source, exclusive=exclusive, now=now(), run_reference=run_reference, backup_id=backup_id
        )
        stopped = Event()
        heart = Thread(target=self._beat, args=(run, now, heartbeat_seconds, stopped), name="heartbeat", daemon=True)
        heart.start()
        try:
            yield run
        except BaseException as error:
            stopped.set()
            self._finish_after_error(run, now(), error)
            raise
        finally:
            stopped.set()
            heart.join(timeout=5)
        self.finish_run(run, RunState.DONE, now())

    def _finish_after_error(self, run: RunRow, now: datetime, error: BaseException) -> None:
        interrupted = isinstance(error, Interrupted) or not isinstance(error, Exception)
        try:
            self.finish_run(run, RunState.INTERRUPTED if interrupted else RunState.FAILED, now, error)
        except CatalogProblem:
            # What went wrong first matters more, and the next run closes this one as lost.
            _LOG.warning("the end of run %s could not be recorded", run.id, exc_info=True)

    def _beat(self, run: RunRow, now: Callable[[], datetime], seconds: float, stopped: Event) -> None:
        while not stopped.wait(seconds):
            try:
                if not self.heartbeat(run, now()) and not stopped.is_set():
                    _LOG.warning("run %s was closed by another process that took it for dead", run.id)
                    return
            except CatalogProblem:
                _LOG.warning("the heartbeat of run %s could not be recorded", run.id, exc_info=True)

    def _running(self, source: str | None) -> list[RunRow]:
        wanted = [RUN.c.source == source] if source is not None else []
        with self._database.reading() as connection:
            rows = connection.execute(
                select(RUN).where(RUN.c.state == RunState.RUNNING.value, *wanted).order_by(RUN.c.id)
            )
            return [run_record(row) for row in rows.mappings()]

    def _conflict(self, operation: str, source: str) -> RunConflict:
        holder = next((run for run in self._running(source) if run.exclusive), None)
        who = "another run"
        if holder:
            since = format_instant(holder.started_at.replace(microsecond=0))
            who = f"a {holder.operation} (run {holder.id}, process {holder.pid} on {holder.host}, since {since})"
        return RunConflict(
            f"{operation} of {source or 'all sources'} cannot begin: {who} holds it",
            hint="Wait until it has ended; a run whose process died is closed by itself.",
        )

    def _reclaim(self, run: RunRow, now: datetime) -> bool:
        with self._database.writing() as connection:
            if run.source:
                lock_source(connection, run.source, now)
            closed = connection.execute(
                update(RUN)
                .where(
                    RUN.c.id == run.id,
                    RUN.c.state == RunState.RUNNING.value,
                    RUN.c.heartbeat_at == run.heartbeat_at,
                )
                .values(state=RunState.LOST.value, finished_at=now, error_message=_LOST)
            )
            if closed.rowcount != 1:
                return False
            _close_work_of(connection, run, now)
            append_entry(
                connection,
                actor=self._actor,
                action="run.lost",
                object_name=f"run {run.id}",
                reason=_LOST,
                details={"operation": run.operation, "source": run.source, "host": run.host, "pid": run.pid},
                now=now,
            )
        return True


def _new_run(operation: str, source: str, now: datetime) -> dict[str, Any]:
    process = this_process()
    return {
        "operation": operation,
        "source": source,
        "state": RunState.RUNNING.value,
        "started_at": now,
        "heartbeat_at": now,
        "host": process.host,
        "pid": process.pid,
        "process_started": process.started,
    }


def _close_work_of(connection: Connection, run: RunRow, now: datetime) -> None:
    dead = select(BACKUP).where(BACKUP.c.run_id == run.id, BACKUP.c.status == BackupStatus.RUNNING.value)
    backups = connection.execute(dead).all()
    connection.execute(
        update(BACKUP)
        .where(BACKUP.c.run_id == run.id, BACKUP.c.status == BackupStatus.RUNNING.value)
        .values(status=BackupStatus.FAILED.value, finished_at=now, error_code=Interrupted.code, error_message=_LOST)
    )
    tests = connection.execute(
        update(RESTORE_TEST)
        .where(RESTORE_TEST.c.run_id == run.id, RESTORE_TEST.c.outcome == "")
        .values(outcome=Outcome.NOT_MEASURED.value, finished_at=now)
        .returning(RESTORE_TEST.c.id, RESTORE_TEST.c.backup_id, RESTORE_TEST.c.source)
    ).all()
    for test in tests:
        gap = NotMeasured(check="run", object=test.backup_id, reason=_LOST)
        row = finding_rows((), (gap,))[0]
        connection.execute(insert(RESTORE_TEST_FINDING).values(restore_test_id=test.id, ordinal=0, **row))
    sources = {row.source for row in backups} | {test.source for test in tests}
    connection.execute(
        update(CLEANUP_ACTION)
        .where(CLEANUP_ACTION.c.run_id == run.id, CLEANUP_ACTION.c.state == CleanupState.PLANNED.value)
        .values(state=CleanupState.DROPPED.value, updated_at=now)
    )
    for source in sorted(sources):
        lock_source(connection, source, now)
        refresh_source(connection, source, now, days=[row.started_at for row in backups if row.source == source])
