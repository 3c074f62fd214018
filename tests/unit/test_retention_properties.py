"""What holds for every history of backups, not only for those somebody thought of.

`GOLDCOPY_HISTORIES=10000` sets how many histories each property sees; the default keeps the suite short, and the slow
sweep at the end goes through a hundred thousand.
"""

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.retention import RetainedBackup, RetentionPlan, plan_retention
from shared.domain.source import KeepRule

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
HISTORIES = int(os.environ.get("GOLDCOPY_HISTORIES", "100"))

sweep = settings(
    max_examples=HISTORIES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Rules = dict[BackupKind, KeepRule]
History = list[RetainedBackup]

counts = st.integers(0, 4)
keep_rules = st.builds(
    KeepRule,
    age=st.none() | st.integers(0, 40).map(lambda days: timedelta(days=days)),
    minimum_count=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
)
rule_sets = st.dictionaries(st.sampled_from(BackupKind), keep_rules)


@st.composite
def histories(draw: st.DrawFn) -> tuple[History, dict[str, str]]:
    """Backups of up to two sources over two months, with everything that may be true of them, and holds."""
    backups: History = []
    for number in range(draw(st.integers(0, 14))):
        hours_ago = draw(st.integers(-30, 24 * 60))
        state = draw(st.sampled_from([BackupStatus.COMPLETE] * 6 + [BackupStatus.FAILED, BackupStatus.RUNNING]))
        complete = state is BackupStatus.COMPLETE
        backups.append(
            RetainedBackup(
                id=f"b{number}",
                source=draw(st.sampled_from(["app", "app", "shop"])),
                kind=draw(st.sampled_from([BackupKind.DAILY, BackupKind.DAILY, BackupKind.WEEKLY, None])),
                recovery_point_at=NOW - timedelta(hours=hours_ago),
                state=state,
                proven_at=NOW if complete and draw(st.integers(0, 3)) == 0 else None,
                is_test_failed=complete and draw(st.integers(0, 5)) == 0,
                is_damaged=complete and draw(st.integers(0, 7)) == 0,
                is_in_use=draw(st.integers(0, 15)) == 0,
                is_unreadable=complete and draw(st.integers(0, 30)) == 0,
                is_expiring=complete and draw(st.integers(0, 9)) == 0,
                unknown="not in the catalog" if complete and draw(st.integers(0, 15)) == 0 else "",
            )
        )
    holds = {backup.id: "audit" for backup in backups if draw(st.integers(0, 9)) == 0}
    return backups, holds


def ids(backups: History) -> set[str]:
    return {backup.id for backup in backups}


def expired(plan: RetentionPlan) -> set[str]:
    return {decision.backup.id for decision in plan.expired}


def newest(backups: History) -> RetainedBackup | None:
    past = [backup for backup in backups if backup.recovery_point_at and backup.recovery_point_at <= NOW]
    return max(past, key=lambda backup: (backup.recovery_point_at or NOW, backup.id), default=None)


def complete_of(backups: History, source: str) -> History:
    return [
        backup
        for backup in backups
        if backup.source == source and backup.state is BackupStatus.COMPLETE and not backup.is_unreadable
    ]


@sweep
@given(histories(), rule_sets)
def test_the_promises_of_invariant_4_hold(drawn: tuple[History, dict[str, str]], rules: Rules) -> None:
    check_promises(*drawn, rules)


def check_promises(backups: History, holds: dict[str, str], rules: Rules) -> set[str]:
    """Assert invariant 4 and return what expires."""
    gone = expired(plan_retention(backups, rules, holds, NOW))
    assert not gone & holds.keys(), "a held backup expires"
    for source in ("app", "shop"):
        complete = complete_of(backups, source)
        standing = [backup for backup in complete if not backup.is_expiring and not backup.unknown]
        for own in (complete, standing):
            proven = [backup for backup in own if backup.proven_at]
            for words, candidates in (
                ("complete", own),
                ("complete and whole", [backup for backup in own if not backup.is_damaged]),
                ("complete and not bad", [backup for backup in own if not backup.is_bad]),
                ("proven", proven),
                ("proven and whole", [backup for backup in proven if not backup.is_damaged]),
                ("proven and not bad", [backup for backup in proven if not backup.is_bad]),
            ):
                kept = newest(candidates)
                assert kept is None or kept.id not in gone, f"the newest {words} backup expires"
    return gone


@sweep
@given(histories(), rule_sets)
def test_proven_backups_stay_while_newer_ones_fail_or_fail_their_test(
    drawn: tuple[History, dict[str, str]], rules: Rules
) -> None:
    backups, holds = drawn
    check_trouble(backups, expired(plan_retention(backups, rules, holds, NOW)))


def check_trouble(backups: History, gone: set[str]) -> None:
    """Assert that no proven backup goes while newer ones fail or are bad."""
    for source in ("app", "shop"):
        complete = complete_of(backups, source)
        good = newest([backup for backup in complete if backup.proven_at and not backup.is_bad])
        latest = newest(complete)
        for backup in backups:
            if backup.source != source or backup.recovery_point_at is None or backup.recovery_point_at > NOW:
                continue
            at = (backup.recovery_point_at, backup.id)
            bad = backup.is_bad and backup in complete
            is_trouble = (bad and (good is None or at > (good.recovery_point_at or NOW, good.id))) or (
                backup.state is BackupStatus.FAILED
                and (latest is None or at > (latest.recovery_point_at or NOW, latest.id))
            )
            if is_trouble:
                assert not gone & {item.id for item in complete if item.proven_at}


@sweep
@given(histories(), rule_sets)
def test_unknowns_stay(drawn: tuple[History, dict[str, str]], rules: Rules) -> None:
    backups, holds = drawn
    gone = expired(plan_retention(backups, rules, holds, NOW))
    unreadable_sources = {backup.source for backup in backups if backup.is_unreadable}

    for backup in backups:
        at = backup.recovery_point_at
        if (
            backup.kind not in rules
            or backup.state is not BackupStatus.COMPLETE
            or backup.is_in_use
            or backup.source in unreadable_sources
            or backup.unknown
            or at is None
            or at > NOW
        ):
            assert backup.id not in gone


@sweep
@given(histories(), rule_sets)
def test_a_second_plan_after_the_first_was_carried_out_expires_nothing_more(
    drawn: tuple[History, dict[str, str]], rules: Rules
) -> None:
    backups, holds = drawn
    gone = expired(plan_retention(backups, rules, holds, NOW))
    remaining = [backup for backup in backups if backup.id not in gone]

    assert expired(plan_retention(remaining, rules, holds, NOW)) == set()


@sweep
@given(histories(), rule_sets, st.sets(st.integers(0, 13)))
def test_a_plan_that_was_carried_out_in_part_loses_nothing_that_the_whole_would_keep(
    drawn: tuple[History, dict[str, str]], rules: Rules, cut: set[int]
) -> None:
    backups, holds = drawn
    gone = expired(plan_retention(backups, rules, holds, NOW))
    done = {backup_id for backup_id in gone if int(backup_id[1:]) in cut}
    remaining = [backup for backup in backups if backup.id not in done]

    assert done | expired(plan_retention(remaining, rules, holds, NOW)) == gone


@sweep
@given(histories(), rule_sets, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    drawn: tuple[History, dict[str, str]], rules: Rules, chance: object
) -> None:
    backups, holds = drawn
    shuffled = list(backups)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert plan_retention(backups, rules, holds, NOW) == plan_retention(shuffled, rules, holds, NOW)


@sweep
@given(histories(), rule_sets, st.sampled_from(BackupKind), st.data())
def test_a_more_generous_policy_never_keeps_less(
    drawn: tuple[History, dict[str, str]], rules: Rules, kind: BackupKind, data: st.DataObject
) -> None:
    backups, holds = drawn
    rule = rules.get(kind, KeepRule(age=None, minimum_count=0))
    more = KeepRule(
        age=(rule.age or timedelta()) + timedelta(days=data.draw(st.integers(0, 20))) if rule.age is not None else None,
        **{
            part: getattr(rule, part) + data.draw(counts)
            for part in ("minimum_count", "daily", "weekly", "monthly", "yearly")
        },
    )
    before = expired(plan_retention(backups, rules | {kind: rule}, holds, NOW))
    after = expired(plan_retention(backups, rules | {kind: more}, holds, NOW))

    assert after <= before


@sweep
@given(histories(), rule_sets, st.sets(st.integers(0, 13)))
def test_one_more_hold_never_expires_anything_else(
    drawn: tuple[History, dict[str, str]], rules: Rules, held: set[int]
) -> None:
    backups, holds = drawn
    more = holds | {f"b{number}": "audit" for number in held}

    before = expired(plan_retention(backups, rules, holds, NOW))
    assert expired(plan_retention(backups, rules, more, NOW)) == before - more.keys()


@sweep
@given(histories(), rule_sets)
def test_sources_do_not_touch_each_other(drawn: tuple[History, dict[str, str]], rules: Rules) -> None:
    backups, holds = drawn
    together = expired(plan_retention(backups, rules, holds, NOW))

    apart = set()
    for source in ("app", "shop"):
        own = [backup for backup in backups if backup.source == source]
        apart |= expired(plan_retention(own, rules, holds, NOW))
    assert together == apart


@sweep
@given(histories(), rule_sets, st.integers(1, 24 * 90))
def test_what_expired_once_would_expire_later_too_when_nothing_else_happens(
    drawn: tuple[History, dict[str, str]], rules: Rules, hours: int
) -> None:
    backups, holds = drawn
    past = [backup for backup in backups if backup.recovery_point_at and backup.recovery_point_at <= NOW]

    sooner = expired(plan_retention(past, rules, holds, NOW))
    later = expired(plan_retention(past, rules, holds, NOW + timedelta(hours=hours)))
    assert sooner <= later


@sweep
@given(histories(), rule_sets)
def test_there_is_one_decision_per_backup_newest_first_and_each_says_why(
    drawn: tuple[History, dict[str, str]], rules: Rules
) -> None:
    backups, holds = drawn
    plan = plan_retention(backups, rules, holds, NOW)
    order = [(decision.backup.recovery_point_at or NOW, decision.backup.id) for decision in plan.decisions]

    assert sorted(order) == sorted((backup.recovery_point_at or NOW, backup.id) for backup in backups)
    assert all(newer > older for newer, older in pairwise(order))
    assert all(decision.reasons for decision in plan.decisions)


@sweep
@given(histories(), rule_sets)
def test_a_bad_backup_never_takes_the_place_of_a_good_one(drawn: tuple[History, dict[str, str]], rules: Rules) -> None:
    """Taking the bad ones out of a history without proven backups keeps the same good ones."""
    backups, holds = drawn
    unproven = [replace(backup, proven_at=None) for backup in backups]
    good = [backup for backup in unproven if not backup.is_bad]
    readable = [backup for backup in good if not backup.is_unreadable]

    assert expired(plan_retention(readable, rules, holds, NOW)) == (
        expired(plan_retention([b for b in unproven if not b.is_unreadable], rules, holds, NOW)) & ids(readable)
    )


def random_history(chance: random.Random) -> tuple[History, dict[str, str]]:
    """Draw what `histories` draws, a hundred times faster."""
    backups: History = []
    for number in range(chance.randrange(25)):
        state = chance.choice([BackupStatus.COMPLETE] * 6 + [BackupStatus.FAILED, BackupStatus.RUNNING])
        complete = state is BackupStatus.COMPLETE
        backups.append(
            RetainedBackup(
                id=f"b{number}",
                source=chance.choice(["app", "app", "shop"]),
                kind=chance.choice([BackupKind.DAILY, BackupKind.DAILY, BackupKind.WEEKLY, None]),
                recovery_point_at=NOW - timedelta(hours=chance.randrange(-30, 24 * 60)),
                state=state,
                proven_at=NOW if complete and chance.random() < 0.25 else None,
                is_test_failed=complete and chance.random() < 0.2,
                is_damaged=complete and chance.random() < 0.1,
                is_in_use=chance.random() < 0.05,
                is_expiring=complete and chance.random() < 0.1,
                is_unreadable=complete and chance.random() < 0.02,
                unknown="not in the catalog" if complete and chance.random() < 0.05 else "",
            )
        )
    return backups, {backup.id: "audit" for backup in backups if chance.random() < 0.1}


def random_rules(chance: random.Random) -> Rules:
    """Draw rules for some kinds."""
    return {
        kind: KeepRule(
            age=None if chance.random() < 0.2 else timedelta(days=chance.randrange(40)),
            minimum_count=chance.randrange(4),
            daily=chance.randrange(4),
            weekly=chance.randrange(4),
            monthly=chance.randrange(3),
            yearly=chance.randrange(2),
        )
        for kind in BackupKind
        if chance.random() < 0.8
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_random_histories_keep_every_promise() -> None:
    chance = random.Random(20261121)
    gone_in_all = 0
    for _ in range(100_000):
        (backups, holds), rules = random_history(chance), random_rules(chance)
        gone = check_promises(backups, holds, rules)
        check_trouble(backups, gone)
        remaining = [backup for backup in backups if backup.id not in gone]
        assert expired(plan_retention(remaining, rules, holds, NOW)) == set()
        gone_in_all += len(gone)

    assert gone_in_all > 50_000, "hardly anything expires, so nothing is tested"
