"""Catalogs on SQLite and on Postgres, and manifests to put into them."""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL

from shared.catalog.engine import Catalog, open_catalog
from shared.domain.backup import BackupId, BackupKind
from shared.domain.evidence import RestoreTestResult
from shared.domain.manifest import (
    Exclusion,
    FileRecord,
    Manifest,
    ObjectRecord,
    ServerFacts,
    TableRecord,
)
from shared.domain.proof import Outcome
from shared.postgres.connection import DatabaseAddress

if TYPE_CHECKING:  # another plugin: imported at run time, pytest could not rewrite its assertions any more
    from tests.support.postgres_servers import PostgresServer

NOW = datetime(2026, 11, 21, 2, 0, 0, 123456, tzinfo=UTC)


class Clock:
    """A clock that a test sets by hand; every reading moves it by a second."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


def postgres_catalog_url(address: DatabaseAddress) -> str:
    parameters = address.parameters
    url = URL.create(
        "postgresql+psycopg",
        username=parameters.get("user"),
        password=parameters.get("password"),
        host=parameters.get("host"),
        port=int(parameters["port"]),
        database=parameters["dbname"],
    )
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a catalog that is not there yet, once per kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/catalog.db"
    return postgres_catalog_url(request.getfixturevalue("database"))


@pytest.fixture(params=["sqlite", "postgres"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty catalog that is up to date, once per kind of database; a copy, for migrating takes longer."""
    if request.param == "sqlite":
        (tmp_path / "state").mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "state/catalog.db")
        yield f"sqlite:///{tmp_path}/state/catalog.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    address = server.new_database(template=request.getfixturevalue("_postgres_template").database)
    yield postgres_catalog_url(address)
    server.drop_database(address)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "template.db"
    open_catalog(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: "PostgresServer") -> DatabaseAddress:
    address = postgres_server.new_database("catalog_template")
    open_catalog(postgres_catalog_url(address)).close()
    return address


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """An empty catalog, once per kind of database."""
    with open_catalog(catalog_url, actor="tester") as opened:
        yield opened


def make_id(at: datetime = NOW, source: str = "app", suffix: str = "7f3a") -> str:
    return str(BackupId(at=at, source=source, suffix=suffix))


def make_object(label: str, *, source: str = "app", stored_bytes: int = 100) -> ObjectRecord:
    """An object whose key and digest follow from a label, so that equal labels are the same object."""
    name = hashlib.sha256(f"name {label}".encode()).hexdigest()
    return ObjectRecord(
        key=f"sources/{source}/objects/{name[:2]}/{name}.{name[-8:]}",
        stored_bytes=stored_bytes,
        sha256=hashlib.sha256(label.encode()).hexdigest(),
    )


def make_table(name: str, *, rows: int = 10, schema: str = "public") -> TableRecord:
    return TableRecord(
        schema=schema,
        name=name,
        columns=("id",),
        rows=rows,
        plain_bytes=rows * 7,
        fingerprint=hashlib.sha256(f"{schema}.{name}.{rows}".encode("utf-8", "surrogatepass")).hexdigest(),
        file=f"{name[:20]}.dat" if name.isalnum() else "1.dat",
    )


def make_manifest(
    *,
    at: datetime = NOW,
    source: str = "app",
    suffix: str = "7f3a",
    kind: BackupKind = BackupKind.DAILY,
    objects: tuple[ObjectRecord, ...] | None = None,
    tables: tuple[TableRecord, ...] | None = None,
    **changes: Any,
) -> Manifest:
    """A manifest that began at `at`; its snapshot is a second later and it took a minute."""
    stored = objects if objects is not None else (make_object(f"{source} {at} {suffix}", source=source),)
    values: dict[str, Any] = {
        "backup_id": make_id(at, source, suffix),
        "source": source,
        "source_kind": "postgres",
        "kind": kind,
        "reason": "because",
        "started_at": at,
        "recovery_point_at": at + timedelta(seconds=1),
        "finished_at": at + timedelta(minutes=1),
        "snapshot_id": "00000003-0000001B-1",
        "lsn": "0/1A2B3C4D",
        "server": ServerFacts(
            server_version="17.4",
            server_version_num=170004,
            database="app",
            encoding="UTF8",
            collate="C.UTF-8",
            ctype="C.UTF-8",
        ),
        "client_version": "17.5",
        "archive_version": "1.16",
        "tool_version": "0.1.0",
        "recipients": ("age1example",),
        "objects": stored,
        "files": tuple(
            FileRecord(path=f"{number}.dat", plain_bytes=5, fingerprint="ab", objects=(number,))
            for number in range(len(stored))
        ),
        "tables": tables if tables is not None else (make_table("orders"), make_table("customers", rows=3)),
        "sequences": (),
        "large_object_count": 2,
        "large_object_bytes": 20,
        "schema_digest": {"tables": "cd"},
        "roles": ("app",),
        "extensions": (),
        "excluded": (Exclusion(object="public.cache", reason="rebuilt every night"),),
        "warnings": ("public.log is unlogged",),
        "new_bytes": sum(item.stored_bytes for item in stored),
        "dumped_bytes": 91,
        "durations_seconds": {"dump": 1.5, "store": 0.25},
    }
    return Manifest(**(values | changes))


def digest_of(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.backup_id.encode()).hexdigest()


def complete(catalog: Catalog, manifest: Manifest, now: datetime | None = None) -> Manifest:
    """Record a backup as complete."""
    catalog.backup_completed(manifest, digest_of(manifest), now or manifest.finished_at)
    return manifest


def make_test_result(backup_id: str, outcome: Outcome, *, at: datetime, **changes: Any) -> RestoreTestResult:
    values: dict[str, Any] = {
        "id": f"rt-{backup_id}-{at:%Y%m%dT%H%M%S}",
        "backup_id": backup_id,
        "source": "app",
        "picked": "newest",
        "outcome": outcome,
        "started_at": at - timedelta(minutes=2),
        "finished_at": at,
        "phases": {"fetch": 1.0, "prove": 2.5},
        "recovery_time_seconds": 61.5,
        "tables_proven": 2,
        "rows_proven": 13,
        "source_version": "17.4",
        "scratch_version": "17.5",
        "tool_version": "0.1.0",
    }
    return RestoreTestResult(**(values | changes))


def prove(catalog: Catalog, backup_id: str, outcome: Outcome, at: datetime, **changes: Any) -> None:
    """Record a restore test's end."""
    catalog.record_restore_test(make_test_result(backup_id, outcome, at=at, **changes), at)
