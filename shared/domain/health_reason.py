"""The words of a verdict: a colour, and the reasons for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Colour(StrEnum):
    """How a source stands, worst first; unknown is worse than yellow, because nobody can tell how bad it is."""

    RED = "red"
    UNKNOWN = "unknown"
    YELLOW = "yellow"
    GREEN = "green"


_ORDER = {colour: number for number, colour in enumerate(Colour)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a source has its colour.

    Attributes:
        code: Stable name in kebab case, listed in docs/health.md.
        sentence: One plain sentence with its numbers, all in the same unit; says nothing secret.
        action: What to do next, with a command; empty only where the reason is green.
        since: Since when it holds, where that follows from the facts.
    """

    code: str
    colour: Colour
    sentence: str
    action: str = ""
    since: datetime | None = None


def worst(colours: Iterable[Colour]) -> Colour:
    """Return the worst colour; of nothing nobody knows how it stands."""
    return min(colours, key=_ORDER.__getitem__, default=Colour.UNKNOWN)


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Order reasons by colour; within one colour they keep the order in which the rules stand."""
    return tuple(sorted(reasons, key=lambda reason: _ORDER[reason.colour]))
