"""End a read of the source that nothing comes from any more, or that nobody wants any more."""

from collections.abc import Callable
from dataclasses import dataclass
from select import select
from typing import IO

from shared.clock import monotonic_seconds
from shared.errors import ProgramStalled

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ReadGuard:
    """What a read of the source beside a dump keeps to.

    Attributes:
        stall_seconds: It ends when nothing comes for this long.
        check: Raises when the dump that it belongs to has failed.
    """

    stall_seconds: float
    check: Callable[[], None]

    def wait_for(self, stream: IO[bytes]) -> None:
        """Wait until there is something to read, or the end.

        Raises:
            ProgramStalled: Nothing came for too long.
            GoldcopyError: The dump has failed meanwhile.
        """
        began = monotonic_seconds()
        self.check()
        while not select([stream], [], [], _LOOK_SECONDS)[0]:
            self.check()
            if monotonic_seconds() - began > self.stall_seconds:
                raise ProgramStalled(
                    f"nothing came from the server for {self.stall_seconds:g} seconds",
                    hint="Look for locks and a stuck network at the source (pg_stat_activity), then run it again.",
                )
