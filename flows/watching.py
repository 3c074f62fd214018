"""Watch the programs of `goldcopy up`: start again what ends, and stop without losing running work."""

import signal
from collections.abc import Callable, Sequence
from types import FrameType

import httpx
from prefect import get_client

from flows import pool, reconciling, server
from flows.supervision import Program, clear_leftovers, is_marked
from flows.supervision_environment import POOL
from flows.support import note_lost_runs_now
from shared.clock import monotonic_seconds, wait
from shared.config.load import Config
from shared.errors import Interrupted

_TICK_SECONDS = 0.25
_LOOK_EVERY_SECONDS = 5.0


class Watch:
    """Keeps the server and the workers running until a signal comes."""

    def __init__(
        self,
        prefect_server: Program,
        workers: Sequence[Program],
        *,
        url: str,
        mark: str,
        config: Config,
        say: Callable[[str], None],
    ) -> None:
        self._server = prefect_server
        self._workers = workers
        self._url = url
        self._mark = mark
        self._config = config
        self._say = say
        self._signals = 0
        self._is_worker_stale = False
        self._look_at_seconds = 0.0

    def until_stopped(self, drain_seconds: float) -> int:
        """Watch until a signal, then drain and stop.

        Returns:
            Exit code: 0 when no running work was ended, else 130.
        """
        for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(kind, self._note_signal)
        while not self._signals:
            self._keep_running()
            wait(_TICK_SECONDS)
        is_drained = self._drain(drain_seconds)
        for program in self._workers:
            program.stop()
        if not is_drained:
            self._close_ended_work()
        self._server.stop()
        self._say("stopped")
        return 0 if is_drained else Interrupted.exit_code

    def _note_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _keep_running(self) -> None:
        for program in (self._server, *self._workers):
            if not program.is_running:
                self._bring_back(program)
        if self._is_worker_stale and monotonic_seconds() >= self._look_at_seconds:
            self._look_at_seconds = monotonic_seconds() + _LOOK_EVERY_SECONDS
            self._renew_worker()

    def _bring_back(self, program: Program) -> None:
        """Start a program again after a pause that grows while it keeps ending."""
        if program.start_again_at_seconds is None:
            pause = program.plan_restart()
            self._say(f"the {program.name} ended by itself; it starts again in {pause:.0f} s (log: {program.log})")
        elif monotonic_seconds() >= program.start_again_at_seconds:
            if program is self._server:
                self._is_worker_stale = True
            elif program.name == "worker" and not self._close_runs_of_dead_worker():
                return
            program.start()

    def _close_runs_of_dead_worker(self) -> bool:
        """Close runs that died with their worker; one that lives on without it may end by itself."""
        try:
            lost = reconciling.close_lost_runs(
                POOL, is_alive=lambda pid: is_marked(pid, self._mark), message=reconciling.STOPPED
            )
        except httpx.HTTPError:
            return False
        for name in lost:
            self._say(f"closed a run that died with its worker: {name}")
        if lost:
            note_lost_runs_now(str(self._config.path), self._say)
        return True

    def _renew_worker(self) -> None:
        """Start the worker anew after its server was: its watch for cancellations may have died (3.8.8), unseen."""
        if server.is_healthy(self._url) and not self._active():
            for program in self._workers:
                if program.name == "worker":
                    program.stop()
                    program.start()
            self._is_worker_stale = False

    def _active(self) -> list[str]:
        with get_client(sync_client=True) as client:
            return [run.name for run in reconciling.active_runs(client, POOL)]

    def _drain(self, drain_seconds: float) -> bool:
        """Give out no new work and wait for what is running.

        Returns:
            Whether nothing is running any more.
        """
        deadline = monotonic_seconds() + drain_seconds
        told = False
        while self._signals < 2 and monotonic_seconds() < deadline:
            try:
                pool.set_paused(POOL, is_paused=True)
                active = self._active()
            except httpx.HTTPError:
                wait(_TICK_SECONDS)
                continue
            if not active:
                return True
            if not told:
                told = True
                self._say(f"waiting for {', '.join(active)}; Ctrl-C again stops at once")
            wait(_TICK_SECONDS * 2)
        return False

    def _close_ended_work(self) -> None:
        clear_leftovers(self._mark, spare_sessions={self._server.session})
        try:
            lost = reconciling.close_lost_runs(POOL, is_alive=lambda _pid: False, message=reconciling.STOPPED)
        except httpx.HTTPError:
            self._say("the server does not answer; the next start closes the runs that were ended")
            return
        for name in lost:
            self._say(f"ended: {name}")
        note_lost_runs_now(str(self._config.path), self._say)
