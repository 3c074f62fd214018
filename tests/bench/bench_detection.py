"""Single flipped bits: what Goldcopy finds, and what "pg_restore ended with 0 and the row counts are right" finds."""

import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.clock import utc_now
from shared.domain.proof import Outcome
from shared.operations.verify import run_verify
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import start_scratch
from shared.postgres.tools import Toolset, find_toolsets
from tests.bench.scene import toolset
from tests.support.postgres_servers import TOOLS_FOLDER, run_sql
from tests.support.real_backups import open_real_backups

FLIPS = 60
TABLES = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, since date);
INSERT INTO customers SELECT g, 'customer ' || md5(g::text), 'c' || g || '@example.org', date '2020-01-01' + g % 2000
    FROM generate_series(1, 20000) g;
CREATE TABLE orders (id int PRIMARY KEY, customer int, amount numeric(12, 2), note text);
INSERT INTO orders SELECT g, g % 20000 + 1, g * 1.37, repeat(md5(g::text), 1 + g % 3) FROM generate_series(1, 40000) g;
CREATE TABLE files (id int, content bytea);
INSERT INTO files SELECT g, decode(repeat(md5(g::text), 40), 'hex') FROM generate_series(1, 2000) g;
"""
_NAMES = ("customers", "orders", "files")


@dataclass(slots=True)
class Tally:
    """Outcomes of one verifier over the flips of one corpus."""

    name: str
    flips: int = 0
    found: int = 0
    silently_wrong: int = 0

    def line(self) -> str:
        """Print it."""
        rate = 100 * self.found / self.flips
        return f"{self.name:<64} {self.found:>4} of {self.flips:<4} {rate:>6.1f} %   {self.silently_wrong:>4}"


def main() -> None:
    """Print the table."""
    programs = toolset()
    with tempfile.TemporaryDirectory(prefix="goldcopy-bench-") as name:
        folder = Path(name)
        with start_scratch(programs, folder / "server", memory_bytes=1 << 30) as server:
            run_sql(server.address, "CREATE DATABASE source")
            source = server.address.with_database("source")
            run_sql(source, TABLES)
            tallies = [
                _naive(programs, source, folder, f"pg_restore 0 and row counts, {words}", option)
                for words, option in (("uncompressed", "-Z0"), ("gzip", "-Zgzip"), ("zstd", "-Zzstd:1"))
            ]
            tallies.append(_goldcopy(source, folder / "goldcopy"))
    print(f"one flipped bit at a time, {FLIPS} places by chance in the stored data of 62,000 rows\n")
    print(f"{'verifier':<64} {'found':>12} {'rate':>8}   wrong content that passed")
    print("\n".join(tally.line() for tally in tallies))


def _naive(programs: Toolset, source: DatabaseAddress, folder: Path, words: str, option: str) -> Tally:
    dump = folder / f"dump{option.replace(':', '')}"
    _run(source, programs, "pg_dump", "-Fd", "-j2", option, "-f", str(dump))
    wanted, tally, chance = _counts(source), Tally(words), random.Random(1)
    contents = _contents(source)
    files = sorted(path for path in dump.iterdir() if path.name != "toc.dat")
    for _ in range(FLIPS):
        with _flipped(files, chance), _database(source) as restored:
            code = _run(restored, programs, "pg_restore", "-j2", str(dump))
            passed = code == 0 and _counts(restored) == wanted
            tally.flips += 1
            tally.found += not passed
            tally.silently_wrong += passed and _contents(restored) != contents
    return tally


def _goldcopy(source: DatabaseAddress, folder: Path) -> Tally:
    folder.mkdir()
    backups = open_real_backups(folder, find_toolsets(TOOLS_FOLDER))
    manifest = backups.back_up(source)
    healthy = backups.test(manifest)
    assert healthy.result.outcome is Outcome.PASSED, healthy.document()
    tally, chance = Tally("goldcopy verify, sealed objects"), random.Random(1)
    files = [folder / "repository" / record.key for record in manifest.objects]
    for _ in range(FLIPS):
        with _flipped(files, chance):
            outcome = run_verify(backups.repository, backups.catalog, None, now=utc_now).outcome
        tally.flips += 1
        tally.found += outcome is Outcome.FAILED
        tally.silently_wrong += outcome is Outcome.PASSED
    assert run_verify(backups.repository, backups.catalog, None, now=utc_now).outcome is Outcome.PASSED
    backups.catalog.close()
    return tally


@contextmanager
def _flipped(files: list[Path], chance: random.Random) -> Iterator[None]:
    """Flip one bit of one of the files, chosen by size, for as long as the context is open."""
    path = chance.choices(files, [path.stat().st_size for path in files])[0]
    data = path.read_bytes()
    place, bit = chance.randrange(len(data)), chance.randrange(8)
    path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
    yield
    path.write_bytes(data)


@contextmanager
def _database(source: DatabaseAddress) -> Iterator[DatabaseAddress]:
    server = source.with_database("postgres")
    run_sql(server, "DROP DATABASE IF EXISTS restored WITH (FORCE)")
    run_sql(server, "CREATE DATABASE restored TEMPLATE template0")
    yield source.with_database("restored")


def _counts(address: DatabaseAddress) -> list[int | None]:
    return [_value(address, f"SELECT count(*) FROM {name}") for name in _NAMES]


def _contents(address: DatabaseAddress) -> list[int | None]:
    return [
        _value(address, f"SELECT sum(hashtextextended(t::text, 0)::numeric)::text FROM {name} t") for name in _NAMES
    ]


def _value(address: DatabaseAddress, query: str) -> int | None:
    try:
        return int(run_sql(address, query)[0][0])
    except Exception:  # noqa: BLE001 - a table that cannot be read is one that differs
        return None


def _run(address: DatabaseAddress, programs: Toolset, name: str, *arguments: str) -> int:
    with address.child_environment() as environment:
        argv = [str(programs.program(name)), "-d", "service=goldcopy", *arguments]
        return subprocess.run(argv, env=environment, check=False, capture_output=True).returncode


if __name__ == "__main__":
    main()
