"""What the story's watchers and people left in the catalog: incidents, something unusual, a request for a restore."""

from datetime import datetime, timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.catalog.restore_requests import RestoreRequest
from shared.clock import utc_now
from shared.config.load import Config
from shared.domain.anomaly import Anomaly, Rule
from shared.domain.backup import BackupStatus
from shared.domain.channel import DeliveryResult, DeliveryState
from shared.domain.proof import Severity
from shared.domain.source_watch import WatchPolicy
from shared.operations.status import read_status
from shared.operations.watch import WatchPlace, run_watch


def look_once(catalog: Catalog, config: Config, now: datetime) -> None:
    """Watch once, with nobody to tell: incidents open for whatever is not green."""
    place = WatchPlace(
        catalog=catalog,
        sources=config.sources,
        channels={},
        policy=WatchPolicy(),
        read_healths=lambda at: read_status(catalog, config.sources, at).healths,
        send=lambda _channel, _notice: DeliveryResult(state=DeliveryState.DELIVERED),
    )
    run_watch(place, now=lambda: now)


def find_something_odd(
    catalog: Catalog,
    now: datetime,
    *,
    sentence: str = "the dump's size is 3 B",
    source: str = "shop",
    name: str = "shop",
    severity: Severity = Severity.WARNING,
) -> None:
    """Record that the newest backup of a source is unusual."""
    newest = catalog.backups(source, statuses=[BackupStatus.COMPLETE], limit=1)[0]
    rule = Rule.DUMPED_SIZE if severity is not Severity.INFO else Rule.TABLE_NEW
    anomaly = Anomaly(
        rule=rule,
        source=source,
        backup_id=newest.id,
        object=name,
        severity=severity,
        sentence=sentence,
        expected=sentence,
        found=sentence,
        started_at=newest.started_at,
    )
    catalog.record_anomalies(newest.id, [anomaly], [], now)


def request_of(catalog: Catalog, source: str = "shop", text: str = "drill") -> RestoreRequest:
    """A request for the newest backup of a source."""
    newest = catalog.backups(source, statuses=[BackupStatus.COMPLETE], limit=1)[0]
    return RestoreRequest(
        source=source, backup_id=newest.id, tables=("public.orders",), destination=f"staging {text}", reason=text
    )


@pytest.fixture
def watched(story: Catalog, app_config: Config) -> Catalog:
    """The story, watched: three incidents, one anomaly, one request."""
    now = utc_now()
    find_something_odd(story, now - timedelta(minutes=5))
    look_once(story, app_config, now)
    story.request_restore("token-r", request_of(story), actor="vera@example.com", now=now - timedelta(hours=2))
    return story
