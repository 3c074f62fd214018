"""A catalog with a story for the app's tests: written by the catalog's own writers, the same every time."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.records import RunState
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.backup import BackupKind
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Outcome, Severity
from shared.errors import SourceUnreachable
from shared.operations.setup import write_configuration
from tests.support.catalogs import complete, make_id, make_manifest, make_object, make_table, prove

SOURCES = ("audit-log", "billing", "shop", "warehouse")
DAYS = 40
_TABLES = {"orders": 1, "customers": 9, "invoices": 70}
_TESTS = (("shop", Outcome.PASSED, 1), ("billing", Outcome.PASSED, 30), ("billing", Outcome.FAILED, 2))


def write_app_config(folder: Path, extra: str = "", *, sources: tuple[str, ...] = SOURCES) -> Config:
    """Write a configuration that names the story's sources and a catalog beside it."""
    path = folder / "goldcopy.toml"
    if not path.exists():
        write_configuration(path)
        with path.open("a") as config:
            for name in sources:
                config.write(f'\n[sources.{name}]\nurl = "postgresql://nobody@127.0.0.1:1/{name}"\n')
            config.write(extra)
    return load_config(str(path))


def fill(catalog: Catalog, now: datetime, *, days: int = DAYS) -> None:
    """Tell the story of `days` days up to `now`.

    `shop` is well and proven. `billing` was well and its last restore test failed. `audit-log` has failed for two days.
    `warehouse` is registered and was never backed up.
    """
    for source in SOURCES:
        catalog.register_source(source, "postgres", now - timedelta(days=days))
    for age in range(days - 1, -1, -1):
        at = (now - timedelta(days=age)).replace(hour=2, minute=0, second=0, microsecond=0)
        if at > now:
            continue
        for number, source in enumerate(("audit-log", "billing", "shop")):
            begun = at + timedelta(minutes=number)
            if source == "audit-log" and age < 3:
                _fail(catalog, source, begun)
            else:
                complete(catalog, _manifest(source, begun, age))
    _prove_some(catalog, now)
    give_sign_of_life(catalog, now)


def give_sign_of_life(catalog: Catalog, now: datetime) -> None:
    """Let a cleanup that finds nothing to do end: the facts are of now."""
    catalog.finish_run(catalog.begin_run("cleanup", "", exclusive=False, now=now), RunState.DONE, now)


def _manifest(source: str, begun: datetime, age: int) -> Manifest:
    size = 40_000_000 + (DAYS - age) * 350_000 + (hash_of(source) % 7) * 9_000_000
    rows = 120_000 + (DAYS - age) * 900
    new = make_object(f"{source} {age}", source=source, stored_bytes=size // 20)
    kept = make_object(f"{source} base", source=source, stored_bytes=size)
    return make_manifest(
        at=begun,
        source=source,
        suffix=f"{hash_of(f'{source} {age}') % 65536:04x}",
        kind=BackupKind.WEEKLY if begun.weekday() == 6 else BackupKind.DAILY,
        objects=(new, kept),
        tables=tuple(make_table(name, rows=rows // part) for name, part in _TABLES.items()),
        new_bytes=size // 20,
        dumped_bytes=size * 4,
        reason="",
        finished_at=begun + timedelta(seconds=48 + hash_of(f"{source}{age}") % 30),
    )


def hash_of(text: str) -> int:
    """A number that follows from a text, the same in every process."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text)) * 2654435761 % 2**32


def _fail(catalog: Catalog, source: str, at: datetime) -> None:
    backup_id = make_id(at, source, f"{hash_of(str(at)) % 65536:04x}")
    catalog.backup_started(backup_id=backup_id, source=source, kind=BackupKind.DAILY, reason="", now=at)
    error = SourceUnreachable("audit-log on db.internal:5432 refuses connections", hint="Is it running?")
    catalog.backup_failed(backup_id, error, at + timedelta(seconds=12))


def _prove_some(catalog: Catalog, now: datetime) -> None:
    for source, outcome, days in _TESTS:
        before = now - timedelta(days=days)
        row = next((row for row in catalog.backups(source, limit=200) if row.started_at < before), None)
        if row is None:
            continue
        findings = (
            Finding(
                check="rows",
                severity=Severity.ERROR,
                object="public.orders",
                message="restored table has 120,771 rows, the source had 120,900",
                hint="Take a new backup and test it.",
            ),
        )
        prove(
            catalog,
            row.id,
            outcome,
            row.started_at + timedelta(hours=2),
            source=source,
            findings=findings if outcome is Outcome.FAILED else (),
        )


@pytest.fixture
def app_config(tmp_path: Path, _sqlite_template: Path) -> Config:
    """A configuration whose catalog is empty and up to date."""
    config = write_app_config(tmp_path)
    shutil.copy(_sqlite_template, _file_of(config))
    return config


@pytest.fixture
def story(app_config: Config, _story_template: Path) -> Iterator[Catalog]:
    """The same with the story in it, told up to the present."""
    shutil.copy(_story_template, _file_of(app_config))
    with open_catalog(app_config.catalog_url, actor="ops@site") as catalog:
        give_sign_of_life(catalog, utc_now())
        yield catalog


@pytest.fixture(scope="session")
def _story_template(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    path = tmp_path_factory.mktemp("story") / "catalog.db"
    shutil.copy(_sqlite_template, path)
    with open_catalog(f"sqlite:///{path}", actor="ops@site") as catalog:
        fill(catalog, utc_now())
    return path


def _file_of(config: Config) -> Path:
    return Path(config.catalog_url.removeprefix("sqlite:///"))


# What somebody may have put into a name, a reason or an error.
PAYLOADS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "![x](http://outside.example/pixel.png)",
    "[click me](http://outside.example/)",
    "<http://outside.example/>",
    "http://outside.example/ www.outside.example mail@outside.example",
    ":red-badge[SAFE] :material/verified: :blue[all good]",
    "$\\href{http://outside.example}{x}$",
    "# Heading\n\n- list\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "`` code `` ``` fence",
    "abc\u202egnp.exe \u2066hidden\u2069 zero\u200bwidth",
    "javascript:alert(1)",
    "\x00\x1b[31mred",
    "</table><h1>Safe</h1>",
    "&lt;script&gt; &#60;b&#62;",
)
