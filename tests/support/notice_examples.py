"""One example of every notice, for the golden files and for the tests of the channels.

`python -m tests.support.notice_examples` writes the golden files anew; their diff is what a reviewer reads.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from shared.domain.cost import CostLine, MonthCost
from shared.domain.health_reason import Colour, Reason
from shared.domain.notice import Notice
from shared.domain.notice_digest import Digest, DigestLine, canary, notify_test, report_ready, weekly_digest
from shared.domain.notice_health import (
    Ended,
    Standing,
    channel_failed,
    escalation,
    health_changed,
    no_longer_watched,
    recovered,
    reminder,
)
from shared.domain.notice_texts import (
    BackupEnd,
    RestoreTestEnd,
    anomalies_found,
    backup_completed,
    backup_failed,
    backup_late,
    backup_slow,
    cleanup_refused,
    restore_test_failed,
    restore_test_not_measured,
    restore_test_passed,
)
from shared.domain.notice_words import Protection, page_links
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.notices.discord_message import discord_message
from shared.notices.html import html_mail
from shared.notices.plain import plain_text
from shared.notices.slack_message import slack_message

GOLDEN = Path(__file__).parents[1] / "golden" / "notices"

NOW = datetime(2026, 11, 21, 3, 12, tzinfo=UTC)
BACKUP = BackupEnd(
    id="20261121T020000Z-app-7f3a",
    source="app",
    kind="daily",
    started_at=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    finished_at=datetime(2026, 11, 21, 3, 10, 5, tzinfo=UTC),
    duration_seconds=5.2,
    recovery_point_at=datetime(2026, 11, 21, 2, 0, 1, tzinfo=UTC),
    dumped_bytes=1_200_000_000,
    stored_bytes=310_000_000,
    new_bytes=12_400_000,
    table_count=28,
    row_count=4_210_332,
    proven_at=datetime(2026, 11, 21, 3, 10, tzinfo=UTC),
)
FAILED = BackupEnd(
    id="20261121T020000Z-app-9c01",
    source="app",
    kind="daily",
    started_at=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    finished_at=datetime(2026, 11, 21, 2, 0, 31, tzinfo=UTC),
    duration_seconds=31,
    error_message="cannot reach db.acme.example:5432: connection refused",
    hint="Is the server up, and may this machine reach it?",
)
SLOW = BackupEnd(
    id="20261121T020000Z-app-7f3a",
    source="app",
    kind="daily",
    started_at=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    finished_at=datetime(2026, 11, 21, 2, 42, 10, tzinfo=UTC),
    duration_seconds=2530,
    recovery_point_at=datetime(2026, 11, 21, 2, 0, 1, tzinfo=UTC),
    dumped_bytes=1_200_000_000,
)
PROTECTION = Protection(
    newest_at=datetime(2026, 11, 20, 2, 0, tzinfo=UTC),
    proven_at=datetime(2026, 11, 13, 2, 0, tzinfo=UTC),
    rpo=timedelta(hours=24),
)
TEST = RestoreTestEnd(
    id="t1",
    source="app",
    backup_id=BACKUP.id,
    finished_at=NOW,
    duration_seconds=200.0,
    recovery_point_at=BACKUP.recovery_point_at,
    recovery_time_seconds=94.0,
    tables_proven=28,
    rows_proven=4_210_332,
    source_version="17.11",
    scratch_version="17.11",
)
DIFFERS = RestoreTestEnd(
    id="t2",
    source="app",
    backup_id=BACKUP.id,
    finished_at=NOW,
    duration_seconds=140.0,
    recovery_point_at=BACKUP.recovery_point_at,
    recovery_time_seconds=61.0,
    tables_proven=26,
    rows_proven=4_109_000,
    source_version="17.11",
    scratch_version="17.11",
    findings=(
        Finding(
            check="row-count",
            severity=Severity.ERROR,
            object="public.orders",
            message="public.orders has 101,331 rows, 101,332 were dumped",
        ),
        Finding(
            check="table-content",
            severity=Severity.ERROR,
            object="public.orders",
            message="the content of public.orders differs from the source's",
        ),
    ),
    not_measured=(NotMeasured(check="extension", object="postgis", reason="the scratch server does not have it"),),
)
UNMEASURED = RestoreTestEnd(
    id="t3",
    source="app",
    backup_id=BACKUP.id,
    finished_at=NOW,
    duration_seconds=3.0,
    not_measured=(NotMeasured(check="scratch-server", object="app", reason="no server of major 18 is installed here"),),
)
STALE = Reason(
    code="backup-stale",
    colour=Colour.RED,
    sentence="the newest complete backup is 49 h old, red above 48 h",
    action="See why the last one failed: `goldcopy backups app`, then `goldcopy backup app`.",
    since=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
)
OVERDUE = Reason(
    code="test-overdue",
    colour=Colour.YELLOW,
    sentence="the last restore test was 36 d ago, agreed are 35 d",
    action="Run `goldcopy restore-test app`.",
)
UNREACHABLE = Reason(
    code="repository-unreachable",
    colour=Colour.RED,
    sentence="the repository s3://acme-backups does not answer since 02:00 UTC",
    action="Look at the store and at the network, then run `goldcopy check`.",
)
STANDING = Standing(
    source="app",
    colour=Colour.RED,
    reasons=(STALE, OVERDUE),
    since=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    protection=Protection(
        newest_at=datetime(2026, 11, 19, 2, 0, tzinfo=UTC),
        proven_at=datetime(2026, 11, 13, 2, 0, tzinfo=UTC),
        rpo=timedelta(hours=24),
    ),
)
MANY = tuple(
    Standing(
        source=name,
        colour=Colour.RED,
        reasons=(UNREACHABLE,),
        since=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
        protection=Protection(newest_at=NOW - timedelta(hours=hours), proven_at=None, rpo=timedelta(hours=24)),
    )
    for name, hours in (("app", 25), ("billing", 26), ("crm", 30))
)
LINKS = page_links("https://goldcopy.acme.example", "app", "https://prefect.acme.example/runs/flow-run/5b1c")


def _line(source: str, colour: Colour, **changed: object) -> DigestLine:
    usual: dict[str, object] = {
        "source": source,
        "colour": colour,
        "reason": "",
        "exposure": timedelta(hours=5),
        "proven_exposure": timedelta(days=8),
        "rpo": timedelta(hours=24),
        "backups": 7,
        "failures": 0,
        "tests_passed": 1,
        "tests_failed": 0,
        "tests_not_measured": 0,
        "recovery_time_seconds": 94.0,
        "stored_bytes": 2_100_000_000,
        "stored_bytes_before": 2_000_000_000,
    }
    return DigestLine(**{**usual, **changed})  # type: ignore[arg-type]  # the types of the usual ones stand above


DIGEST = Digest(
    begins_at=NOW - timedelta(days=7),
    ends_at=NOW,
    lines=(
        _line("app", Colour.GREEN),
        _line("crm", Colour.RED, reason="no backup at all", exposure=None, proven_exposure=None, backups=0, failures=7,
              tests_passed=0, recovery_time_seconds=None, stored_bytes=0, stored_bytes_before=0),
        _line("billing", Colour.YELLOW, reason="the last restore test was 36 d ago, agreed are 35 d", tests_passed=0,
              failures=1, backups=6, proven_exposure=timedelta(days=36)),
    ),
    cost=MonthCost(
        currency="EUR",
        lines=(
            CostLine(name="storage", amount=Decimal("3.38")),
            CostLine(name="writes", amount=Decimal("0.02")),
            CostLine(name="reads", amount=Decimal("0.001")),
            CostLine(name="egress", amount=None),
        ),
    ),
    incidents=2,
    open_incidents=1,
    failing_channels=("ops-slack",),
)  # fmt: skip


def examples() -> dict[str, Notice]:
    """Return one notice of every kind by a name for it."""
    opened, closed = NOW - timedelta(hours=3, minutes=12), NOW
    outage = Ended(source="app", worst=Colour.RED, opened_at=opened, closed_at=closed, because=STALE.sentence)
    return {
        "backup-completed": backup_completed(BACKUP, links=LINKS),
        "backup-failed": backup_failed(
            FAILED, PROTECTION, next_try_at=datetime(2026, 11, 22, 2, 0, tzinfo=UTC), links=LINKS
        ),
        "backup-slow": backup_slow(SLOW, timedelta(minutes=30), links=LINKS),
        "backup-late": backup_late(
            "app", "daily", datetime(2026, 11, 21, 0, 0, tzinfo=UTC), PROTECTION, NOW, links=LINKS
        ),
        "restore-test-passed": restore_test_passed(TEST, links=LINKS),
        "restore-test-failed": restore_test_failed(DIFFERS, PROTECTION, links=LINKS),
        "restore-test-not-measured": restore_test_not_measured(UNMEASURED, PROTECTION, links=LINKS),
        "anomaly": anomalies_found(
            "app",
            BACKUP.id,
            [
                "public.orders is empty, the backup before held 101,332 rows",
                "the backup is 12 MB, usual are 1.2 GB (between 1.1 GB and 1.3 GB)",
            ],
            NOW,
            key=f"anomaly:{BACKUP.id}",
            links=LINKS,
        ),
        "cleanup-refused": cleanup_refused(
            "app",
            "newer backups fail their tests, so 20261113T020000Z-app-11aa stays although its time is over",
            "Mend what the tests found first.",
            NOW,
            key="cleanup-refused:17",
        ),
        "health-changed": health_changed([STANDING], Colour.GREEN, NOW, key="changed:app:4:backup-stale", links=LINKS),
        "health-changed-many": health_changed(MANY, None, NOW, key="changed:many:1"),
        "no-longer-watched": no_longer_watched(["old-shop"], NOW, key="removed:old-shop:9"),
        "recovered": recovered([outage], NOW, key="recovered:app#4", links=LINKS),
        "reminder": reminder([STANDING], 2, NOW, key="reminder:app#4:1:2", links=LINKS),
        "escalation": escalation(
            [STANDING], [("secondary", ["lead-phone"])], ["ops-mail", "ops-slack"], NOW, key="escalation:app#4:1:1"
        ),
        "digest": weekly_digest(DIGEST, links=page_links("https://goldcopy.acme.example")),
        "report-ready": report_ready(
            "October 2026",
            "3 sources, 92 of 93 backups, all 3 restore tests passed.",
            NOW,
            links=page_links("https://goldcopy.acme.example"),
        ),
        "channel-failed": channel_failed(
            "ops-slack",
            "Slack refused it (404 Not Found, there is nothing at this URL, the webhook may be gone): no_service",
            NOW - timedelta(hours=2),
            NOW,
            undelivered=3,
            others=["ops-mail"],
        ),
        "canary": canary("2026-W47", NOW),
        "test": notify_test(NOW, "anna@backup-1"),
    }


def golden_files() -> dict[str, str]:
    """Return every text as people read it, and one notice as each channel gets it."""
    found = {f"{name}.txt": f"{item.title}\n\n{plain_text(item)}\n" for name, item in examples().items()}
    failed = examples()["restore-test-failed"]
    found["restore-test-failed.html"] = html_mail(failed)
    for name, message in (("slack", slack_message(failed)), ("discord", discord_message(failed))):
        found[f"restore-test-failed.{name}.json"] = json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    found["restore-test-failed.webhook.json"] = json.dumps(failed.document(), indent=2, ensure_ascii=False) + "\n"
    return found


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for name, text in golden_files().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
    print(f"wrote {GOLDEN}")
