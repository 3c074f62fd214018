"""goldcopy metrics: numbers for Prometheus, once or over HTTP."""

from contextlib import suppress
from importlib.metadata import version

import click

from shared.clock import utc_now
from shared.errors import UsageProblem
from shared.operations.metrics import metrics_text
from shared.wiring.metrics_endpoint import LOOPBACK, MetricsServer
from shared.wiring.status import StatusDesk, open_status


@click.command(epilog="Exit codes: 0 the catalog could be read, 3 it could not, 2 usage or configuration.")
@click.option("--probe", is_flag=True, help="Ask the repository whether it can be reached.")
@click.option("--serve", metavar="[HOST:]PORT", help="Answer GET /metrics there, on this machine only without a HOST.")
@click.pass_obj
def metrics(config: str | None, *, probe: bool, serve: str | None) -> int:
    """Print health, exposure, durations, sizes and failures of every source for Prometheus."""
    with open_status(config) as desk:
        if serve is None:
            is_readable, text = _read(desk, probe=probe)
            click.echo(text, nl=False)
            return 0 if is_readable else 3
        host, port = _address(serve)
        # A service is ended by Ctrl-C or SIGTERM; nothing is left undone then.
        with suppress(KeyboardInterrupt), MetricsServer(host, port, lambda: _read(desk, probe=probe)) as server:
            click.echo(f"metrics at {server.url}", err=True)
            server.serve_forever()
    return 0


def _read(desk: StatusDesk, *, probe: bool) -> tuple[bool, str]:
    now = utc_now()
    repository = desk.probe(now) if probe else None
    report = desk.read(now, repository=repository)
    return not report.catalog_error, metrics_text(report, version=version("goldcopy"), repository=repository)


def _address(text: str) -> tuple[str, int]:
    """Read `9187`, `0.0.0.0:9187` or `[::1]:9187`.

    Raises:
        UsageProblem: It is none of these.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()):
        raise UsageProblem(f"--serve {text!r} has no port", hint="Write for example --serve 9187 or 10.0.0.5:9187.")
    return host.strip("[]") or LOOPBACK, int(port)
