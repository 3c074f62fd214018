"""A watch on a real catalog: health is told by the test, notices go into a list, time is set by hand."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from shared.catalog.engine import Catalog
from shared.domain.channel import Channel, DeliveryResult, DeliveryState
from shared.domain.health import Health
from shared.domain.notice import Notice
from shared.domain.source import Source
from shared.domain.source_watch import WatchPolicy
from shared.operations.watch import WatchPlace, WatchReport, run_watch
from tests.support.watch_story import EVERY, look

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DELIVERED = DeliveryResult(state=DeliveryState.DELIVERED)


@dataclass
class Receivers:
    """Stands for all channels: takes what comes, unless it is told to answer otherwise."""

    taken: list[tuple[str, Notice]] = field(default_factory=list)
    answers: dict[str, DeliveryResult] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def send(self, channel: Channel, notice: Notice) -> DeliveryResult:
        """Take a notice, or answer what the test says."""
        answer = self.answers.get(channel.name, DELIVERED)
        if answer.state is DeliveryState.DELIVERED:
            with self._lock:
                self.taken.append((channel.name, notice))
        return answer

    def keys(self, channel: str) -> list[str]:
        """What a channel took, in order."""
        return [notice.key for name, notice in self.taken if name == channel]

    def twice(self) -> dict[tuple[str, str], int]:
        """What a channel took more than once."""
        counts = Counter((name, notice.key) for name, notice in self.taken)
        return {taken: number for taken, number in counts.items() if number > 1}


class WatchScene:
    """Sources whose health the test sets, channels that write down what they get."""

    def __init__(self, catalog: Catalog, *channels: str, sources: Iterable[str] = ("app", "shop")) -> None:
        self.receivers = Receivers()
        self.now = BEGIN
        self.codes: dict[str, tuple[str, ...]] = {name: () for name in sources}
        self.place = WatchPlace(
            catalog=catalog,
            sources={name: Source(name=name) for name in sources},
            channels={name: Channel(name=name, url=f"json://{name}") for name in channels or ("mail",)},
            policy=WatchPolicy(),
            read_healths=self.healths,
            send=self.receivers.send,
        )

    def healths(self, _now: datetime) -> list[Health]:
        """Judge every source as the test says."""
        looks = {name: look(*codes) for name, codes in self.codes.items() if name in self.place.sources}
        return [Health(source=name, colour=item.colour, reasons=item.reasons) for name, item in looks.items()]

    def change(self, **changes: object) -> None:
        """Change what the watch is given."""
        self.place = replace(self.place, **changes)  # type: ignore[arg-type] # the test's own fields

    def watch(self, *, after: timedelta = EVERY, clock: Callable[[], datetime] | None = None) -> WatchReport:
        """Let some time pass, and look."""
        self.now += after
        return run_watch(self.place, now=clock or (lambda: self.now))

    def watch_for(self, length: timedelta, *, every: timedelta = EVERY) -> list[str]:
        """Look again and again for some time; return the keys of all notices."""
        end, keys = self.now + length, []
        while self.now < end:
            keys += [notice.key for notice in self.watch(after=every).notices]
        return keys
