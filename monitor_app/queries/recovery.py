"""Restore tests as evidence: the newest of all sources, with what each one found."""

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.records import RestoreTestRow

EVIDENCE_LIMIT = 200


def load_evidence(database: Database) -> tuple[RestoreTestRow, ...]:
    """Return the newest restore tests with their findings, newest first.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    return Catalog(database, actor="app").restore_tests(limit=EVIDENCE_LIMIT)
