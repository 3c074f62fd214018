"""`goldcopy up`: Prefect's server, schedules, a worker and the app on one machine, started and watched by one process.

The order matters. Leftovers of a killed predecessor end first; runs that died with it are closed before a worker asks
for work, else they block their successors for ever; the pool is paused and drained before the worker stops, since a
worker that is told to stop kills its runs and leaves them Running.
"""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path

import click

from flows import server
from flows.deploy import PREFECT_FILE, plan_own, read_definitions
from flows.supervision import Program, clear_leftovers, only_supervisor, run_prefect
from flows.supervision_environment import POOL, program_environment, use_for_this_process
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.schedule import Cron
from shared.errors import GoldcopyError
from shared.units import format_duration

RUNS_AT_ONCE = 4
DRAIN_SECONDS = 600

Say = Callable[[str], None]


@click.command("up")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page (default: the last one, else 4200).")
@click.option("--runs-at-once", type=click.IntRange(1, 64), default=RUNS_AT_ONCE, show_default=True)
@click.option(
    "--drain",
    "drain_seconds",
    type=click.IntRange(0),
    default=DRAIN_SECONDS,
    show_default=True,
    help="Seconds to wait for running work when stopped.",
)
@click.pass_obj
def command(config: str | None, port: int | None, runs_at_once: int, drain_seconds: int) -> int:
    """Run everything on this machine: server, schedules, worker, app.

    Ctrl-C (or SIGTERM) waits for running backups and then stops; a second one stops at once.
    """
    return run_up(load_config(config), port=port, runs_at_once=runs_at_once, drain_seconds=drain_seconds)


def run_up(config: Config, *, port: int | None, runs_at_once: int, drain_seconds: float) -> int:
    """Start everything, watch it until a signal, drain, stop.

    Returns:
        Exit code: 0 after a clean stop, 130 when running work was ended.

    Raises:
        GoldcopyError: It cannot be started; nothing keeps running then.
    """
    state = config.state_folder
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_supervisor(state / "up.lock"):
        if ended := clear_leftovers(str(state)):
            say(f"ended {len(ended)} processes that a killed `goldcopy up` left behind")
        chosen = server.choose_port(port, state)
        up = Up(config, chosen, runs_at_once)
        with up.programs_end():
            up.start()
            server.remember_port(state, chosen)
            for line in up.readiness(drain_seconds):
                say(line)
            from flows.watching import Watch

            return Watch(up.server, up.workers, url=up.url, mark=str(state), config=config, say=say).until_stopped(
                drain_seconds
            )


def say(line: str) -> None:
    """Tell the person at the terminal; one that went away changes nothing."""
    with suppress(OSError):
        click.echo(line, err=True)


class Up:
    """The programs of one `goldcopy up`, and the order in which they start."""

    def __init__(self, config: Config, port: int, runs_at_once: int) -> None:
        state = config.state_folder
        self.config = config
        self.url = server.api_url(port)
        self.logs = state / "logs"
        self.environment = program_environment(
            home=state / "prefect", api_url=self.url, config=config.path, supervisor=str(state)
        )
        self.server = self._program(
            "server", "-m", "prefect", "server", "start", "--host", server.HOST, "--port", str(port)
        )
        worker = self._program(
            "worker", "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process",
            "--name", f"goldcopy-up-{socket.gethostname()}", "--limit", str(runs_at_once),
        )  # fmt: skip
        self.app_port = server.free_port_near(config.file.app.port)
        self.workers = [worker, *self._app()]

    def _program(self, name: str, *arguments: str) -> Program:
        return Program(name, arguments, self.environment, self.logs / f"{name}.log")

    def _app(self) -> list[Program]:
        """The app, where it is installed."""
        if not entry_points(group="goldcopy.commands", name="app"):
            return []
        config, port = str(self.config.path), str(self.app_port)
        return [self._program("app", "-m", "shared.cli.main", "app", "--config", config, "--port", port)]

    @contextmanager
    def programs_end(self) -> Iterator[None]:
        """See to it that no program outlives what happens inside."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield
        finally:
            for program in (*self.workers, self.server):
                program.stop()

    def start(self) -> None:
        """Bring everything up, in the order that leaves no run behind.

        Raises:
            GoldcopyError: Something could not be started.
        """
        for folder in (self.logs, self.config.state_folder / "prefect"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        say("starting the Prefect server ...")
        self.server.start()
        use_for_this_process(self.environment)
        # Only now: importing Prefect takes two seconds, in which the server starts, and reads the environment.
        from flows import pool, reconciling
        from flows.deployments import apply, install_rest, remove_stale
        from flows.support import note_lost_runs_now

        server.wait_until_healthy(self.server, self.url)
        pool.make_ready(POOL, self.environment)
        for name in reconciling.close_lost_runs(POOL, is_alive=lambda _pid: False, message=reconciling.STOPPED):
            say(f"closed a run that was interrupted: {name}")
        note_lost_runs_now(str(self.config.path), say)
        say("deploying the schedules ...")
        run_prefect(["deploy", "--all", "--prefect-file", str(PREFECT_FILE)], self.environment, cwd=PREFECT_FILE.parent)
        own = plan_own(self.config.sources.values(), read_definitions())
        apply(own.values())
        remove_stale(own)
        install_rest(self.config.sources, self.config.file.limits.backups_at_once)
        for program in self.workers:
            program.start()

    def readiness(self, drain_seconds: float) -> Iterator[str]:
        """Say where everything is and what comes next."""
        yield f"Goldcopy is up: {self.url.removesuffix('/api')}"
        if any(program.name == "app" for program in self.workers):
            yield f"  app     {self.config.file.app.url or f'http://{self.config.file.app.host}:{self.app_port}'}"
        yield f"  shell   export PREFECT_API_URL={self.url}   (before `prefect deployment run ...` and the like)"
        for name in self.config.sources:
            try:
                self.config.source_url(name)
            except GoldcopyError as error:
                yield f"  !       {name} cannot be backed up from here: {error}"
        yield f"  logs    {_short(self.logs)}/server.log, worker.log, app.log"
        yield f"  stop    Ctrl-C, which waits up to {format_duration(drain_seconds)} for running work"
        standard = read_definitions()
        planned = (*standard.values(), *plan_own(self.config.sources.values(), standard).values())
        fires = [
            (Cron(item.cron, item.timezone).next_after(utc_now()), item.name)
            for item in planned
            if item.cron is not None
        ]
        for at, name in sorted(fires)[:8]:
            yield f"  next    {at:%a %Y-%m-%d %H:%M} UTC  {name}"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
