"""What is stored, what it costs and how it grows; and what another retention policy would change."""

from collections.abc import Sequence
from datetime import datetime

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.config.load import Config
from shared.operations.storage import PolicyComparison, StorageView, compare_retention, read_storage
from shared.wiring.reporting import read_changes


def load_storage(database: Database, config: Config, source: str, now: datetime) -> StorageView:
    """Return what is stored of one source or (empty name) of all; by kind for one source only.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    catalog, prices = Catalog(database, actor="app"), config.file.prices.prices()
    return read_storage(catalog, config.sources, prices, now, source=source or None, with_kinds=bool(source))


def load_comparison(
    database: Database, config: Config, source: str, keep: Sequence[str], now: datetime
) -> PolicyComparison:
    """Return a source's retention and a changed one side by side.

    Raises:
        CatalogProblem: The catalog cannot be read.
        UsageProblem: A rule cannot be understood.
        ConfigInvalid: There is no such source.
    """
    catalog, prices = Catalog(database, actor="app"), config.file.prices.prices()
    return compare_retention(catalog, config.source(source), read_changes(keep), prices, now)
