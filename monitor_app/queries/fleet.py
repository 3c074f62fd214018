"""How all sources stand, judged by the same function as `goldcopy status` and `goldcopy metrics`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.models import BACKUP_DAY, SOURCE
from shared.domain.heartbeat import DayCount
from shared.domain.incident import Incident
from shared.domain.source import Source
from shared.operations.status import StatusReport, read_status

# A strip of more rows, or a calendar of more days, is nothing that anybody reads.
DAY_LIMIT = 20_000
INCIDENT_LIMIT = 2_000
SOURCE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """All sources now.

    Attributes:
        status: One report per configured source.
        incidents: The open incident of each source that has one.
        known_since: When each source was registered.
    """

    status: StatusReport
    incidents: Mapping[str, Incident]
    known_since: Mapping[str, datetime]


def load_fleet(database: Database, sources: Mapping[str, Source], now: datetime) -> Fleet:
    """Judge every source in a handful of queries, however long the history is.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    catalog = Catalog(database, actor="app")
    found = catalog.incidents(open_only=True, limit=INCIDENT_LIMIT)
    with database.reading() as connection:
        registered = connection.execute(select(SOURCE.c.name, SOURCE.c.registered_at).limit(SOURCE_LIMIT)).all()
    return Fleet(
        status=read_status(catalog, sources, now),
        incidents={incident.source: incident for incident in found},
        known_since={row.name: row.registered_at for row in registered},
    )


def load_day_counts(database: Database, sources: Sequence[str], since: date) -> Mapping[str, Mapping[date, DayCount]]:
    """Return what each UTC day came to for some sources, from the small table that is kept for it."""
    columns = (BACKUP_DAY.c.source, BACKUP_DAY.c.day, BACKUP_DAY.c.ok, BACKUP_DAY.c.failed)
    wanted = (BACKUP_DAY.c.source.in_(list(sources)), BACKUP_DAY.c.day >= since)
    found: dict[str, dict[date, DayCount]] = {source: {} for source in sources}
    with database.reading() as connection:
        for row in connection.execute(select(*columns).where(*wanted).limit(DAY_LIMIT)):
            found[row.source][row.day] = DayCount(ok=row.ok, failed=row.failed)
    return found
