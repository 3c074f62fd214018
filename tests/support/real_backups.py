"""Backups of real databases, made as the command line makes them, and what is needed to restore them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.backup import BackupKind
from shared.domain.manifest import Manifest
from shared.domain.restore_testing import Pick
from shared.domain.source import Source
from shared.domain.source_checks import SourceChecks
from shared.operations.backup import BackupPlace, BackupRequest, run_backup
from shared.operations.progress import no_progress
from shared.operations.restore import RestorePlace, RestoreReport, RestoreRequest, run_restore
from shared.operations.restore_testing import RestoreTestPlace, RestoreTestReport, RestoreTestRequest, run_restore_test
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.repository.sealing import Identity, load_identities, make_identity
from tests.support.postgres_servers import SERVERS_FOLDER

SECRET, RECIPIENT = make_identity()
SCRATCH_FOLDER = SERVERS_FOLDER / "restore-tests"
"""Kept over test runs, so that a scratch server's template is made once."""


@dataclass(slots=True)
class RealBackups:
    """A repository with a catalog in a folder."""

    folder: Path
    toolsets: Sequence[Toolset]
    store: LocalStore
    repository: Repository
    catalog: Catalog
    identities: Sequence[Identity]

    def back_up(self, address: DatabaseAddress, source: str = "app") -> Manifest:
        """Take a backup."""
        place = BackupPlace(
            repository=self.repository,
            catalog=self.catalog,
            toolsets=self.toolsets,
            recipients=(RECIPIENT,),
            scratch_folder=self.folder / "dumps",
            upload_threads=2,
            tool_version="0.1.0",
        )
        request = BackupRequest(source=Source(name=source), address=address, kind=BackupKind.MANUAL)
        return run_backup(request, place, now=utc_now, on_progress=no_progress).manifest

    def test(
        self,
        manifest: Manifest,
        *,
        checks: SourceChecks | None = None,
        toolsets: Sequence[Toolset] | None = None,
        identities: Sequence[Identity] | None = None,
        scratch_address: DatabaseAddress | None = None,
    ) -> RestoreTestReport:
        """Run a restore test."""
        place = RestoreTestPlace(
            repository=self.repository,
            catalog=self.catalog,
            toolsets=self.toolsets if toolsets is None else toolsets,
            identities=self.identities if identities is None else identities,
            scratch_folder=SCRATCH_FOLDER,
            scratch_address=scratch_address,
            tool_version="0.1.0",
        )
        request = RestoreTestRequest(
            source=manifest.source, backup_id=manifest.backup_id, pick=Pick.NEWEST, checks=checks
        )
        return run_restore_test(request, place, now=utc_now, on_progress=no_progress)

    def restore(
        self,
        manifest: Manifest,
        destination: DatabaseAddress,
        *tables: str,
        source: DatabaseAddress | None = None,
        jobs: int = 1,
        into_source: bool = False,
        into_non_empty: bool = False,
    ) -> RestoreReport:
        """Restore for real."""
        place = RestorePlace(
            repository=self.repository,
            catalog=self.catalog,
            toolsets=self.toolsets,
            identities=self.identities,
            scratch_folder=self.folder / "restores",
        )
        request = RestoreRequest(
            source=manifest.source,
            backup_id=manifest.backup_id,
            destination=destination,
            source_address=source,
            tables=tables,
            reason="a test",
            jobs=jobs,
            into_source=into_source,
            into_non_empty=into_non_empty,
        )
        return run_restore(request, place, now=utc_now, on_progress=no_progress)


def open_real_backups(folder: Path, toolsets: Sequence[Toolset]) -> RealBackups:
    """Make an empty repository and catalog in a folder."""
    store = LocalStore(folder / "repository")
    repository = Repository.create(store, (RECIPIENT,), datetime(2026, 11, 21, tzinfo=UTC))
    catalog = open_catalog(f"sqlite:///{folder / 'catalog.db'}", actor="tester")
    return RealBackups(folder, toolsets, store, repository, catalog, load_identities(SECRET))
