"""What `goldcopy check` says of the numbers in the configuration: can they keep together what each promises?"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from shared.domain.detection import check_detection, check_objective
from shared.domain.proof import Finding
from shared.domain.silence import check_silence
from shared.errors import CatalogProblem
from shared.wiring.parts import Parts


def check_promises(parts: Parts, sources: Sequence[str], now: datetime) -> Iterator[Finding]:
    """Find configured numbers that do not fit together, or keep quiet for ever; each finding names what to change."""
    durations = _usual_durations(parts)
    for name in sources:
        source = parts.config.source(name)
        yield from check_objective(source, durations.get(name), now)
        yield from check_detection(source, now)
    yield from check_silence(parts.config.file.watch.policy(parts.config.file.escalation), now)


def _usual_durations(parts: Parts) -> Mapping[str, timedelta]:
    """How long the newest backup of each source took; that the catalog cannot be read is a finding of its own."""
    try:
        rows = parts.catalog.source_statuses()
    except CatalogProblem:
        return {}
    took = {row.source: row.newest_complete_seconds for row in rows}
    return {source: timedelta(seconds=seconds) for source, seconds in took.items() if seconds is not None}
