"""Open the metadata store: `open_catalog(url)` returns a `Catalog`, the one door to everything in this package.

Writing is in `writer` (backups), `evidence_writer` (restore tests, verify runs, damage), `cleanup_writer` (holds,
expiry), `claims` (runs and locks) and `reconciliation` (against the repository); reading is in `reader` (backups) and
`history_reader` (the rest).
"""

import os
import pwd
import socket
from types import TracebackType
from typing import Self

from shared.catalog.anomaly_reader import AnomalyReader
from shared.catalog.anomaly_writer import AnomalyWriter
from shared.catalog.app_reader import AppReader
from shared.catalog.app_writer import AppWriter
from shared.catalog.claims import RunClaims
from shared.catalog.cleanup_writer import CleanupWriter
from shared.catalog.connection import Database, open_database
from shared.catalog.delivery_writer import DeliveryWriter
from shared.catalog.evidence_writer import EvidenceWriter
from shared.catalog.health_reader import HealthReader
from shared.catalog.history_reader import HistoryReader
from shared.catalog.migrate import migrate, require_current
from shared.catalog.overdue_reader import OverdueReader
from shared.catalog.period_reader import PeriodReader
from shared.catalog.reader import BackupReader
from shared.catalog.reconciliation import Reconciliation
from shared.catalog.restore_requests import RestoreRequests
from shared.catalog.storage_reader import StorageReader
from shared.catalog.watch_reader import WatchReader
from shared.catalog.watch_writer import WatchWriter
from shared.catalog.writer import BackupWriter


class Catalog(
    BackupReader,
    HistoryReader,
    HealthReader,
    AnomalyReader,
    OverdueReader,
    PeriodReader,
    StorageReader,
    BackupWriter,
    EvidenceWriter,
    CleanupWriter,
    AnomalyWriter,
    RunClaims,
    Reconciliation,
    WatchReader,
    WatchWriter,
    DeliveryWriter,
    AppReader,
    AppWriter,
    RestoreRequests,
):
    """The metadata store; safe to use from several threads and processes at once.

    Every method is one transaction and raises `CatalogProblem` where the database cannot be reached or used.
    """

    def __init__(self, database: Database, actor: str, run_url: str = "") -> None:
        self._database = database
        self._actor = actor
        self._run_url = run_url

    @property
    def label(self) -> str:
        """Where it is, for people; holds no secret."""
        return self._database.label

    @property
    def actor(self) -> str:
        """Who this process acts for in the audit trail, where a call names nobody."""
        return self._actor

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_catalog(url: str, *, read_only: bool = False, actor: str | None = None, run_url: str = "") -> Catalog:
    """Open a catalog; made where it is not there, and brought up to date under a lock.

    Args:
        url: `sqlite:///path/to/catalog.db` or `postgresql+psycopg://...`.
        read_only: For logins that may only read: nothing is created or brought up to date.
        actor: Who acts, for the audit trail; the operating system's user on this host unless given.
        run_url: The orchestrator's page of what this process does; every run that begins here is recorded with it.

    Raises:
        ConfigInvalid: The URL does not parse or names another kind of database.
        CatalogRefused: Wrong password, no permission, disk full, or written by a newer Goldcopy.
        CatalogProblem: Not reachable now.
    """
    database = open_database(url, read_only=read_only)
    try:
        if read_only:
            require_current(database)
        else:
            migrate(database)
    except BaseException:
        database.close()
        raise
    return Catalog(database, actor or _default_actor(), run_url)


def _default_actor() -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
