"""Which backups are being read now, and which may be."""

from sqlalchemy import Connection, select

from shared.catalog.models import BACKUP, RESTORE_TEST, RUN
from shared.catalog.records import RunState
from shared.domain.backup import BackupStatus
from shared.errors import BackupUnknown


def backups_in_use(connection: Connection) -> frozenset[str]:
    """Return the ids of the backups that a running run or a running restore test reads."""
    running = RUN.c.state == RunState.RUNNING.value
    by_run = select(RUN.c.backup_id).where(running, RUN.c.backup_id != "")
    by_test = (
        select(RESTORE_TEST.c.backup_id)
        .join(RUN, RUN.c.id == RESTORE_TEST.c.run_id)
        .where(running, RESTORE_TEST.c.outcome == "")
    )
    return frozenset(connection.execute(by_run.union(by_test)).scalars())


def require_readable(connection: Connection, backup_id: str) -> None:
    """Refuse to begin reading a backup whose expiry has begun; call it under the source's lock.

    Raises:
        BackupUnknown: Its expiry has begun or is done.
    """
    status = connection.execute(select(BACKUP.c.status).where(BACKUP.c.id == backup_id)).scalar()
    if status in {BackupStatus.EXPIRING.value, BackupStatus.EXPIRED.value}:
        raise BackupUnknown(f"backup {backup_id} is {status}", hint="Choose another one: `goldcopy backups`.")
