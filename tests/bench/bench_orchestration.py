"""What Prefect adds to a run beyond its work, with the server and the worker of `goldcopy up` running.

The work is a fake that does nothing, so all time is orchestration. Target: at most 2 s between Running and Completed.
"""

import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from tests.support.fake_workspace import told
from tests.support.prefect_up import UpProcess

RUNS = 5
TARGET_SECONDS = 2.0


def main() -> int:
    """Measure and print; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as folder:
        up = UpProcess(Path(folder))
        told(up.folder, app={}, shop={})
        try:
            cold_seconds = up.start()
            one = [_measure(up, "backup/manual", source="shop") for _ in range(RUNS)]
            two = [_measure(up, "backup/daily") for _ in range(RUNS)]
        finally:
            up.close()
    print(f"goldcopy up, first start to ready: {cold_seconds:.1f} s")
    print(f"{'run':<32} {'trigger to Running':>20} {'Running to Completed':>22}   (median of {RUNS})")
    for name, measured in (("backup of one source", one), ("backup of two sources at once", two)):
        waits, works = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"{name:<32} {waits:>18.2f} s {works:>20.2f} s")
    overhead = statistics.median(work for _wait, work in one)
    print(f"orchestration per flow run: {overhead:.2f} s, target {TARGET_SECONDS:.0f} s")
    return 0 if overhead <= TARGET_SECONDS else 1


def _measure(up: UpProcess, deployment: str, **parameters: object) -> tuple[float, float]:
    run_id = up.run(deployment, **parameters)
    up.until_state(run_id, "Completed", timeout_seconds=90)
    run = up.get(f"/flow_runs/{run_id}")
    created, began, ended = (datetime.fromisoformat(run[key]) for key in ("created", "start_time", "end_time"))
    return (began - created).total_seconds(), (ended - began).total_seconds()


if __name__ == "__main__":
    raise SystemExit(main())
