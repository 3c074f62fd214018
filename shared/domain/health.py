"""The verdict on a source: one pure function that command line, flows, notices and pages use alike."""

from dataclasses import dataclass

from shared.domain.health_reason import Colour, Reason, worst, worst_first
from shared.domain.source_facts import SourceFacts

__all__ = ["Colour", "Health", "Reason", "SourceFacts", "worst", "worst_first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a source stands.

    Attributes:
        source: Its name.
        colour: That of the worst reason.
        reasons: Why, worst first; a green source has reasons too.
    """

    source: str
    colour: Colour
    reasons: tuple[Reason, ...]
