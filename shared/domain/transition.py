"""Changes of health: a source had one colour and has another now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.health_reason import Colour, Reason

SYSTEM = ""
"""Name of what is no source: Goldcopy itself, its channels, its worker, the whole organisation."""

SYSTEM_WORD = "system"
"""What people write for it; no source may be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """How a source stood when it was last looked at.

    Attributes:
        source: Its name; empty for the system.
        colour: None where it is not watched any more, because it left the configuration.
        codes: Of the reasons that are not green, worst first.
        since: Since when it has this colour.
        version: How many changes there were; 1 after the first look.
    """

    source: str
    colour: Colour | None
    codes: tuple[str, ...]
    since: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of health.

    Attributes:
        source: What changed; empty for the system.
        version: Number of the change, per source from 1 on.
        before: None before the first look, and where the source was not watched.
        after: None where it is not watched any more.
        at: When it was noticed.
        reasons: Why it has its new colour.
    """

    source: str
    version: int
    before: Colour | None
    after: Colour | None
    at: datetime
    reasons: tuple[Reason, ...] = ()


def follow(
    state: HealthState | None, source: str, colour: Colour | None, reasons: Sequence[Reason], now: datetime
) -> tuple[HealthState, Transition | None]:
    """Compare how a source stands with how it stood.

    Args:
        state: How it stood, or None before the first look.
        source: Its name.
        colour: How it stands, or None where it left the configuration.
        reasons: Why.
        now: Aware instant.

    Returns:
        How it stands, and the change if there was one. An instant in the future is one from before the clock was put
        back; it counts from now on, so that nothing waits for a time that is far away.
    """
    codes = tuple(dict.fromkeys(reason.code for reason in reasons if reason.colour is not Colour.GREEN))
    if state is not None and state.colour is colour:
        return replace(state, codes=codes, since=min(state.since, now)), None
    version = state.version + 1 if state else 1
    new = HealthState(source=source, colour=colour, codes=codes, since=now, version=version)
    change = Transition(
        source=source,
        version=version,
        before=state.colour if state else None,
        after=colour,
        at=now,
        reasons=tuple(reasons),
    )
    return new, change
