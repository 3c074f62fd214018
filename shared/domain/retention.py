"""Which backups stay and which expire: a pure decision with a reason for each.

A backup expires only when every one of these says so (docs/retention.md has worked examples):

1. nothing about it is unknown: its kind has a rule, its recovery point is not in the future, every manifest of its
   source can be read;
2. nobody holds it and no restore or test reads it now;
3. it is neither the newest complete nor the newest proven backup of its source, whichever way "newest" is read;
4. its source is not in trouble, or it is of no help in that trouble;
5. no part of its kind's rule keeps it.

A source is in trouble while its newest attempt failed, or while a backup newer than every proven one failed its test
or is damaged. Until a newer backup is proven, all proven backups stay; and where none was ever proven and attempts
fail, everything stays that is not known to be bad. Trouble cannot fill the repository: while it lasts, no backup
becomes proven, and where attempts fail, none is added at all.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.source import KeepRule
from shared.units import format_duration


class Verdict(StrEnum):
    """What becomes of a backup."""

    KEEP = "kept"
    EXPIRE = "expires"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedBackup:
    """What retention knows of one backup, or of one attempt that left none.

    Attributes:
        id: Its backup id.
        source: The source it belongs to.
        kind: Its kind; None where it is not known.
        recovery_point_at: Aware instant of its snapshot (of a failed attempt: its start); None where not known.
        state: COMPLETE when its manifest is stored; FAILED or RUNNING for an attempt without one.
        proven_at: When a restore test proved it, if ever.
        is_test_failed: Whether its latest restore test failed.
        is_damaged: Whether stored bytes that it names are missing or differ from their digest.
        is_unreadable: Whether a manifest is there that cannot be read or trusted, so what it names is not known.
        is_in_use: Whether a restore or a test reads it now.
        is_expiring: Whether a cleanup that was interrupted had begun to remove it.
        unknown: Why nothing may be decided about it, in plain words; empty in the usual case.
    """

    id: str
    source: str
    kind: BackupKind | None
    recovery_point_at: datetime | None
    state: BackupStatus = BackupStatus.COMPLETE
    proven_at: datetime | None = None
    is_test_failed: bool = False
    is_damaged: bool = False
    is_unreadable: bool = False
    is_in_use: bool = False
    is_expiring: bool = False
    unknown: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is a backup at all, or only an attempt that left none."""
        return self.state is BackupStatus.COMPLETE

    @property
    def is_bad(self) -> bool:
        """Whether it is known that it would not restore to the right content."""
        return self.is_test_failed or self.is_damaged


class Decision(NamedTuple):
    """What becomes of one backup and why.

    Attributes:
        backup: Which one.
        verdict: What becomes of it.
        notes: What keeps it besides its age, in plain words.
        age: Its age where its rule was asked, else None.
        limit: How long its rule keeps by age; None where the rule does not.
    """

    backup: RetainedBackup
    verdict: Verdict
    notes: tuple[str, ...]
    age: timedelta | None
    limit: timedelta | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in plain words; made when somebody reads them, for most of a million nobody does."""
        if self.age is None:
            return self.notes
        words = f"{self.backup.kind}, {format_duration(max(self.age.total_seconds(), 0.0))} old"
        limit = format_duration(self.limit.total_seconds()) if self.limit is not None else ""
        if self.verdict is Verdict.EXPIRE:
            bad = f", {_trouble_of(self.backup)}" if self.backup.is_bad else ""
            return (f"{words}, limit {limit}{bad}" if limit else f"{words}, not kept by age{bad}",)
        if self.limit is not None and self.age < self.limit:
            return (*self.notes, f"{words}, kept for {limit}")
        return self.notes

    def __str__(self) -> str:
        return f"{self.verdict}: {'; '.join(self.reasons)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """One decision per backup, newest first."""

    decisions: tuple[Decision, ...]

    @property
    def kept(self) -> tuple[Decision, ...]:
        """The decisions to keep, newest first."""
        return tuple(decision for decision in self.decisions if decision.verdict is Verdict.KEEP)

    @property
    def expired(self) -> tuple[Decision, ...]:
        """The decisions to expire, newest first."""
        return tuple(decision for decision in self.decisions if decision.verdict is Verdict.EXPIRE)


def plan_retention(
    backups: Iterable[RetainedBackup],
    rules: Mapping[BackupKind, KeepRule],
    holds: Mapping[str, str],
    now: datetime,
) -> RetentionPlan:
    """Decide which backups stay and which expire; each source is judged by itself.

    Args:
        backups: Backups and failed attempts in any order, of one or more sources under the same rules.
        rules: How long each kind stays; a kind without a rule is kept.
        holds: Backup id to the reason of the hold, for every hold in force.
        now: Aware instant the decision is made for.

    Returns:
        One decision per backup, newest first, each with its reasons.

    Raises:
        ValueError: `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("retention needs an aware instant")
    ordered = sorted(backups, key=_newness, reverse=True)
    by_source: dict[str, list[RetainedBackup]] = defaultdict(list)
    for backup in ordered:
        by_source[backup.source].append(backup)
    decided = {source: iter(_plan_source(own, rules, holds, now)) for source, own in by_source.items()}
    return RetentionPlan(decisions=tuple(next(decided[backup.source]) for backup in ordered))


_BEGINNING = datetime.min.replace(tzinfo=UTC)


def _newness(backup: RetainedBackup) -> tuple[datetime, str]:
    """Order by recovery point, then by id, so that the order of the input never matters."""
    return (backup.recovery_point_at or _BEGINNING, backup.id)


def _plan_source(
    backups: Sequence[RetainedBackup], rules: Mapping[BackupKind, KeepRule], holds: Mapping[str, str], now: datetime
) -> list[Decision]:
    """Decide for one source; `backups` are its own, newest first, and so are the decisions."""
    notes: dict[str, list[str]] = defaultdict(list)
    # A recovery point in the future is a wrong clock: such a backup stays, and it never stands in for the newest one.
    dated = [
        b for b in backups if b.exists and not b.is_unreadable and b.recovery_point_at and b.recovery_point_at <= now
    ]
    # Nor does one that may be half gone, or that nobody can vouch for.
    standing = [backup for backup in dated if not backup.is_expiring and not backup.unknown]
    _note_newest(standing, notes)
    _note_newest(dated, notes)
    _note_trouble(backups, dated, standing, notes)
    for kind, counted in rules.items():
        _note_counts([backup for backup in standing if backup.kind is kind and not backup.is_bad], counted, notes)
    unreadable = sum(1 for backup in backups if backup.is_unreadable)
    decisions = []
    for backup in backups:
        rule = rules.get(backup.kind) if backup.kind else None
        own_notes = _unconditional_notes(backup, rule, holds, now, unreadable)
        own_notes += notes.get(backup.id, ())
        decisions.append(_decide(backup, own_notes, rule, now))
    return decisions


def _note_newest(dated: Sequence[RetainedBackup], notes: dict[str, list[str]]) -> None:
    """Invariant 4: the newest complete and the newest proven backup stay.

    A newest one that is known to be bad stays, and so does the newest that is not: the words promise both.
    """
    _note_first(dated, notes, "newest complete backup", lambda backup: backup.exists)
    _note_first(dated, notes, "newest complete backup that is whole", lambda backup: not backup.is_damaged)
    _note_first(dated, notes, "newest complete backup not known to be bad", lambda backup: not backup.is_bad)
    _note_first(dated, notes, "newest proven backup", lambda backup: backup.proven_at is not None)
    _note_first(dated, notes, "newest proven backup that is still good", _is_soundly_proven)


def _note_first(
    dated: Sequence[RetainedBackup],
    notes: dict[str, list[str]],
    words: str,
    fits: Callable[[RetainedBackup], bool],
) -> None:
    first = next(filter(fits, dated), None)
    if first and not any(words.startswith(said) for said in notes[first.id]):
        notes[first.id].append(words)


def _is_soundly_proven(backup: RetainedBackup) -> bool:
    return backup.proven_at is not None and not backup.is_bad


def _note_trouble(
    backups: Sequence[RetainedBackup],
    dated: Sequence[RetainedBackup],
    standing: Sequence[RetainedBackup],
    notes: dict[str, list[str]],
) -> None:
    """Keep proven backups while newer ones fail, or fail their test."""
    newest = _newness(standing[0]) if standing else (_BEGINNING, "")
    attempts_fail = any(b.state is BackupStatus.FAILED and _newness(b) > newest for b in backups)
    proven = [backup for backup in dated if backup.proven_at is not None]
    good = next(filter(_is_soundly_proven, standing), None)
    bad = next((b for b in dated if b.is_bad and (good is None or _newness(b) > _newness(good))), None)
    if attempts_fail:
        for backup in proven or [backup for backup in dated if not backup.is_bad]:
            notes[backup.id].append("newer attempts fail" if not proven else "proven, and newer attempts fail")
    elif bad and proven:
        for backup in proven:
            notes[backup.id].append(f"proven, and the newer {bad.id} {_trouble_of(bad)}")
    if bad and proven:
        # Without its cause in sight, the next run would take the trouble for over and expire the proven ones.
        notes[bad.id].append("shows why proven backups are kept; goes when a newer one is proven")


def _trouble_of(backup: RetainedBackup) -> str:
    return "failed its restore test" if backup.is_test_failed else "is damaged"


def _note_counts(own: Sequence[RetainedBackup], rule: KeepRule, notes: dict[str, list[str]]) -> None:
    """Note what the counting parts of a rule keep; `own` are the good ones of one kind, newest first.

    Bad backups are left out before: a copy that does not restore must not take the place of one that does.
    """
    among = f"one of the newest {rule.minimum_count}" if rule.minimum_count > 1 else "the newest"
    for backup in own[: max(rule.minimum_count, 0)]:
        notes[backup.id].append(f"{among} {backup.kind}")
    for count, words, bucket_of in (
        (rule.daily, "day", lambda at: at.toordinal()),
        (rule.weekly, "week", lambda at: (at.toordinal() - 1) // 7),  # day 1 of the calendar was a Monday
        (rule.monthly, "month", lambda at: at.year * 12 + at.month),
        (rule.yearly, "year", lambda at: at.year),
    ):
        _note_buckets(own, count, words, bucket_of, notes)


def _note_buckets(
    own: Sequence[RetainedBackup],
    count: int,
    words: str,
    bucket_of: Callable[[datetime], int],
    notes: dict[str, list[str]],
) -> None:
    """Keep the newest of each of the last `count` UTC buckets that have one."""
    last: int | None = None
    found = 0
    for backup in own:
        if found >= count:
            return
        assert backup.recovery_point_at is not None  # `own` holds dated backups only
        bucket = bucket_of(backup.recovery_point_at.astimezone(UTC))
        if bucket != last:
            last = bucket
            found += 1
            notes[backup.id].append(f"newest of its {words}, {found} of {count}")


def _unconditional_notes(
    backup: RetainedBackup, rule: KeepRule | None, holds: Mapping[str, str], now: datetime, unreadable: int
) -> list[str]:
    """Say what keeps a backup whatever the rules are: holds, use, and everything unknown."""
    notes = []
    if backup.id in holds:
        notes.append(f"held: {holds[backup.id]}")
    if backup.is_in_use:
        notes.append("a restore or a restore test is reading it")
    if backup.unknown:
        notes.append(backup.unknown)
    if backup.is_unreadable:
        notes.append("its manifest cannot be read")
    elif unreadable:
        notes.append("another manifest of this source cannot be read, so nothing of the source expires")
    elif not backup.exists:
        notes.append(f"{backup.state}, there is no backup to expire")
    else:
        notes += _unknown_age(backup, now)
    if rule is None:
        notes.append(f"no retention rule for {backup.kind}" if backup.kind else "its kind is not known")
    return notes


def _unknown_age(backup: RetainedBackup, now: datetime) -> Sequence[str]:
    """Say why the age of a backup cannot be told, if so."""
    if backup.recovery_point_at is None:
        return ["its recovery point is not known"]
    if backup.recovery_point_at > now:
        ahead = format_duration((backup.recovery_point_at - now).total_seconds())
        return [f"its recovery point is {ahead} in the future: a clock is wrong"]
    return ()


def _decide(backup: RetainedBackup, notes: list[str], rule: KeepRule | None, now: datetime) -> Decision:
    """Add what the age says, and conclude."""
    if rule is None or backup.recovery_point_at is None or not backup.exists:
        return Decision(backup, Verdict.KEEP, tuple(notes), None, None)
    age = now - backup.recovery_point_at
    is_young = rule.age is not None and age < rule.age
    verdict = Verdict.KEEP if notes or is_young else Verdict.EXPIRE
    return Decision(backup, verdict, tuple(notes), age, rule.age)
