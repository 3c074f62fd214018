"""The rules per table: suddenly empty, shrunk, grown, dropped, new.

Partitions count together as the table that they belong to: that one of them goes and another comes is their use.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from statistics import median

from shared.domain.anomaly import (
    TABLE_RULES,
    Anomaly,
    AnomalyPolicy,
    Episode,
    History,
    Rule,
    Subject,
    TableCount,
)
from shared.domain.proof import Severity
from shared.domain.robust import MAD_TO_DEVIATION

# A change of rows within so many of its square roots is chance in a small table.
_CHANCE = 2.0
# A table that comes and goes with fewer rows than this may well be empty for once.
_BUSY_ROWS = 10
# The newest backups whose median stands for "usual", so that two steps down count as well as one.
_RECENT = 7
# A table that did this so often before does it by habit.
_HABIT = 2
# From so many backups on the habits of a table are known; steps within so many deviations are its way.
_HABIT_POINTS = 4
_RESTLESS_WIDTH = 3.0
# Before that, only the loss of most of so many rows, or of a good part of so many, asks for a look.
_FEW_ROWS = 20
_SOME_ROWS = 100
_MANY_ROWS = 1000
_MOST = 0.75
# A table with fewer rows that goes up and down like this is a queue; its losses are for the record.
_QUEUE_ROWS = 50
_QUEUE_RESTLESS = 0.3
# Stands for no rows where a logarithm is taken.
_SOME = 0.5
_CALM_POINTS = 5
_MANY_NEW_ROWS = 1000
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Count:
    at: datetime
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What is known of one table before.

    Attributes:
        counts: Its rows in earlier backups at the level that is normal now, oldest first.
        habit: Its rows in earlier backups whatever their level, but for those that were odd.
        kept_rows: The rows that were expected when an anomaly of it began that nobody has looked at yet.
    """

    counts: tuple[_Count, ...]
    habit: tuple[_Count, ...]
    kept_rows: float | None = None

    @property
    def usual_rows(self) -> float | None:
        """The rows that it should have; None where nothing is known."""
        if self.kept_rows is not None:
            return self.kept_rows
        if not self.counts:
            return None
        return max(float(self.counts[-1].rows), median(count.rows for count in self.counts[-_RECENT:]))

    @property
    def middle(self) -> float:
        """The middle of its rows, whatever their level; 0 where nothing is known."""
        return float(median(count.rows for count in self.habit)) if self.habit else 0.0

    def is_sure(self, usual: float, rows: int) -> bool:
        """Whether enough is known of the table, or enough of it is lost, to ask for a look."""
        if self.kept_rows is not None:
            return True
        if len(self.habit) >= _HABIT_POINTS:
            return self.middle >= _QUEUE_ROWS or _restless(self.habit) <= _QUEUE_RESTLESS
        enough = _FEW_ROWS if rows == 0 else _SOME_ROWS if rows <= usual * (1 - _MOST) else _MANY_ROWS
        return usual >= enough

    def is_usual_step(self, rows: int, policy: AnomalyPolicy) -> bool:
        """Whether the table goes up and down like this by habit; nobody knows before there are a few backups."""
        if self.kept_rows is not None or len(self.habit) < _HABIT_POINTS:
            return False
        step = math.log(max(rows, _SOME) / max(self.middle, _SOME))
        if abs(step) <= _RESTLESS_WIDTH * _restless(self.habit):
            return True
        if step > 0:
            return _rises(self.habit, 1 + policy.table_grown) >= _HABIT
        # The newest two are left out, so that going down in two steps is no habit yet.
        least = min(count.rows for count in self.habit[:-2])
        kept = 1 - policy.table_shrunk
        return rows >= least * kept or _falls(self.habit, kept) >= _HABIT


def detect_tables(history: History, subject: Subject, policy: AnomalyPolicy) -> list[Anomaly]:
    """Apply the rules per table; one earlier backup is enough for them."""
    now = _by_name(subject.tables)
    past = _pasts(history, subject)
    renamed = _renamed(history, subject)
    found = []
    for name in sorted(past):
        if name in now:
            found.append(_changed(name, sum(table.rows for table in now[name]), past[name], subject, policy))
        elif name not in renamed and not _is_excluded(name, subject):
            found.append(_dropped(name, past[name], subject, policy))
    found.append(_new(history, now, renamed, subject, policy))
    return [anomaly for anomaly in found if anomaly is not None]


def table_name(table: TableCount) -> str:
    """Return the name under which a table is judged: its own, or that of the partitioned table that it belongs to."""
    return table.partition_root or f"{table.schema}.{table.name}"


def _by_name(tables: Sequence[TableCount]) -> dict[str, list[TableCount]]:
    named: dict[str, list[TableCount]] = defaultdict(list)
    for table in tables:
        named[table_name(table)].append(table)
    return named


def _pasts(history: History, subject: Subject) -> dict[str, _Past]:
    """Return what is known of every table that the backup before had, or that is still missed since longer."""
    counts: dict[str, list[_Count]] = defaultdict(list)
    earlier = [tables for tables in history.tables if tables.at < subject.point.at]
    for tables in earlier:
        for name, parts in _by_name(tables.tables).items():
            counts[name].append(_Count(tables.at, sum(part.rows for part in parts)))
    newest = set(_by_name(earlier[-1].tables)) if earlier else set()
    episodes: dict[str, list[Episode]] = defaultdict(list)
    for episode in history.episodes:
        if episode.rule in TABLE_RULES and episode.severity is not Severity.INFO:
            episodes[episode.object].append(episode)
    pasts = {name: _past(counts[name], episodes[name]) for name in newest | episodes.keys()}
    return {name: past for name, past in pasts.items() if name in newest or past.kept_rows is not None}


def _past(counts: Sequence[_Count], episodes: Sequence[Episode]) -> _Past:
    usual, habit = list(counts), list(counts)
    for episode in sorted(episodes, key=lambda episode: episode.started_at):
        begin, end = episode.started_at, episode.closed_at
        if episode.acknowledged_at is not None:
            usual = [count for count in usual if count.at >= begin]
        elif end is None:
            return _Past(counts=tuple(usual), habit=tuple(habit), kept_rows=episode.expected_value)
        else:
            usual = [count for count in usual if not begin <= count.at < end]
            habit = [count for count in habit if not begin <= count.at < end]
    return _Past(counts=tuple(usual), habit=tuple(habit))


def _restless(counts: Sequence[_Count]) -> float:
    """Return how far the rows usually go from one backup to the next, as a robust deviation of their logarithms."""
    steps = [math.log(max(after.rows, _SOME) / max(before.rows, _SOME)) for before, after in pairwise(counts)]
    middle = median(steps)
    return median(abs(step - middle) for step in steps) * MAD_TO_DEVIATION


def _changed(name: str, rows: int, past: _Past, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    usual = past.usual_rows
    if usual is None or usual < 1:
        return None
    if rows == 0:
        return _empty(name, usual, past, subject, policy)
    if rows < usual:
        return _shrunk(name, rows, usual, past, subject, policy)
    return _grown(name, rows, usual, past, subject, policy)


def _empty(name: str, usual: float, past: _Past, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    rows = {count.rows for count in past.habit}
    comes_and_goes = 0 in rows or (len(rows) > 1 and past.middle < _BUSY_ROWS)
    if past.kept_rows is None and comes_and_goes:
        return None
    if past.is_usual_step(0, policy):
        return None
    sentence = f"{name} is empty; it had {_rows(usual)}"
    anomaly = _anomaly(Rule.TABLE_EMPTY, name, sentence, usual, 0, subject, policy)
    return _for_the_record(anomaly, unless=past.is_sure(usual, 0))


def _shrunk(name: str, rows: int, usual: float, past: _Past, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    kept = 1 - policy.table_shrunk
    if rows >= usual * kept or usual - rows < _CHANCE * math.sqrt(usual):
        return None
    if past.is_usual_step(rows, policy):
        return None
    sentence = f"{name} has {_rows(rows)}, {_percent(1 - rows / usual)} fewer than the {usual:,.0f} before"
    anomaly = _anomaly(Rule.TABLE_SHRUNK, name, sentence, usual, rows, subject, policy)
    return _for_the_record(anomaly, unless=past.is_sure(usual, rows))


def _grown(name: str, rows: int, usual: float, past: _Past, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    factor = 1 + policy.table_grown
    if rows < usual * factor or rows - usual < _CHANCE * _CHANCE * math.sqrt(usual):
        return None
    if past.is_usual_step(rows, policy):
        return None
    is_sure = past.kept_rows is not None or (len(past.counts) >= _CALM_POINTS and rows - usual >= _MANY_NEW_ROWS)
    sentence = f"{name} has {_rows(rows)}, {rows / usual:.1f} times the {usual:,.0f} before"
    anomaly = _anomaly(Rule.TABLE_GROWN, name, sentence, usual, rows, subject, policy)
    return _for_the_record(anomaly, unless=is_sure)


def _for_the_record(anomaly: Anomaly | None, *, unless: bool) -> Anomaly | None:
    return anomaly if unless or anomaly is None else replace(anomaly, severity=Severity.INFO)


def _dropped(name: str, past: _Past, subject: Subject, policy: AnomalyPolicy) -> Anomaly | None:
    usual = past.usual_rows or 0
    sentence = f"{name} is gone; it had {_rows(usual)}"
    anomaly = _anomaly(Rule.TABLE_DROPPED, name, sentence, usual, 0, subject, policy)
    return anomaly and replace(anomaly, found="no such table")


def _new(
    history: History,
    now: dict[str, list[TableCount]],
    renamed: dict[str, str],
    subject: Subject,
    policy: AnomalyPolicy,
) -> Anomaly | None:
    """One anomaly for all new tables: it is only for the record."""
    earlier = [tables for tables in history.tables if tables.at < subject.point.at]
    if not earlier:
        return None
    known = {name for tables in earlier for name in _by_name(tables.tables)}
    names = [name for name in sorted(now.keys() - known) if not policy.ignores(Rule.TABLE_NEW, name)]
    if not names:
        return None
    before = {new: old for old, new in renamed.items()}
    words = [
        f"{name} (was {before[name]})" if name in before else f"{name} ({_rows(sum(part.rows for part in now[name]))})"
        for name in names
    ]
    more = f" and {len(words) - _NAMES_SHOWN} more" if len(words) > _NAMES_SHOWN else ""
    count = "1 table is" if len(words) == 1 else f"{len(words)} tables are"
    return Anomaly(
        rule=Rule.TABLE_NEW,
        source=subject.source,
        backup_id=subject.backup_id,
        object=names[0] if len(names) == 1 else f"{len(names)} tables",
        severity=Severity.INFO,
        sentence=f"{count} new: {', '.join(words[:_NAMES_SHOWN])}{more}",
        expected="no new table",
        found=f"{len(words)} new",
        started_at=subject.point.at,
        found_value=len(words),
    )


def _renamed(history: History, subject: Subject) -> dict[str, str]:
    """Return old name -> new name of tables that went and came back under another name with the same content."""
    earlier = [tables for tables in history.tables if tables.at < subject.point.at]
    if not earlier:
        return {}
    then = {table_name(table): table for table in earlier[-1].tables if table.rows and not table.partition_root}
    now = {table_name(table): table for table in subject.tables if table.rows and not table.partition_root}
    content = {now[name].fingerprint: name for name in now.keys() - then.keys() if now[name].fingerprint}
    gone = ((name, then[name].fingerprint) for name in then.keys() - now.keys())
    return {name: content[fingerprint] for name, fingerprint in gone if fingerprint in content}


def _is_excluded(name: str, subject: Subject) -> bool:
    return name in subject.excluded or name.partition(".")[0] in subject.excluded


def _falls(counts: Sequence[_Count], kept: float) -> int:
    return sum(after.rows < before.rows * kept for before, after in pairwise(counts))


def _rises(counts: Sequence[_Count], factor: float) -> int:
    return sum(0 < before.rows * factor <= after.rows for before, after in pairwise(counts))


def _anomaly(
    rule: Rule,
    name: str,
    sentence: str,
    usual: float,
    rows: int,
    subject: Subject,
    policy: AnomalyPolicy,
) -> Anomaly | None:
    if policy.ignores(rule, name):
        return None
    return Anomaly(
        rule=rule,
        source=subject.source,
        backup_id=subject.backup_id,
        object=name,
        severity=Severity.WARNING,
        sentence=sentence,
        expected=f"about {_rows(usual)}",
        found=_rows(rows),
        started_at=subject.point.at,
        expected_value=usual,
        found_value=float(rows),
    )


def _rows(rows: float) -> str:
    whole = round(rows)
    return "1 row" if whole == 1 else f"{whole:,} rows"


def _percent(share: float) -> str:
    # Rounded down, so that "100 %" never stands for a table that still has rows.
    return f"{math.floor(share * 100)} %"
