"""Sources that live for months, with incidents injected into them, and statements that strike a real database."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.anomaly import BackupPoint, Rule, TableCount
from shared.domain.backup import BackupKind
from tests.support.anomaly_histories import BEGIN, DAY

DAYS = 120
FIRST_INCIDENT = 20
"""A source must have a history before anything can be odd about it."""

ROW_BYTES = 150


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened to a source, from a day on and for some days."""

    kind: str
    first: int
    days: int
    table: str = ""
    strength: float = 1.0

    def holds(self, day: int) -> bool:
        return self.first <= day < self.first + self.days


# Which rules are right about an incident; the first is the one whose recall it counts for.
RIGHT: dict[str, tuple[Rule, ...]] = {
    "most rows of a table deleted": (Rule.TABLE_SHRUNK, Rule.DUMPED_SIZE, Rule.STORED_SIZE),
    "table truncated": (Rule.TABLE_EMPTY, Rule.DUMPED_SIZE, Rule.STORED_SIZE),
    "table dropped": (Rule.TABLE_DROPPED, Rule.DUMPED_SIZE, Rule.STORED_SIZE),
    "table loaded twice": (Rule.TABLE_GROWN, Rule.DUMPED_SIZE, Rule.STORED_SIZE, Rule.DURATION),
    "large values lost": (Rule.DUMPED_SIZE, Rule.STORED_SIZE),
    "database swollen": (Rule.DUMPED_SIZE, Rule.STORED_SIZE, Rule.DURATION),
    "content encrypted by an intruder": (Rule.COMPRESSION, Rule.STORED_SIZE),
    "backup far slower": (Rule.DURATION,),
}


@dataclass(slots=True)
class Table:
    """How one table's rows go."""

    name: str
    rows: float
    growth: float = 0.0
    noise: float = 0.0
    queue: bool = False
    cleared_weekly: bool = False

    def at(self, day: int, chance: random.Random) -> int:
        if self.queue:
            return int(chance.expovariate(1 / self.rows))
        if self.cleared_weekly:
            return int(self.rows * (1 + day % 7) * math.exp(chance.gauss(0, 0.05)))
        return max(0, round(self.rows * (1 + self.growth) ** day * math.exp(chance.gauss(0, self.noise))))


@dataclass(slots=True)
class Life:
    """One source: its tables, its habits, its incidents, and how it grew by bulk imports, which are no incident."""

    tables: list[Table]
    noise: float
    weekend: float
    base_bytes: float
    imports: dict[int, float]
    incidents: list[Incident]
    chance: random.Random = field(repr=False)

    def backup(self, day: int) -> tuple[BackupPoint, tuple[TableCount, ...]]:
        now = [incident for incident in self.incidents if incident.holds(day)]
        grown = math.prod(factor for at, factor in self.imports.items() if at <= day)
        rows = {table.name: table.at(day, self.chance) for table in self.tables}
        for name in ("ledger", "orders"):
            rows[name] = round(rows[name] * grown)
        for incident in now:
            _strike_tables(incident, rows)
        at = BEGIN + day * DAY + timedelta(minutes=self.chance.uniform(0, 90))
        season = self.weekend if at.weekday() >= 5 else 1.0
        base = self.base_bytes * grown * season * math.exp(self.chance.gauss(0, self.noise))
        dumped = base + ROW_BYTES * sum(rows.values())
        stored = dumped / 4 * math.exp(self.chance.gauss(0, 0.01))
        seconds = 20 + dumped / 20e6 * math.exp(self.chance.gauss(0, 0.15))
        for incident in now:
            if incident.kind in {"large values lost", "database swollen"}:
                dumped, stored = dumped * incident.strength, stored * incident.strength
            elif incident.kind == "content encrypted by an intruder":
                stored = dumped / incident.strength
            elif incident.kind == "backup far slower":
                seconds = seconds * incident.strength + 120
        made = BackupPoint(
            at=at,
            kind=BackupKind.WEEKLY if day % 30 == 29 else BackupKind.DAILY,
            dumped_bytes=round(dumped),
            stored_bytes=round(stored),
            duration_seconds=seconds,
        )
        counted = (
            TableCount(schema="public", name=name, rows=count, fingerprint=f"{name} {count}")
            for name, count in rows.items()
        )
        return made, tuple(counted)


def _strike_tables(incident: Incident, rows: dict[str, int]) -> None:
    name = incident.table
    if incident.kind == "most rows of a table deleted":
        rows[name] = round(rows[name] * incident.strength)
    elif incident.kind == "table truncated":
        rows[name] = 0
    elif incident.kind == "table dropped":
        del rows[name]
    elif incident.kind == "table loaded twice":
        rows[name] = round(rows[name] * incident.strength)


def make_life(seed: int) -> Life:
    """A source with habits of its own and three incidents."""
    chance = random.Random(seed)
    scale = 10 ** chance.uniform(3, 6)
    tables = [
        Table("ledger", scale * 5, growth=chance.uniform(0, 0.01), noise=0.002),
        Table("orders", scale, growth=chance.uniform(0, 0.02), noise=0.01),
        Table("customers", scale / 4, growth=chance.uniform(0, 0.005)),
        Table("countries", 240),
        Table("settings", 12),
        Table("shrinking", scale / 10, growth=-0.01),
        Table("sessions", chance.uniform(50, 500), noise=0.3),
        Table("jobs", chance.uniform(1, 20), queue=True),
        Table("request_log", scale / 5, cleared_weekly=True),
    ]
    strengths: dict[str, Callable[[], float]] = {
        "most rows of a table deleted": lambda: chance.uniform(0.02, 0.4),
        "table loaded twice": lambda: 2.0,
        "large values lost": lambda: chance.uniform(0.2, 0.75),
        "database swollen": lambda: chance.uniform(1.4, 3.0),
        "content encrypted by an intruder": lambda: chance.uniform(1.0, 2.0),
        "backup far slower": lambda: chance.uniform(3, 8),
    }
    incidents = []
    for first in range(FIRST_INCIDENT, DAYS - 10, 30):
        kind = chance.choice(list(RIGHT))
        name = chance.choice(["ledger", "orders", "customers", "countries"])
        strength = strengths.get(kind, lambda: 1.0)()
        incidents.append(Incident(kind, first + chance.randrange(15), chance.randrange(1, 5), name, strength))
    imports = {chance.randrange(10, DAYS): chance.uniform(1.1, 2.0) for _ in range(chance.choice([0, 0, 1, 2]))}
    struck = {day for incident in incidents for day in range(incident.first - 1, incident.first + incident.days + 2)}
    return Life(
        tables=tables,
        noise=chance.choice([0.002, 0.01, 0.03]),
        weekend=chance.choice([1.0, 1.0, 0.9, 0.6]),
        base_bytes=scale * chance.uniform(100, 2000),
        imports={day: factor for day, factor in imports.items() if day not in struck},
        incidents=incidents,
        chance=chance,
    )


REAL = """
CREATE TABLE orders (id int PRIMARY KEY, note text, paid boolean DEFAULT false);
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE guarded (id int PRIMARY KEY, owner text);
CREATE INDEX customers_name ON customers (name);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON guarded USING (owner = current_user);
CREATE FUNCTION price(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 * 2';
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
INSERT INTO orders SELECT i, 'order ' || i FROM generate_series(1, 5000) i;
INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 2000) i;
INSERT INTO guarded SELECT i, 'app' FROM generate_series(1, 100) i;
"""
REAL_INCIDENTS = {
    "DELETE of 90 % of a table": ("DELETE FROM orders WHERE id % 10 <> 0", "public.orders has 500 rows"),
    "TRUNCATE": ("TRUNCATE customers", "public.customers is empty"),
    "DROP TABLE": ("DROP TABLE customers", "public.customers is gone"),
    "table loaded twice": ("INSERT INTO customers SELECT id + 2000, name FROM customers", "public.customers has 4,000"),
    "new table": ("CREATE TABLE fresh (id int)", "public.fresh"),
    "column's type altered": ("ALTER TABLE orders ALTER note TYPE varchar(99)", "column public.orders.note (type)"),
    "column dropped": ("ALTER TABLE orders DROP COLUMN paid", "column public.orders.paid"),
    "policy dropped": ("DROP POLICY own_rows ON guarded", "policy own_rows on public.guarded"),
    "row security off": ("ALTER TABLE guarded DISABLE ROW LEVEL SECURITY", "table public.guarded (row security)"),
    "index dropped": ("DROP INDEX customers_name", "index public.customers_name"),
    "primary key dropped": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        "constraint orders_pkey on public.orders",
    ),
    "function changed": (
        "CREATE OR REPLACE FUNCTION price(integer) RETURNS integer LANGUAGE sql AS 'SELECT 0'",
        "function public.price(integer)",
    ),
    "trigger disabled": ("ALTER TABLE orders DISABLE TRIGGER touch", "trigger touch on public.orders"),
    "rights given to everybody": ("GRANT ALL ON guarded TO PUBLIC", "table public.guarded (acl)"),
}
REAL_ORDINARY = {
    "rows added": "INSERT INTO orders SELECT i, 'x' FROM generate_series(5001, 6000) i",
    "rows changed": "UPDATE customers SET name = upper(name)",
    "a tenth deleted": "DELETE FROM orders WHERE id % 10 = 0",
    "vacuum and statistics": "VACUUM FULL ANALYZE",
    "large objects": "SELECT lo_create(0) FROM generate_series(1, 20)",
    "nothing": "SELECT 1",
}
