"""Settle what somebody outside answered with what was answered before: one lost question is no outage."""

from dataclasses import replace

from shared.domain.source_facts import Reachability

FAILURES_TO_BELIEVE = 2
"""So many questions in a row without a good answer make something unreachable."""


def settle_reach(before: Reachability | None, failures: int, answer: Reachability) -> tuple[Reachability, int]:
    """Decide how something outside stands after it was asked.

    Args:
        before: How it stood; None where nobody ever asked.
        failures: Questions in a row without a good answer so far.
        answer: What it answered now, or did not.

    Returns:
        How it stands, with since when, and the questions in a row without a good answer.
    """
    if answer.is_reachable:
        since = before.since if before and before.is_reachable else None
        return replace(answer, since=since or answer.asked_at), 0
    failures += 1
    if before is None or before.is_reachable is answer.is_reachable:
        since = before.since if before else None
        return replace(answer, since=since or answer.asked_at), failures
    if before.is_reachable and failures < FAILURES_TO_BELIEVE:
        return before, failures
    return replace(answer, since=answer.asked_at), failures
