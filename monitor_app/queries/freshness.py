"""The newest signs of life in the catalog."""

from datetime import datetime

from sqlalchemy import func, select

from monitor_app.freshness import LastSigns
from shared.catalog.connection import Database
from shared.catalog.models import BACKUP, RUN, SOURCE_STATUS
from shared.catalog.watch_models import WATCH
from shared.demo.generated_history import GENERATED

_NEWEST_RUNS = 20


def load_signs(database: Database) -> LastSigns:
    """Read when somebody last watched, and when backups, tests, cleanups and the like were last recorded."""
    newest = select(RUN.c.heartbeat_at).order_by(RUN.c.started_at.desc(), RUN.c.id.desc()).limit(_NEWEST_RUNS)
    with database.reading() as connection:
        beats: list[datetime] = list(connection.execute(newest).scalars())
        status: datetime | None = connection.execute(select(func.max(SOURCE_STATUS.c.updated_at))).scalar()
        watched: datetime | None = connection.execute(select(func.max(WATCH.c.watched_at))).scalar()
    return LastSigns(watched_at=watched, written_at=max([*beats, *([status] if status else [])], default=None))


def is_generated(database: Database) -> bool:
    """Say whether the newest backup of any source was generated for trying, so that no page passes for real."""
    newest = select(BACKUP.c.tool_version).join(SOURCE_STATUS, SOURCE_STATUS.c.newest_complete_id == BACKUP.c.id)
    with database.reading() as connection:
        return connection.execute(newest.where(BACKUP.c.tool_version == GENERATED).limit(1)).first() is not None
