"""What the benchmarks share: a large sample on a throwaway server, a site beside it, and a watched child process."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.clock import monotonic_seconds, wait
from shared.demo.sample_database import build_sample_database
from shared.domain.manifest import ServerFacts
from shared.operations.setup import write_configuration
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import ScratchServer, start_scratch
from shared.postgres.scratch_databases import create_database
from shared.postgres.tools import Toolset, find_toolsets
from tests.support.site import Site

SIZE_BYTES = int(os.environ.get("BENCH_BYTES", str(1_000_000_000)))
TOOLS = Path(os.environ.get("GOLDCOPY_TOOLS", ".goldcopy/tools")).resolve()
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Watched:
    """What a child process took."""

    seconds: float
    peak_memory_bytes: int
    peak_scratch_bytes: int
    stdout: str


def toolset() -> Toolset:
    """The Postgres that all benchmarks use."""
    return next(found for found in find_toolsets(TOOLS) if found.major == 17 and found.has_server)


@contextmanager
def sample_server(folder: Path) -> Iterator[tuple[ScratchServer, DatabaseAddress]]:
    """Run a server with the sample in it."""
    chosen = toolset()
    with start_scratch(chosen, folder) as server:
        facts = ServerFacts(
            server_version=chosen.version,
            server_version_num=chosen.major * 10000,
            database="shop",
            encoding="UTF8",
            collate="C.UTF-8",
            ctype="C.UTF-8",
        )
        address, _notes = create_database(server.address, "shop", server=facts)
        build_sample_database(address, size_bytes=SIZE_BYTES)
        with address.connect() as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
        yield server, address


@contextmanager
def sample_site() -> Iterator[tuple[Site, ScratchServer, DatabaseAddress]]:
    """A server with the sample, and a site that names it."""
    with tempfile.TemporaryDirectory(prefix="goldcopy-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        with sample_server(folder / "servers") as (server, address):
            site = Site(folder / "site", {"GOLDCOPY_TOOLS": str(TOOLS)})
            write_configuration(site.config_path)
            site.add_source("shop", address)
            yield site, server, address


def watch(command: list[str], *, environment: dict[str, str] | None = None, scratch: Path | None = None) -> Watched:
    """Run a command and note its time, its own peak memory (children apart) and the peak of a folder's disk use.

    Raises:
        CalledProcessError: It ended badly.
    """
    began = monotonic_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        memory = disk = 0
        while child.poll() is None:
            memory = max(memory, _memory_bytes(child.pid))
            disk = max(disk, disk_bytes(scratch)) if scratch else 0
            wait(_POLL_SECONDS)
        stdout = child.stdout.read() if child.stdout else ""
    seconds = monotonic_seconds() - began
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command, stdout)
    return Watched(seconds, memory, disk, stdout)


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk; holes do not count."""
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _memory_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
