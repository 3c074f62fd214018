"""Record what was asked for and could not even begin: a secret that is gone must not look as if nobody had asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from secrets import token_hex

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupId, BackupKind
from shared.domain.evidence import RestoreTestResult
from shared.domain.proof import NotMeasured, Outcome
from shared.errors import GoldcopyError, RunConflict

Clock = Callable[[], datetime]


@contextmanager
def noting_failed_backup(
    open_catalog: Callable[[], Catalog],
    source: str,
    kind: BackupKind,
    reason: str,
    run_reference: str | None,
    now: Clock,
) -> Iterator[None]:
    """Record a failed attempt where the block, which prepares a backup, fails.

    Args:
        open_catalog: Returns the catalog; one that cannot be used is told nothing.
        source: A configured source.
        kind: Of the backup that was asked for.
        reason: A person's words, or empty.
        run_reference: The orchestrator's id of the run, or None.
        now: Clock, aware UTC.
    """
    with _noting(lambda error: _note_backup(open_catalog(), source, kind, reason, run_reference, error, now)):
        yield


@contextmanager
def noting_failed_test(
    open_catalog: Callable[[], Catalog], source: str, backup_id: str, picked: str, now: Clock
) -> Iterator[None]:
    """Record a restore test that measured nothing where the block, which prepares it, fails.

    Args:
        open_catalog: Returns the catalog; one that cannot be used is told nothing.
        source: Of the backup.
        backup_id: The backup that should be tested.
        picked: How it was chosen.
        now: Clock, aware UTC.
    """
    with _noting(lambda error: _note_test(open_catalog(), source, backup_id, picked, error, now)):
        yield


@contextmanager
def _noting(note: Callable[[GoldcopyError], None]) -> Iterator[None]:
    try:
        yield
    except RunConflict:
        raise  # somebody is at it
    except GoldcopyError as error:
        with suppress(GoldcopyError):  # what went wrong first matters more
            note(error)
        raise


def _note_backup(
    catalog: Catalog,
    source: str,
    kind: BackupKind,
    reason: str,
    run_reference: str | None,
    error: GoldcopyError,
    now: Clock,
) -> None:
    with catalog.claimed_run("backup", source, exclusive=True, now=now, run_reference=run_reference) as run:
        backup_id = str(BackupId(at=now(), source=source, suffix=token_hex(2)))
        catalog.backup_started(backup_id=backup_id, source=source, kind=kind, reason=reason, now=now(), run=run)
        catalog.backup_failed(backup_id, error, now())
        raise error  # so that the run failed, too


def _note_test(catalog: Catalog, source: str, backup_id: str, picked: str, error: GoldcopyError, now: Clock) -> None:
    with catalog.claimed_run("restore-test", source, exclusive=False, now=now, backup_id=backup_id) as run:
        began_at = now()
        test_id = f"{began_at:%Y%m%dT%H%M%SZ}-{source}-{token_hex(4)}"
        catalog.record_restore_test_started(test_id=test_id, backup_id=backup_id, picked=picked, now=began_at, run=run)
        result = RestoreTestResult(
            id=test_id,
            backup_id=backup_id,
            source=source,
            picked=picked,
            outcome=Outcome.NOT_MEASURED,
            started_at=began_at,
            finished_at=now(),
            not_measured=(NotMeasured(check="restore-test", object=backup_id, reason=str(error)),),
        )
        catalog.record_restore_test(result, now())
        raise error
