"""Back up about 1 GB beside plain pg_dump, on the same server in the same minutes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from shared.clock import monotonic_seconds
from shared.postgres.connection import DatabaseAddress
from shared.units import format_bytes
from tests.bench.scene import Watched, sample_site, toolset, watch
from tests.support.site import Site

ROUNDS = 3


def main() -> None:
    """Print the table."""
    with sample_site() as (site, _server, address):
        plain, compressed, compressed_bytes, first, again = [], [], 0, [], []
        for _ in range(ROUNDS):
            plain.append(_pg_dump(address, "-Z0")[0])
            first.append(_backup(site, fresh=True))
            again.append(_backup(site, fresh=False))
        seconds, compressed_bytes = _pg_dump(address)
        compressed.append(seconds)
    document, watched = min(first, key=lambda item: item[0]["duration_seconds"])
    second, _ = again[-1]
    base, default, ours = min(plain), min(compressed), document["duration_seconds"]
    dumped = document["dumped_bytes"]
    print(f"database: {format_bytes(dumped)} of COPY text, {document['table_count']} tables; best of {ROUNDS}\n")
    rows = [
        ("pg_dump -Fc -Z0 to nothing", f"{base:.2f} s", ""),
        ("pg_dump -Fc (default compression)", f"{default:.2f} s, {format_bytes(compressed_bytes)}", ""),
        ("goldcopy backup, first", f"{ours:.2f} s", f"{ours / base:.2f} x -Z0 (target <= 1.3)"),
        ("", "", f"{default / ours:.1f} x faster than -Fc (target >= 3.5)"),
        ("  as a command, Python's start included", f"{watched.seconds:.2f} s", ""),
        (
            "  stored",
            format_bytes(document["stored_bytes"]),
            f"{document['stored_bytes'] / compressed_bytes:.2f} x -Fc (target <= 1)",
        ),
        ("  peak memory of the process", format_bytes(watched.peak_memory_bytes), "target <= 300 MB"),
        (
            "  peak scratch space",
            format_bytes(watched.peak_scratch_bytes),
            f"{watched.peak_scratch_bytes / dumped:.0%} of the dump (target <= 25 %)",
        ),
        (
            "goldcopy backup, nothing changed",
            f"{second['duration_seconds']:.2f} s, {format_bytes(second['new_bytes'])} new",
            f"{second['new_bytes'] / document['new_bytes']:.2%} of the first (target <= 1 %)",
        ),
    ]
    for what, measured, judged in rows:
        print(f"{what:<42} {measured:<26} {judged}")


def _pg_dump(address: DatabaseAddress, *options: str) -> tuple[float, int]:
    with address.child_environment() as environment:
        began = monotonic_seconds()
        command = [str(toolset().program("pg_dump")), "-Fc", *options, "--dbname=service=goldcopy"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            size = 0
            while chunk := child.stdout.read(1 << 20):
                size += len(chunk)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
        return monotonic_seconds() - began, size


def _backup(site: Site, *, fresh: bool) -> tuple[dict[str, Any], Watched]:
    state = site.folder / ".goldcopy"
    if fresh:
        for name in ("repository", "catalog.db", "catalog.db-wal", "catalog.db-shm", "fingerprint.key"):
            subprocess.run(["rm", "-rf", str(state / name)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), **site.environment}
    watched = watch(site.command("backup", "shop", "--json"), environment=environment, scratch=state / "scratch")
    return json.loads(watched.stdout), watched


if __name__ == "__main__":
    main()
