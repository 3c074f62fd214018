"""How long `goldcopy status --json` takes for 1,000 sources with three years of daily backups, on SQLite and Postgres.

Run: `python -m tests.bench.bench_status [--sources 1000] [--days 1100] [--skip-postgres]`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, text

from shared.clock import monotonic_seconds, utc_now
from shared.demo.generated_history import HistoryShape, configuration_text, fill_catalog
from shared.domain.manifest import ServerFacts
from shared.postgres.scratch import start_scratch
from shared.postgres.scratch_databases import create_database
from shared.units import format_duration
from tests.bench.scene import toolset

TARGET_SECONDS = 2.0
RUNS = 5


def measure(url: str, folder: Path, shape: HistoryShape) -> dict[str, object]:
    """Fill a catalog and time the whole command, as a person would run it."""
    begun = monotonic_seconds()
    made = fill_catalog(url, utc_now(), shape)
    gather_statistics(url)
    filled = monotonic_seconds() - begun
    config = folder / "goldcopy.toml"
    config.write_text(configuration_text(url, shape), encoding="utf-8")
    measured: dict[str, object] = {"backups": made.backups, "fill_seconds": round(filled, 1)}
    commands = {"status": ["status", "--json"], "metrics": ["metrics"], "version": ["--version"]}
    for name, arguments in commands.items():
        walls, cpus, stdout = zip(*(_run(config, folder, arguments) for _ in range(RUNS)), strict=True)
        measured[f"{name}_seconds"] = round(min(walls), 2)
        measured[f"{name}_cpu_seconds"] = round(min(cpus), 2)  # what a busy machine blurs less
        if name == "status":
            assert len(json.loads(stdout[0])["sources"]) == shape.sources
    return measured


def gather_statistics(url: str) -> None:
    """Do what a server's autovacuum does within minutes after so many rows; the scratch server has none."""
    if url.startswith("postgresql"):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))
        engine.dispose()


def _run(config: Path, folder: Path, arguments: list[str]) -> tuple[float, float, str]:
    """Return seconds, seconds of CPU and the output of one command; Python keeps its compiled modules, as it does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    before, begun = os.times(), monotonic_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "--config", str(config), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    wall, after = monotonic_seconds() - begun, os.times()
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stderr)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, done.stdout


@contextmanager
def postgres_url(folder: Path) -> Iterator[str]:
    """Run a server and name an empty database on it."""
    chosen = toolset()
    facts = ServerFacts(
        server_version=chosen.version,
        server_version_num=chosen.major * 10000,
        database="catalog",
        encoding="UTF8",
        collate="C.UTF-8",
        ctype="C.UTF-8",
    )
    with start_scratch(chosen, folder) as server:
        address, _notes = create_database(server.address, "catalog", server=facts)
        # A server that listens on a socket: its folder is no host name, so everything goes by the query.
        yield URL.create("postgresql+psycopg", query=dict(address.parameters)).render_as_string(hide_password=False)


def main() -> None:
    """Print the measurements, as a table and as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=1_100)
    parser.add_argument("--skip-postgres", action="store_true")
    options = parser.parse_args()
    shape = HistoryShape(sources=options.sources, days=options.days)
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results["SQLite"] = measure(f"sqlite:///{folder}/catalog.db", folder, shape)
        if not options.skip_postgres:
            (folder / "server").mkdir()
            with postgres_url(folder / "server") as url:
                results["Postgres"] = measure(url, folder, shape)
    print(f"{shape.sources} sources, {shape.days} days of backups (target {TARGET_SECONDS:.0f} s, best of {RUNS} runs)")
    for kind, measured in results.items():
        filled = format_duration(float(str(measured["fill_seconds"])))
        print(f"  {kind}: {measured['backups']} backups written in {filled}")
        for what, words in (("status", "status --json"), ("metrics", "metrics"), ("version", "(only starting)")):
            wall, cpu = float(str(measured[f"{what}_seconds"])), float(str(measured[f"{what}_cpu_seconds"]))
            print(f"    goldcopy {words:16} {format_duration(wall):>8}   ({format_duration(cpu)} of CPU)")
    print(json.dumps({"status": results}))


if __name__ == "__main__":
    main()
