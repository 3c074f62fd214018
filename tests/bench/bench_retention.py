"""How fast a million backups are planned, and how rules that peers use would have treated the last proven copy.

Run: `python -m tests.bench.bench_retention [--histories 100000]`
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import process_time

from shared.clock import monotonic_seconds
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.retention import RetainedBackup, plan_retention
from shared.domain.source import DEFAULT_RETENTION, KeepRule
from shared.units import format_duration

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
TARGET_SECONDS = 10.0
RICH = {
    BackupKind.DAILY: KeepRule(age=timedelta(days=7), minimum_count=3, daily=14, weekly=8, monthly=12, yearly=5),
    BackupKind.WEEKLY: KeepRule(age=timedelta(days=28), weekly=12),
}


def fleet(sources: int, per_source: int) -> Iterator[RetainedBackup]:
    """Daily and weekly backups of many sources, some proven, some bad, some attempts failed."""
    chance = random.Random(20261121)
    for source in range(sources):
        for number in range(per_source):
            at = NOW - timedelta(days=number, minutes=source % 60 + 1)
            draw = chance.random()
            yield RetainedBackup(
                id=f"{source}-{number}",
                source=f"source-{source}",
                kind=BackupKind.WEEKLY if number % 7 == 0 else BackupKind.DAILY,
                recovery_point_at=at,
                state=BackupStatus.FAILED if draw > 0.99 else BackupStatus.COMPLETE,
                proven_at=at if draw < 0.05 else None,
                is_test_failed=0.05 < draw < 0.06,
            )


def measure_planning(sources: int, per_source: int) -> dict[str, object]:
    """Time one plan over `sources * per_source` backups."""
    backups = list(fleet(sources, per_source))
    random.Random(1).shuffle(backups)
    measured: dict[str, object] = {"backups": len(backups), "sources": sources, "target_seconds": TARGET_SECONDS}
    for words, rules in (("defaults", dict(DEFAULT_RETENTION)), ("rich_rules", RICH)):
        begin, begin_cpu = monotonic_seconds(), process_time()
        plan = plan_retention(backups, rules, {}, NOW)
        measured[f"{words}_seconds"] = round(monotonic_seconds() - begin, 2)
        measured[f"{words}_cpu_seconds"] = round(process_time() - begin_cpu, 2)  # what a busy machine does not blur
        measured[f"{words}_expired"] = len(plan.expired)
    return measured


def history(chance: random.Random) -> list[RetainedBackup]:
    """Two months of one source's daily backups with outages, bad copies and occasional proofs."""
    backups = []
    outage = range(0)
    if chance.random() < 0.6:
        outage = range(chance.randrange(1, 45))
    for day in range(60):
        at = NOW - timedelta(days=day, hours=4)
        failed = day in outage or chance.random() < 0.03
        draw = chance.random()
        backups.append(
            RetainedBackup(
                id=f"day-{day:02}",
                source="app",
                kind=BackupKind.DAILY,
                recovery_point_at=at,
                state=BackupStatus.FAILED if failed else BackupStatus.COMPLETE,
                proven_at=at if not failed and draw < 0.06 else None,
                is_test_failed=not failed and 0.06 < draw < 0.2,
            )
        )
    return backups


def expire_by_age(backups: list[RetainedBackup]) -> set[str]:
    """`finished_at + retention_days < now()`, with no floor."""
    limit = NOW - timedelta(days=7)
    return {backup.id for backup in backups if backup.recovery_point_at and backup.recovery_point_at < limit}


def expire_by_age_but_newest(backups: list[RetainedBackup]) -> set[str]:
    """Age, sparing the newest complete backup whether or not it restores."""
    complete = [backup for backup in backups if backup.state is BackupStatus.COMPLETE]
    return expire_by_age(backups) - {backup.id for backup in complete[:1]}


def expire_beyond_seven(backups: list[RetainedBackup]) -> set[str]:
    """Keep the newest seven complete ones, whether or not they restore."""
    return {backup.id for backup in [b for b in backups if b.state is BackupStatus.COMPLETE][7:]}


def expire_by_goldcopy(backups: list[RetainedBackup]) -> set[str]:
    """The default rules of this project."""
    plan = plan_retention(backups, {BackupKind.DAILY: KeepRule(age=timedelta(days=7))}, {}, NOW)
    return {decision.backup.id for decision in plan.expired}


RULES: dict[str, Callable[[list[RetainedBackup]], set[str]]] = {
    "age, no floor": expire_by_age,
    "age, newest complete spared": expire_by_age_but_newest,
    "newest seven": expire_beyond_seven,
    "goldcopy": expire_by_goldcopy,
}


def measure_losses(histories: int) -> dict[str, int]:
    """Count the histories in which a rule removes the last copy that was proven to restore."""
    chance = random.Random(7)
    lost = dict.fromkeys(RULES, 0)
    for _ in range(histories):
        backups = history(chance)
        proven = {backup.id for backup in backups if backup.proven_at}
        for words, expire in RULES.items():
            lost[words] += bool(proven) and proven <= expire(backups)
    return lost


def main() -> None:
    """Print the measurements, as a table and as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--per-source", type=int, default=1_000)
    options = parser.parse_args()
    planning = measure_planning(options.sources, options.per_source)
    losses = measure_losses(options.histories)
    print(f"planning {planning['backups']} backups of {planning['sources']} sources (target {TARGET_SECONDS:.0f} s)")
    for words in ("defaults", "rich_rules"):
        wall, cpu = (float(str(planning[f"{words}{part}_seconds"])) for part in ("", "_cpu"))
        print(f"  {words:12} {format_duration(wall):>8}   ({format_duration(cpu)} of CPU)")
    print(f"the last proven copy lost, in {options.histories} random histories")
    for words, count in losses.items():
        print(f"  {words:28} {count:>8}")
    print(json.dumps({"retention_planning": planning, "retention_losses": losses}))


if __name__ == "__main__":
    main()
