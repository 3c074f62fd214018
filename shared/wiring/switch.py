"""The dead man's switch of one look: pinged at both ends, and told of when it hears nothing."""

from datetime import datetime

from shared.domain.channel_health import switch_reason
from shared.domain.health_reason import Reason
from shared.domain.reach import settle_reach
from shared.domain.source_facts import Reachability
from shared.errors import ConfigInvalid
from shared.notices.dead_mans_switch import DeadMansSwitch, Ping
from shared.wiring.parts import Parts

_REACH = "dead-mans-switch"


class Switch:
    """The monitor elsewhere, during one look. Nothing that is wrong with it ends the look."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._monitor, self._unusable = DeadMansSwitch(""), ""
        try:
            self._monitor = dead_mans_switch(parts)
        except ConfigInvalid as error:
            self._unusable = error.message

    def begin(self) -> tuple[Reason, ...]:
        """Tell the monitor that a look begins.

        Returns:
            Why it cannot be used: at once where its URL is at fault, else when the look before did not reach it either,
            for one lost ping is no trouble, and some monitors know no `/start`.

        Raises:
            CatalogProblem: The catalog cannot be read.
        """
        if self._unusable:
            return (switch_reason(self._unusable),)
        problem = self._monitor.ping(Ping.START)
        if not problem:
            return ()
        before = self._parts.catalog.reach(_REACH)
        return (switch_reason(problem),) if before and before[1] else ()

    def fail(self, message: str) -> None:
        """Tell the monitor that a look could not be made."""
        self._monitor.ping(Ping.FAIL, message)

    def end(self, kind: Ping, message: str, now: datetime) -> None:
        """Tell the monitor how the look ended, and remember for the next one whether it took that."""
        if not self._monitor.url:
            return
        problem = self._monitor.ping(kind, message)
        before = self._parts.catalog.reach(_REACH)
        answer = Reachability(is_reachable=not problem, asked_at=now, message=problem)
        stands, failures = settle_reach(before[0] if before else None, before[1] if before else 0, answer)
        self._parts.catalog.record_reach(_REACH, stands, failures=failures)


def dead_mans_switch(parts: Parts) -> DeadMansSwitch:
    """Return the monitor elsewhere; without a URL it does nothing.

    Raises:
        ConfigInvalid: What its URL refers to is missing, or it is none.
    """
    given = parts.config.file.watch.dead_mans_switch
    url = parts.config.references.text(given, key="watch.dead_mans_switch") if given else ""
    if url and not url.startswith(("https://", "http://")):
        raise ConfigInvalid(
            "its URL must begin https://", hint="Give watch.dead_mans_switch the ping URL of the monitor."
        )
    return DeadMansSwitch(url)
