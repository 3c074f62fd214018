"""The newest signs of life in the catalog."""

from datetime import datetime

from sqlalchemy import func, select

from monitor_app.freshness import LastSigns
from shared.catalog.connection import Database
from shared.catalog.models import BACKUP, RUN, SOURCE_STATUS
from shared.catalog.watch_models import WATCH
from shared.demo.generated_history import GENERATED

_NEWEST_RUNS = 20
# Not when a row was last written: a hold that somebody places writes too, and tells nothing of the sources.
_ENDS = (
    SOURCE_STATUS.c.newest_complete_finished_at,
    SOURCE_STATUS.c.last_failure_at,
    SOURCE_STATUS.c.last_test_at,
    SOURCE_STATUS.c.last_verified_at,
)


def load_signs(database: Database) -> LastSigns:
    """Read when somebody last watched, and when backups, tests, cleanups and the like were last at work."""
    newest = select(RUN.c.heartbeat_at).order_by(RUN.c.started_at.desc(), RUN.c.id.desc()).limit(_NEWEST_RUNS)
    with database.reading() as connection:
        beats: list[datetime | None] = list(connection.execute(newest).scalars())
        ends: list[datetime | None] = list(connection.execute(select(*map(func.max, _ENDS))).one())
        watched: datetime | None = connection.execute(select(func.max(WATCH.c.watched_at))).scalar()
    return LastSigns(watched_at=watched, run_at=max((at for at in [*beats, *ends] if at), default=None))


def is_generated(database: Database) -> bool:
    """Say whether the newest backup of any source was generated for trying, so that no page passes for real."""
    newest = select(BACKUP.c.tool_version).join(SOURCE_STATUS, SOURCE_STATUS.c.newest_complete_id == BACKUP.c.id)
    with database.reading() as connection:
        return connection.execute(newest.where(BACKUP.c.tool_version == GENERATED).limit(1)).first() is not None
