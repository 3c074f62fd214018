"""recover.sh: a database comes back with age, zstd and pg_restore alone, or the script says why not."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.domain.manifest import Manifest
from shared.postgres.connection import DatabaseAddress
from shared.repository.local import LocalStore
from tests.support.postgres_servers import PASSWORD, CorpusDatabase, PostgresServer, ServerOf, lacking, run_sql
from tests.support.repositories import OTHER_SECRET, SECRET, RepositoryInUse, trailer_of

ROLES_SQL = (
    "DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clerk') THEN CREATE ROLE clerk; END IF; END$$;"
)
SETTINGS_SQL = (
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET application_name = ''recovered''', current_database()); END$$;"
)


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        lacking(f"the program {program} is not here")
    return found


@dataclass(slots=True)
class Copy:
    """A copy of a repository on a machine without Goldcopy."""

    folder: Path
    manifest: Manifest
    work: Path
    server: PostgresServer

    def recover(self, *arguments: str, secret: str = SECRET, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the script as a person would, from another folder, with only the usual programs."""
        self.work.mkdir(exist_ok=True)
        (self.work / "identity.txt").write_text(f"# a comment\n{secret}\n")
        programs = {Path(_needed(name)).parent for name in ("age", "zstd", "tar", "sed", "awk", "sha256sum")}
        path: list[str | Path] = [self.server.toolset.program("pg_restore").parent, *sorted(programs)]
        return subprocess.run(
            ["sh", str(self.folder / "recover.sh"), *arguments],
            cwd=self.work,
            env={
                "PATH": os.pathsep.join(map(str, path)),
                "AGE_IDENTITY": "identity.txt",
                "TMPDIR": str(self.work),
                "PGPASSWORD": PASSWORD,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def stored(self) -> Path:
        """The folder with the backup's own documents."""
        return self.folder / "sources/app/backups" / self.manifest.backup_id

    def left_behind(self) -> list[str]:
        """What the script left in its temporary folder."""
        return [path.name for path in self.work.iterdir() if path.name != "identity.txt"]


def _url(address: DatabaseAddress, *, password: bool = False) -> str:
    parameters = address.parameters
    secret = f":{PASSWORD.replace(' ', '%20')}" if password else ""
    host = f"{parameters['host']}:{parameters['port']}"
    return f"postgresql://{parameters['user']}{secret}@{host}/{parameters['dbname']}"


def _dump(server: PostgresServer, address: DatabaseAddress, folder: Path) -> dict[str, bytes]:
    with address.child_environment() as environment:
        argv: list[str | Path] = [
            server.toolset.program("pg_dump"),
            "-Fd",
            "-j2",
            "-Z0",
            "-f",
            folder,
            "-d",
            "service=goldcopy",
        ]
        subprocess.run(argv, env=environment, check=True, capture_output=True)
    files = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files[path.name] = content.removesuffix(trailer_of(path.name))
    return files


@pytest.fixture
def pagila(postgres_server: PostgresServer, corpus_database: CorpusDatabase, tmp_path: Path) -> Copy:
    """A backup of a real database, in a folder."""
    address = corpus_database("pagila")
    run_sql(address, "SELECT lo_from_bytea(0, decode(repeat('00ff41', 500000), 'hex')), lo_from_bytea(0, '')")
    files = _dump(postgres_server, address, tmp_path / "dump")
    files |= {"roles.sql": ROLES_SQL.encode(), "settings.sql": SETTINGS_SQL.encode(), "schema.json": b"{}"}
    use = RepositoryInUse(LocalStore(tmp_path / "repository"))
    return Copy(tmp_path / "repository", use.back_up(files), tmp_path / "work", postgres_server)


def _counts(address: DatabaseAddress) -> dict[str, int]:
    tables = run_sql(address, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200")
    return {name: run_sql(address, f"SELECT count(*) FROM {name}")[0][0] for (name,) in tables}


def test_a_database_comes_back_without_goldcopy(pagila: Copy, database: DatabaseAddress) -> None:
    result = pagila.recover(pagila.manifest.backup_id, _url(database))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every digest fitted" in result.stdout
    assert sum(_counts(database).values()) == 46_273
    assert sorted(run_sql(database, "SELECT length(lo_get(oid)) FROM pg_largeobject_metadata")) == [(0,), (1_500_000,)]
    assert run_sql(database, "SELECT count(*) FROM pg_roles WHERE rolname = 'clerk'") == [(1,)]
    settings = "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = "
    assert run_sql(database, settings + "current_database()") == [(["application_name=recovered"],)]
    assert pagila.left_behind() == []


def test_a_newer_pg_restore_may_restore_into_an_older_server(pagila: Copy, postgres_server_of: ServerOf) -> None:
    if pagila.server.major < 17:
        lacking("no client tools that set transaction_timeout")
    older = postgres_server_of(15)
    address = older.new_database()
    result = pagila.recover(pagila.manifest.backup_id, _url(address))
    counted = sum(_counts(address).values())
    older.drop_database(address)
    assert result.returncode == 0, result.stdout + result.stderr
    assert counted == 46_273


def test_a_destination_that_is_not_empty_is_refused(pagila: Copy, database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE precious (id int)")
    result = pagila.recover(pagila.manifest.backup_id, _url(database))
    assert result.returncode == 1
    assert "not empty" in result.stderr
    assert _counts(database) == {"precious": 0}
    assert pagila.left_behind() == []


def test_problems_of_the_restore_are_shown_and_end_it_badly(pagila: Copy, database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE actor (id int)")
    result = pagila.recover(pagila.manifest.backup_id, _url(database), OVERWRITE="yes")
    assert result.returncode == 1
    assert 'relation "actor" already exists' in result.stdout
    assert "restored with problems" in result.stderr


def test_the_password_is_never_printed(pagila: Copy, database: DatabaseAddress) -> None:
    url = _url(database, password=True)
    encoded = PASSWORD.replace(" ", "%20")
    wrong = [url.replace(encoded, password) for password in ("wr%20ong", "wr/ong", "wr%ong", "wr:on@g")]
    wrong += [f"host=127.0.0.1 port=1 {password}" for password in ("password=wrong-one user=x", "password='wr ong'")]
    for destination in (url, *wrong):
        result = pagila.recover(pagila.manifest.backup_id, destination)
        printed = result.stdout + result.stderr
        for secret in (PASSWORD, encoded, "wr%20ong", "wr ong", "wr/ong", "ong@", "on@g", "wrong-one", "'wr "):
            assert secret not in printed, f"{destination}: {printed}"
        assert (result.returncode == 0) == (destination == url), printed


def test_a_wrong_identity_is_explained(pagila: Copy, database: DatabaseAddress) -> None:
    result = pagila.recover(pagila.manifest.backup_id, _url(database), secret=OTHER_SECRET)
    assert result.returncode == 1
    assert "age cannot open" in result.stderr
    assert "recipients" in result.stderr
    assert pagila.left_behind() == []


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_flip, _cut, _remove])
@pytest.mark.parametrize("what", ["object", "files.tsv", "manifest.json"])
def test_any_damage_ends_it_before_anything_is_restored(
    pagila: Copy, database: DatabaseAddress, what: str, damage: Callable[[Path], None]
) -> None:
    damage(pagila.folder / pagila.manifest.objects[-1].key if what == "object" else pagila.stored / what)
    result = pagila.recover(pagila.manifest.backup_id, _url(database))
    assert result.returncode == 1
    assert any(word in result.stderr for word in ("damaged", "missing", "has not", "there is no backup")), result.stderr
    assert _counts(database) == {}


def test_an_object_swapped_for_another_intact_one_is_seen(
    pagila: Copy, database: DatabaseAddress, tmp_path: Path
) -> None:
    first, second = (pagila.folder / record.key for record in pagila.manifest.objects[:2])
    shutil.copy(first, second)
    result = pagila.recover(pagila.manifest.backup_id, _url(database))
    assert result.returncode == 1
    assert str(pagila.manifest.objects[1].key) in result.stderr


def test_a_forged_table_of_files_cannot_name_a_path_elsewhere(pagila: Copy, database: DatabaseAddress) -> None:
    row = (pagila.stored / "files.tsv").read_text().splitlines()[0].split("\t")
    row[1] = "../../escaped"
    (pagila.stored / "files.tsv").write_text("\t".join(row) + "\n")
    assert pagila.recover(pagila.manifest.backup_id, _url(database)).returncode == 1
    assert not (pagila.work.parent / "escaped").exists()


def test_without_arguments_it_lists_the_backups(pagila: Copy) -> None:
    result = pagila.recover()
    assert result.returncode == 2
    assert pagila.manifest.backup_id in result.stdout


@pytest.mark.parametrize("backup_id", ["20200101T000000Z-app-0000", "../../etc", "*", "a b", "; id", "$(id)"])
def test_an_unknown_or_odd_id_is_refused(pagila: Copy, backup_id: str) -> None:
    result = pagila.recover(backup_id, "postgresql://nowhere/x")
    assert result.returncode == 1
    assert "list" in result.stderr


def test_it_can_only_unpack(pagila: Copy, tmp_path: Path) -> None:
    result = pagila.recover(pagila.manifest.backup_id, UNPACK_TO="unpacked")
    assert result.returncode == 0, result.stderr
    unpacked = {path.name: path.read_bytes() for path in (pagila.work / "unpacked").iterdir()}
    original = {path.name: path.read_bytes() for path in (tmp_path / "dump").iterdir()}
    assert {name: content for name, content in unpacked.items() if name in original} == original
    assert unpacked.keys() - original.keys() == {"roles.sql", "settings.sql", "schema.json"}
    again = pagila.recover(pagila.manifest.backup_id, UNPACK_TO="unpacked")
    assert again.returncode == 1
    assert "not empty" in again.stderr


@pytest.mark.parametrize("count", [1500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_files_and_a_file_in_parts_are_unpacked(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("shared.repository.packing.PART_BYTES", 2 << 20)
    files = {f"blob_{number}.dat": b"%d" % (number % 1000) * 3 for number in range(count)}
    files |= {"toc.dat": b"toc", "9.dat": os.urandom(5 << 20)}
    use = RepositoryInUse(LocalStore(tmp_path / "repository"))
    copy = Copy(tmp_path / "repository", use.back_up(files), tmp_path / "work", postgres_server)
    result = copy.recover(copy.manifest.backup_id, UNPACK_TO="unpacked")
    assert result.returncode == 0, result.stderr
    unpacked = {path.name: path.read_bytes() for path in (copy.work / "unpacked").iterdir()}
    assert unpacked == {name: content + trailer_of(name) for name, content in files.items()}
