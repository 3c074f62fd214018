"""Restore tests as evidence: the newest of all sources, with what each one found and which bytes it proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.models import BACKUP
from shared.catalog.records import RestoreTestRow

EVIDENCE_DAYS = 30
EVIDENCE_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """The restore tests of the last days, newest first, and the manifest's SHA-256 of every backup in them."""

    tests: tuple[RestoreTestRow, ...]
    digests: Mapping[str, str]


def load_evidence(database: Database, now: datetime) -> Evidence:
    """Return the restore tests of the last `EVIDENCE_DAYS` with their findings.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    since = now - timedelta(days=EVIDENCE_DAYS)
    newest = Catalog(database, actor="app").restore_tests(limit=EVIDENCE_LIMIT)
    tests = tuple(test for test in newest if test.started_at >= since)
    wanted = {test.backup_id for test in tests}
    query = select(BACKUP.c.id, BACKUP.c.manifest_sha256).where(BACKUP.c.id.in_(wanted)).limit(EVIDENCE_LIMIT)
    with database.reading() as connection:
        return Evidence(tests, {row.id: row.manifest_sha256 for row in connection.execute(query)})
