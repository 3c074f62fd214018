"""The verdict on a source: one pure function that command line, flows, notices and pages use alike."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.health_backup_rules import BACKUP_RULES, is_backup_slow
from shared.domain.health_ground_rules import ANOMALY_RULES, GROUND_RULES, no_facts
from shared.domain.health_proof_rules import PROOF_RULES, predicted_recovery
from shared.domain.health_reason import Colour, Reason, ReasonCode, worst, worst_first
from shared.domain.source import Source
from shared.domain.source_facts import SourceFacts

__all__ = [
    "Colour",
    "Health",
    "Reason",
    "ReasonCode",
    "SourceFacts",
    "evaluate",
    "is_backup_slow",
    "predicted_recovery",
    "worst",
    "worst_first",
]

_RULES = (*GROUND_RULES, *BACKUP_RULES, *PROOF_RULES, *ANOMALY_RULES)
"""In the order in which reasons of one colour are told."""


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


def evaluate(source: Source, facts: SourceFacts | None, now: datetime) -> Health:
    """Judge one source by its facts; every rule and threshold is in docs/health.md.

    Green needs both a complete and a proven backup that are young enough, and nothing that speaks against it. What is
    not known is never good.

    Args:
        source: What was agreed for it.
        facts: What is known; None where the catalog could not be read.
        now: Aware UTC instant to judge for.
    """
    if facts is None:
        reasons: tuple[Reason, ...] = (no_facts(source),)
    else:
        reasons = worst_first(reason for rule in _RULES for reason in rule(source, facts, now))
    return Health(source=source.name, colour=worst(reason.colour for reason in reasons), reasons=reasons)
