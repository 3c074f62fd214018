"""Gather what the weekly digest tells managers: every source over the time since the digest before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.catalog.engine import Catalog
from shared.catalog.records import SourceStatusRow
from shared.domain.cost import MonthCost, Prices
from shared.domain.health import Health
from shared.domain.health_reason import Colour
from shared.domain.notice import Notice
from shared.domain.notice_digest import Digest, DigestLine, weekly_digest
from shared.domain.notice_words import Links
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.operations.storage import read_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFacts:
    """What a digest is made from, besides the catalog.

    Attributes:
        begins_at: Instant of the digest before.
        ends_at: Its own instant.
        sizes_before: What every source took in the repository when the one before was made, in bytes.
        failing_channels: Names of channels that reach nobody now.
        prices: What the store's owner charges; without any, nothing is said of money.
        links: Pages that say more.
    """

    begins_at: datetime
    ends_at: datetime
    sizes_before: Mapping[str, int]
    failing_channels: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)
    links: Links = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDigest:
    """A digest, and the sizes that the next one compares with."""

    notice: Notice
    sizes: Mapping[str, int]


def digest_key(ends_at: datetime) -> str:
    """Return the key of the digest that ends at an instant."""
    return weekly_digest(Digest(begins_at=ends_at, ends_at=ends_at, lines=())).key


def make_digest(
    catalog: Catalog, sources: Mapping[str, Source], healths: Sequence[Health], facts: DigestFacts
) -> MadeDigest:
    """Write the digest of a time that is over.

    Args:
        catalog: Where the history is.
        sources: The configured sources by name.
        healths: How they stand now.
        facts: What else it is made from.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    standing = {row.source: row for row in catalog.source_statuses()}
    done: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for day in catalog.backup_days(since=facts.begins_at.date()):
        if day.day < facts.ends_at.date():
            done[day.source] = (done[day.source][0] + day.ok, done[day.source][1] + day.failed)
    tests = catalog.count_restore_tests(facts.begins_at, facts.ends_at)
    lines = tuple(
        _line(
            sources[health.source],
            health,
            standing.get(health.source) or SourceStatusRow(source=health.source),
            done[health.source],
            tests.get(health.source, {}),
            facts,
        )
        for health in healths
        if health.source in sources
    )
    incidents = [item for item in catalog.incidents(since=facts.begins_at) if item.opened_at < facts.ends_at]
    digest = Digest(
        begins_at=facts.begins_at,
        ends_at=facts.ends_at,
        lines=lines,
        incidents=sum(item.opened_at >= facts.begins_at for item in incidents),
        open_incidents=sum(item.is_open for item in incidents),
        failing_channels=facts.failing_channels,
        cost=_cost(catalog, sources, facts),
    )
    sizes = {line.source: line.stored_bytes for line in lines}
    return MadeDigest(notice=weekly_digest(digest, links=facts.links), sizes=sizes)


def _cost(catalog: Catalog, sources: Mapping[str, Source], facts: DigestFacts) -> MonthCost | None:
    """The bill that `goldcopy cost` and the app show, as of the digest's end."""
    if facts.prices == Prices():
        return None
    return read_storage(catalog, sources, facts.prices, facts.ends_at, with_kinds=False).cost


def _line(
    source: Source,
    health: Health,
    row: SourceStatusRow,
    done: tuple[int, int],
    tests: Mapping[str, int],
    facts: DigestFacts,
) -> DigestLine:
    is_bad = health.colour is not Colour.GREEN and bool(health.reasons)
    return DigestLine(
        source=source.name,
        colour=health.colour,
        reason=health.reasons[0].sentence if is_bad else "",
        exposure=_age(row.newest_complete_at, facts.ends_at),
        proven_exposure=_age(row.newest_proven_at, facts.ends_at),
        rpo=source.objectives.rpo,
        backups=done[0],
        failures=done[1],
        tests_passed=tests.get(Outcome.PASSED.value, 0),
        tests_failed=tests.get(Outcome.FAILED.value, 0),
        tests_not_measured=tests.get(Outcome.NOT_MEASURED.value, 0),
        recovery_time_seconds=row.recovery_time_seconds,
        stored_bytes=row.stored_bytes,
        stored_bytes_before=facts.sizes_before.get(source.name),
    )


def _age(at: datetime | None, now: datetime) -> timedelta | None:
    return max(timedelta(0), now - at) if at else None
