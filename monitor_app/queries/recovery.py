"""Restore tests as evidence: the newest of all sources, with what each one found and which bytes it proved."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.models import BACKUP
from shared.catalog.records import RestoreTestRow

EVIDENCE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest restore tests, newest first, and the manifest's SHA-256 of every backup in them."""

    tests: tuple[RestoreTestRow, ...]
    digests: Mapping[str, str]


def load_evidence(database: Database) -> Evidence:
    """Return the newest restore tests with their findings.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    tests = Catalog(database, actor="app").restore_tests(limit=EVIDENCE_LIMIT)
    wanted = {test.backup_id for test in tests}
    query = select(BACKUP.c.id, BACKUP.c.manifest_sha256).where(BACKUP.c.id.in_(wanted)).limit(EVIDENCE_LIMIT)
    with database.reading() as connection:
        return Evidence(tests, {row.id: row.manifest_sha256 for row in connection.execute(query)})
