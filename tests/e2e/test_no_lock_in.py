"""A backup comes back with a shell, age, zstd, tar and pg_restore alone: no Goldcopy, no Python."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.postgres.connection import DatabaseAddress
from shared.postgres.schema import compare_schema, read_schema
from shared.postgres.settle import settle_differences
from tests.support.postgres_servers import PASSWORD, PostgresServer, ServerOf, lacking, run_file, run_sql
from tests.support.site import MakeSite, Site

HARD_DATABASE = Path(__file__).parents[1] / "support" / "hard_database.sql"
PROGRAMS = (
    "age", "zstd", "tar", "sh", "sha256sum", "awk", "basename", "cat", "chmod", "cp", "cut", "dd", "df", "dirname",
    "env", "expr", "grep", "head", "ls", "mkdir", "mktemp", "mv", "printf", "rm", "sed", "sort", "tail", "test", "tr",
    "uname", "wc",
)  # fmt: skip
LARGE = "CREATE TABLE large AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 50000) g"
_SUMS = """
SELECT format('%I.%I', n.nspname, c.relname), query_to_xml(format(
    'SELECT count(*), sum(hashtextextended(ROW(%s)::text, 0)::numeric) FROM ONLY %I.%I', (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), n.nspname, c.relname), true, true, '')::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relname <> 'm_stale'
    AND n.nspname !~ '^(pg_|information_schema)'
ORDER BY 1
"""
_LARGE_OBJECTS = "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid"


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder with nothing in it but the programs that RECOVER.md asks for and a shell's usual ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is None:
            lacking(f"the program {name} is not here")
        (folder / name).symlink_to(found)
    return folder


@pytest.mark.parametrize("major", [15, 17, 18])
def test_a_hard_database_comes_back_without_goldcopy(
    make_site: MakeSite, postgres_server_of: ServerOf, bare_path: Path, tmp_path: Path, major: int
) -> None:
    server = postgres_server_of(major)
    source = server.new_database()
    run_file(server.toolset, source, HARD_DATABASE)
    run_sql(source, LARGE)
    site = make_site(app=source)
    made = site.goldcopy("backup", "app", "--json")
    assert made.exit_code == 0, made.stdout + made.stderr
    elsewhere = tmp_path / "another machine"
    shutil.copytree(site.repository_folder, elsewhere)

    empty = server.new_database()
    ended = _recover(site, elsewhere, bare_path, server, made.document["backup_id"], empty)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert _sums(empty) == _sums(source)
    with source.connect() as one, empty.connect() as other:
        differences = compare_schema(read_schema(one), read_schema(other))
        real, _settled = settle_differences(other, differences)
    assert real == []


def test_the_script_stops_at_a_flipped_bit(
    make_site: MakeSite, postgres_server: PostgresServer, bare_path: Path, database: DatabaseAddress
) -> None:
    run_sql(database, LARGE)
    site = make_site(app=database)
    backup_id = site.goldcopy("backup", "app", "--json").document["backup_id"]
    stored = max((site.repository_folder / "sources").rglob("objects/*/*"), key=lambda path: path.stat().st_size)
    data = stored.read_bytes()
    stored.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    empty = postgres_server.new_database()
    ended = _recover(site, site.repository_folder, bare_path, postgres_server, backup_id, empty)
    assert ended.returncode != 0
    assert stored.name in ended.stdout + ended.stderr
    assert _sums(empty) == []


def _recover(
    site: Site, repository: Path, bare_path: Path, server: PostgresServer, backup_id: str, to: DatabaseAddress
) -> "subprocess.CompletedProcess[str]":
    (bare_path / "pg_restore").symlink_to(server.toolset.program("pg_restore"))
    parameters = to.parameters
    path = str(bare_path)
    for name in ("python", "python3", "goldcopy"):
        assert shutil.which(name, path=path) is None
    url = f"postgresql://{parameters['user']}@{parameters['host']}:{parameters['port']}/{parameters['dbname']}"
    return subprocess.run(
        [str(bare_path / "sh"), str(repository / "recover.sh"), backup_id, url],
        cwd=repository.parent,
        env={"PATH": path, "AGE_IDENTITY": str(site.identity_path), "PGPASSWORD": PASSWORD, "HOME": os.devnull},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _sums(address: DatabaseAddress) -> list[tuple[object, ...]]:
    """Count and sum up everything by the server itself: not Goldcopy's way of comparing."""
    with address.connect() as connection:
        connection.execute("SET quote_all_identifiers = off")  # the source's own setting, which needs psql to come back
        tables = connection.execute(_SUMS).fetchall()
        return tables + connection.execute(_LARGE_OBJECTS).fetchall() if tables else []
