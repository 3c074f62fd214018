"""Sums over days, from the small tables that are kept for it."""

from datetime import date

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.records import DayRow


def load_fleet_days(database: Database, since: date) -> tuple[DayRow, ...]:
    """Return what each day came to over all sources, oldest first; one row a day."""
    return Catalog(database, actor="app").fleet_days(since=since)
