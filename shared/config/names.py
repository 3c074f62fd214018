"""Names that must be names of other tables in the file: looked up in what was written, so that all is said at once."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from shared.domain.escalation import TIERS


def find_unknown_names(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each channel and each source that is named and not configured.

    Args:
        document: The file as it was parsed; what has another shape than it should is passed over, others say so.
    """
    channels, sources = _table(document, "channels"), _table(document, "sources")
    escalation = _table(document, "escalation")
    for tier in TIERS:
        yield from _unknown(f"escalation.{tier}", escalation.get(tier), "channel", channels)
    windows = _table(document, "watch").get("maintenance")
    for number, window in enumerate(windows if isinstance(windows, list) else [], 1):
        if isinstance(window, Mapping):
            yield from _unknown(f"watch.maintenance[{number}].sources", window.get("sources"), "source", sources)


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}


def _unknown(key: str, names: Any, kind: str, known: Mapping[str, Any]) -> Iterator[str]:
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str) and name not in known:
            alike = get_close_matches(name, known, 1)
            advice = f"did you mean {alike[0]}?" if alike else f"known are {', '.join(known)}"
            yield f"{key}: {name!r} is no {kind}; {advice if known else 'there is none yet'}"
