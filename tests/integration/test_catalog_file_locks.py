"""The locks of a SQLite catalog: whoever opens it a second time must not take them from the first."""

import subprocess
import sys
from pathlib import Path

from shared.catalog.engine import open_catalog
from shared.clock import utc_now

_WRITE = """
import sys
from shared.catalog.engine import open_catalog
from shared.clock import utc_now
with open_catalog(sys.argv[1], actor="other") as catalog:
    catalog.register_source("other", "postgres", utc_now())
"""


def test_opening_it_again_in_one_process_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    url = f"sqlite:///{path}"
    with open_catalog(url, actor="first") as first:
        first.register_source("app", "postgres", utc_now())
        open_catalog(url, actor="second").close()
        # Another process that closes the file believes to be the last one where it sees no lock: it would then remove
        # the write-ahead log under the first one's feet, and the catalog would be damaged by its next write.
        subprocess.run([sys.executable, "-c", _WRITE, url], check=True)
        assert path.with_name("catalog.db-wal").exists()
        first.register_source("shop", "postgres", utc_now())
        assert {row.source for row in first.source_statuses()} == {"app", "other", "shop"}
