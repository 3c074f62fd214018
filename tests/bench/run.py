"""Run every benchmark of this folder, one after the other, each in a process of its own: `make bench`.

A benchmark is a module `bench_<what>.py` with a `main()` that prints a table. Choose some by name:
`python -m tests.bench.run backup restore`. Numbers are only comparable within one run: the plain tools are measured
beside Goldcopy, in the same minute.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

from shared.clock import monotonic_seconds
from shared.units import format_bytes, format_duration

FOLDER = Path(__file__).parent
_RULE = "=" * 100


def benchmarks(wanted: list[str]) -> list[str]:
    """Name the modules to run: all of them, or those whose name holds one of `wanted`.

    Raises:
        SystemExit: A wanted name fits none.
    """
    names = sorted(path.stem for path in FOLDER.glob("bench_*.py"))
    unknown = [part for part in wanted if not any(part in name for name in names)]
    if unknown:
        raise SystemExit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if not wanted or any(part in name for part in wanted)]


def machine() -> str:
    """Describe what the numbers were measured on."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return (
        f"{cores} cores, {format_bytes(memory_bytes)} of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


def main() -> int:
    """Run them; the exit code says whether all ended well."""
    names = benchmarks(sys.argv[1:])
    print(f"{machine()}\n", flush=True)
    failed = []
    for name in names:
        print(f"{_RULE}\n{name}\n{_RULE}", flush=True)
        began = monotonic_seconds()
        # A process of its own: memory measured in one is not the rest of another.
        ended = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False)
        print(f"\n({name}: {format_duration(monotonic_seconds() - began)})\n", flush=True)
        if ended.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
