"""Make the sample database, and let a day pass in it.

Everything is made on the server with SQL (see the `sql` folder) from hashes of a seed: no row travels there, and the
same seed gives the same database, row by row. It holds a little of everything that real databases hold.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

from psycopg import Connection

from shared.operations.progress import OnProgress, no_progress
from shared.postgres.connection import DatabaseAddress

DEFAULT_SEED = 20261121
DEFAULT_SIZE_BYTES = 100_000_000
MINIMUM_SIZE_BYTES = 1_000_000

# Rows that make 100 MB of dump together, files included; other sizes are proportional.
_ROWS_AT_DEFAULT_SIZE = {
    "sentences": 62_000,
    "products": 3_700,
    "customers": 43_000,
    "orders": 107_000,
    "carts": 6_500,
    "reviews": 30_000,
    "workspaces": 320,
    "tickets": 9_600,
    "events": 171_000,
    "photo_blocks": 2_100,
}
_LARGE_OBJECTS = 40
_FIRST_LARGE_OBJECT_OF_A_DAY = 500_000

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_STEP_LINE = re.compile(r"^-- step: (.+)$", re.MULTILINE)
_SESSION = "set work_mem = '64MB'; set maintenance_work_mem = '256MB'; set client_min_messages = error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """What a freshly built sample must hold; tests compare a database with it.

    Attributes:
        table_rows: Exact rows of tables whose number follows from the size alone, by `schema.table`.
        large_object_count: Files stored as large objects.
        schemas: Every schema of the sample.
        roles: Every role of the sample.
        forced_row_security: Tables with FORCE ROW LEVEL SECURITY.
        empty_tables: Tables without a row.
    """

    table_rows: dict[str, int]
    large_object_count: int
    schemas: tuple[str, ...] = ("accounts", "analytics", "audit", "billing", "shop", "support")
    roles: tuple[str, ...] = ("harbour_app", "harbour_owner", "harbour_reader", "harbour_support")
    forced_row_security: tuple[str, ...] = ("accounts.api_keys",)
    empty_tables: tuple[str, ...] = ("audit.changes", "audit.retractions", "shop.order_lines_newer")


def build_sample_database(
    address: DatabaseAddress,
    *,
    seed: int = DEFAULT_SEED,
    size_bytes: int = DEFAULT_SIZE_BYTES,
    on_progress: OnProgress = no_progress,
) -> None:
    """Fill an empty database with the sample; takes about six seconds for 100 MB.

    Args:
        address: An empty database on Postgres 15 or newer, as a role that may create roles.
        seed: The same seed gives the same rows.
        size_bytes: Roughly how much COPY text a dump of it holds; at least 1 MB.
        on_progress: Told after every step of the scripts.

    Raises:
        ValueError: `size_bytes` is below the minimum.
        SourceUnreachable: The server does not answer.
        SourceRefused: The role may not connect.
    """
    values = _row_counts(size_bytes) | {"seed": seed, "large_objects": _LARGE_OBJECTS}
    steps = [step for name in _build_scripts() for step in _steps(name, values)]
    with address.connect() as connection:
        _run_steps(connection, steps, on_progress)
        connection.execute("analyze")


def change_a_day(address: DatabaseAddress, day: int, *, seed: int = DEFAULT_SEED) -> None:
    """Let one ordinary day pass: new orders, payments, tickets and events, one new file; most tables stay as they are.

    Args:
        address: A database that `build_sample_database` filled.
        day: Counts from 1; each day is played once, in order.
        seed: As for building.

    Raises:
        SourceUnreachable: The server does not answer.
        SourceRefused: The role may not connect.
    """
    values = {"seed": seed, "day": day, "large_object": _FIRST_LARGE_OBJECT_OF_A_DAY + day}
    with address.connect() as connection, connection.transaction():
        _run_steps(connection, list(_steps("change_a_day.sql", values)), no_progress)


def expected_facts(size_bytes: int = DEFAULT_SIZE_BYTES) -> SampleFacts:
    """Tell what a sample of that size holds right after it was built."""
    counts = _row_counts(size_bytes)
    return SampleFacts(
        table_rows={
            "accounts.workspaces": counts["workspaces"],
            "accounts.members": counts["workspaces"] * 4,
            "accounts.api_keys": counts["workspaces"] * 2,
            "analytics.events": counts["events"],
            "shop.carts": counts["carts"],
            "shop.customers": counts["customers"],
            "shop.orders": counts["orders"],
            "shop.price_changes": counts["products"] * 5,
            "shop.products": counts["products"],
            "shop.reviews": counts["reviews"],
            "shop.stock_movements": counts["products"] * 9,
            "support.attachments": _LARGE_OBJECTS,
            "support.tickets": counts["tickets"],
        },
        large_object_count=_LARGE_OBJECTS,
    )


def _row_counts(size_bytes: int) -> dict[str, int]:
    if size_bytes < MINIMUM_SIZE_BYTES:
        raise ValueError(f"a sample of {size_bytes} bytes is too small; {MINIMUM_SIZE_BYTES} is the least")
    counts = {name: rows * size_bytes // DEFAULT_SIZE_BYTES for name, rows in _ROWS_AT_DEFAULT_SIZE.items()}
    # Three full partitions of order lines and a fourth with room for the days to come.
    return counts | {"lines_partition_orders": counts["orders"] * 2 // 7}


def _build_scripts() -> list[str]:
    return sorted(entry.name for entry in files("shared.demo").joinpath("sql").iterdir() if entry.name[0].isdigit())


def _steps(script: str, values: dict[str, int]) -> Iterator[str]:
    """Cut a script at its `-- step:` lines, its placeholders filled in."""
    text = files("shared.demo").joinpath("sql", script).read_text(encoding="utf-8")
    filled = _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)
    starts = [0, *(found.start() for found in _STEP_LINE.finditer(filled)), len(filled)]
    for begin, end in pairwise(starts):
        yield filled[begin:end]


def _run_steps(connection: Connection, steps: list[str], on_progress: OnProgress) -> None:
    connection.execute(_SESSION)
    for done, step in enumerate(steps, start=1):
        connection.execute(step.encode())
        on_progress("sample database", done, len(steps))
