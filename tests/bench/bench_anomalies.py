"""How many incidents the rules about anomalies find, and how often they cry wolf, beside two naive rules.

Generated sources live for months: growth, weekly season, noise, bulk imports, queues, tables that are cleared every
week. Incidents are injected, last some days and are mended. A person acknowledges every alarm that was none, the same
day, and an incident not at all. Then a real database is struck, once per incident, between two backups.

Run: `python -m tests.bench.bench_anomalies [--sources 200]`
"""

import argparse
import math
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import mean, pstdev

from shared.domain.anomaly import (
    EVENT_RULES,
    Anomaly,
    AnomalyPolicy,
    BackupPoint,
    Episode,
    History,
    Rule,
    Subject,
    TableCount,
    TablesAt,
)
from shared.domain.anomaly_rules import detect
from shared.domain.backup import BackupKind
from shared.domain.overdue import RunInProgress, detect_overdue
from shared.domain.proof import Severity
from shared.domain.source import Source
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import start_scratch
from shared.postgres.tools import find_toolsets
from tests.bench.anomaly_lives import DAYS, REAL, REAL_INCIDENTS, REAL_ORDINARY, RIGHT, Incident, make_life
from tests.bench.scene import toolset
from tests.support.anomaly_histories import BEGIN, DAY, TABLES_KNOWN
from tests.support.postgres_servers import TOOLS_FOLDER, run_sql
from tests.support.real_backups import open_real_backups

_FIRST_SEED = 10_000
"""The rules were set on sources of other seeds."""


@dataclass(slots=True)
class Follower:
    """Keeps episodes as the catalog does, with a person who acknowledges what is none."""

    points: list[BackupPoint] = field(default_factory=list)
    tables: list[TablesAt] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)

    def look(self, made: BackupPoint, tables: tuple[TableCount, ...], *, mended: bool) -> list[Anomaly]:
        """Return what is new about a backup."""
        subject = Subject(source="app", backup_id=f"{made.at:%Y%m%d}", point=made, tables=tables)
        history = History(
            points=tuple(self.points), tables=tuple(self.tables[-TABLES_KNOWN:]), episodes=tuple(self.episodes)
        )
        found = detect(history, subject)
        lasting = {
            (episode.rule, episode.object): number
            for number, episode in enumerate(self.episodes)
            if episode.closed_at is None and episode.acknowledged_at is None
        }
        seen = {(anomaly.rule, anomaly.object) for anomaly in found if anomaly.rule not in EVENT_RULES}
        for number, episode in enumerate(self.episodes):
            is_over = (episode.rule, episode.object) not in seen or episode.acknowledged_at is not None
            if episode.closed_at is None and is_over:
                self.episodes[number] = replace(episode, closed_at=made.at)
        new = [anomaly for anomaly in found if (anomaly.rule, anomaly.object) not in lasting]
        for anomaly in new:
            known = made.at if mended else None
            self.episodes.append(
                Episode(
                    rule=anomaly.rule,
                    object=anomaly.object,
                    severity=anomaly.severity,
                    started_at=made.at,
                    acknowledged_at=known,
                    expected_value=anomaly.expected_value,
                    found_value=anomaly.found_value,
                )
            )
        self.points.append(made)
        self.tables.append(TablesAt(at=made.at, tables=tables))
        return new


@dataclass(slots=True)
class Tally:
    """What the rules and the naive ones came to."""

    happened: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    by_z: Counter[str] = field(default_factory=Counter)
    by_share: Counter[str] = field(default_factory=Counter)
    right: Counter[Rule] = field(default_factory=Counter)
    wrong: Counter[Rule] = field(default_factory=Counter)
    imports: Counter[Rule] = field(default_factory=Counter)
    false_days: Counter[str] = field(default_factory=Counter)
    quiet_days: int = 0


def z_score(sizes: Sequence[int], size: int) -> bool:
    """Three standard deviations from the mean of the last 28 backups."""
    used = sizes[-28:]
    return len(used) >= 7 and abs(size - mean(used)) > 3 * max(pstdev(used), 1)


def by_a_fifth(sizes: Sequence[int], size: int) -> bool:
    """A fifth smaller or larger than the backup before."""
    return bool(sizes) and abs(size - sizes[-1]) >= 0.2 * sizes[-1]


def live(seed: int, tally: Tally) -> None:
    """Let one source live, and count what was said about it."""
    life, follower = make_life(seed), Follower()
    sizes: list[int] = []
    found: dict[Incident, set[str]] = defaultdict(set)
    for day in range(DAYS):
        made, tables = life.backup(day)
        incident = next((item for item in life.incidents if item.holds(day)), None)
        after = any(item.first + item.days == day for item in life.incidents)
        new = follower.look(made, tables, mended=incident is None)
        z, fifth = z_score(sizes, made.dumped_bytes), by_a_fifth(sizes, made.dumped_bytes)
        sizes.append(made.dumped_bytes)
        warned = [anomaly for anomaly in new if anomaly.severity is not Severity.INFO]
        if incident is not None:
            rules = RIGHT[incident.kind]
            right = {anomaly.rule for anomaly in new if anomaly.rule in rules and _concerns(anomaly, incident)}
            tally.right.update(right)
            tally.wrong.update(item.rule for item in warned if item.rule not in right)
            hits = {"named"} if rules[0] in right else set()
            found[incident] |= hits | ({"noticed"} if right else set()) | ({"z"} if z else set())
            found[incident] |= {"fifth"} if fifth and day == incident.first else set()
        elif not after:  # on the day on which all is well again, a change is no false alarm of anybody
            tally.quiet_days += 1
            tally.wrong.update(anomaly.rule for anomaly in warned)
            if day in life.imports:
                tally.imports.update(anomaly.rule for anomaly in warned)
            tally.false_days.update({"goldcopy": bool(warned), "z": z, "fifth": fifth})
    for incident in life.incidents:
        tally.happened[incident.kind] += 1
        tally.named[incident.kind] += "named" in found[incident]
        tally.noticed[incident.kind] += "noticed" in found[incident]
        tally.by_z[incident.kind] += "z" in found[incident]
        tally.by_share[incident.kind] += "fifth" in found[incident]


def _concerns(anomaly: Anomaly, incident: Incident) -> bool:
    return not anomaly.object.startswith("public.") or anomaly.object == f"public.{incident.table}"


def gaps(sources: int) -> Iterator[tuple[str, int, int, int]]:
    """Schedules with jitter, outages and hanging runs: (rule, happened, found, false alarms)."""
    chance = random.Random(7)
    missed = found = false = stuck = stuck_found = stuck_false = 0
    for _ in range(sources):
        source = Source(name="app", anomalies=AnomalyPolicy(ignore=("schedule-gap:weekly*",)))
        last = BEGIN
        outages = {day for begin in range(10, DAYS, 25) for day in range(begin, begin + chance.randrange(1, 4))}
        usual = tuple(600 * math.exp(chance.gauss(0, 0.3)) for _ in range(20))
        for day in range(1, DAYS):
            due = BEGIN + day * DAY
            late = due + timedelta(hours=2, minutes=10)
            if day not in outages:
                last = due + timedelta(minutes=chance.expovariate(1 / 10))
            hangs = chance.random() < 0.02
            took = timedelta(hours=chance.uniform(2, 20)) if hangs else timedelta(seconds=usual[day % 20])
            run = RunInProgress(
                number=day, operation="backup", started_at=late - took, heartbeat_at=late, usual_seconds=usual
            )
            attempts = {BackupKind.DAILY: last}
            said = detect_overdue(source, known_since=BEGIN, attempts=attempts, running=(run,), now=late)
            rules = {anomaly.rule for anomaly in said}
            missed, found = missed + (day in outages), found + (day in outages and Rule.SCHEDULE_GAP in rules)
            false += day not in outages and Rule.SCHEDULE_GAP in rules
            stuck, stuck_found = stuck + hangs, stuck_found + (hangs and Rule.RUN_STUCK in rules)
            stuck_false += not hangs and Rule.RUN_STUCK in rules
    yield Rule.SCHEDULE_GAP.value, missed, found, false
    yield Rule.RUN_STUCK.value, stuck, stuck_found, stuck_false


def real_incidents() -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Back up a database, strike it, back it up again: (incident, named) and (ordinary change, quiet)."""
    incidents, ordinary = [], []
    with tempfile.TemporaryDirectory(prefix="goldcopy-bench-") as name, start_scratch(toolset(), Path(name)) as server:
        for number, (words, (statement, expected)) in enumerate(REAL_INCIDENTS.items()):
            said = _strike(Path(name) / f"incident{number}", server.address, f"incident{number}", statement)
            incidents.append((words, any(expected in sentence for sentence in said)))
        for number, (words, statement) in enumerate(REAL_ORDINARY.items()):
            said = _strike(Path(name) / f"quiet{number}", server.address, f"quiet{number}", statement)
            ordinary.append((words, not said))
    return incidents, ordinary


def _strike(folder: Path, server: DatabaseAddress, name: str, statement: str) -> list[str]:
    """Return what is said about a database after a statement."""
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0")
    address = server.with_database(name)
    run_sql(address, REAL)
    folder.mkdir()
    backups = open_real_backups(folder, find_toolsets(TOOLS_FOLDER))
    backups.back_up(address)
    run_sql(address, statement)
    manifest = backups.back_up(address)
    said = [row.sentence for row in backups.catalog.anomalies(backup_id=manifest.backup_id)]
    backups.catalog.close()
    return said


def _line(name: str, right: int, alarms: int, imports: int) -> str:
    shares = f"{right / alarms:>10.1%} {right / max(alarms - imports, 1):>16.1%}"
    return f"{name:<18} {alarms:>8} {right:>8} {imports:>10} {shares}"


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sources", type=int, default=200)
    sources = parser.parse_args().sources
    tally = Tally()
    for seed in range(_FIRST_SEED, _FIRST_SEED + sources):
        live(seed, tally)
    print(f"{sources} generated sources, {DAYS} daily backups each, {sum(tally.happened.values())} incidents\n")
    print(f"{'rule':<18} {'alarms':>8} {'right':>8} {'at imports':>10} {'precision':>10} {'without imports':>16}")
    for rule in Rule:
        alarms = tally.right[rule] + tally.wrong[rule]
        if alarms:
            print(_line(rule.value, tally.right[rule], alarms, tally.imports[rule]))
    right, wrong, imports = (sum(part.values()) for part in (tally.right, tally.wrong, tally.imports))
    print(_line("all of these", right, right + wrong, imports) + "\n")
    print(f"{'incident':<34} {'count':>6} {'named':>8} {'noticed':>8} {'z-score':>8} {'a fifth':>8}")
    for kind, count in tally.happened.items():
        columns = (tally.named, tally.noticed, tally.by_z, tally.by_share)
        print(f"{kind:<34} {count:>6} " + " ".join(f"{column[kind] / count:>8.0%}" for column in columns))
    whole = sum(tally.happened.values())
    columns = (tally.named, tally.noticed, tally.by_z, tally.by_share)
    print(f"{'all':<34} {whole:>6} " + " ".join(f"{sum(column.values()) / whole:>8.0%}" for column in columns))
    years = tally.quiet_days / 365
    names = {"goldcopy": "Goldcopy", "z": "z-score of the total size", "fifth": "a fifth smaller or larger"}
    print("\ndays with a false alarm per source and year: ", end="")
    print(", ".join(f"{words} {tally.false_days[name] / years:.1f}" for name, words in names.items()))
    print(f"\n{'rule':<18} {'happened':>8} {'found':>8} {'false':>8} {'precision':>10} {'recall':>8}")
    for rule_name, happened, found, false in gaps(sources):
        precision, recall = found / max(found + false, 1), found / max(happened, 1)
        print(f"{rule_name:<18} {happened:>8} {found:>8} {false:>8} {precision:>10.1%} {recall:>8.1%}")
    incidents, ordinary = real_incidents()
    print("\nreal database, one backup before and one after")
    for words, good in incidents:
        print(f"  {words:<34} {'named' if good else 'MISSED'}")
    for words, good in ordinary:
        print(f"  {words:<34} {'quiet' if good else 'FALSE ALARM'}")


if __name__ == "__main__":
    main()
