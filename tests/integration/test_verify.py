"""Verify finds every damage in stored bytes, names its backups, and never passes what it did not read."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.catalog.records import RunState
from shared.domain.backup import BackupKind
from shared.domain.manifest import Manifest, encode_manifest
from shared.domain.proof import Outcome
from shared.domain.source import KeepRule, Source
from shared.errors import BackupUnknown, StoreRefused, StoreUnreachable
from shared.operations.cleanup import run_cleanup
from shared.operations.verify import VerifyResult, run_verify
from shared.repository.layout import files_key, manifest_key
from shared.repository.repository import Repository
from tests.support.faulty_store import WrappedStore
from tests.support.repository_builder import NOW, BuiltRepository, build_repository

STATIC = {"customers": b"1\tAda\n", "countries": b"1\tCH\n"}
POLICY = {"app": Source(name="app", retention={BackupKind.DAILY: KeepRule(age=timedelta(days=7))})}


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def verify(built: BuiltRepository, *backup_ids: str) -> VerifyResult:
    return run_verify(built.repository, built.catalog, backup_ids or None, now=lambda: NOW)


def found(result: VerifyResult) -> list[tuple[str, str]]:
    return [(finding.check, finding.object) for finding in result.findings]


def change(built: BuiltRepository, key: str, how: Callable[[bytes], bytes | None]) -> None:
    changed = how(built.store.get(key))
    if changed is None:
        built.store.delete(key)
    else:
        built.store.put(key, changed, replace=True)


def flip_first(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 128])


def flip_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


def cut(data: bytes) -> bytes:
    return data[:-1]


def lengthen(data: bytes) -> bytes:
    return data + b"\n"


def empty(_data: bytes) -> bytes:
    return b""


def remove(_data: bytes) -> None:
    return None


DAMAGE = [flip_first, flip_middle, flip_last, cut, lengthen, empty, remove]


def test_a_healthy_repository_passes_and_every_object_is_read_once(built: BuiltRepository) -> None:
    first = built.back_up(2, tables=STATIC | {"orders": b"a\n"})
    second = built.back_up(1, tables=STATIC | {"orders": b"b\n"})
    built.back_up(1, source="shop")
    reads: list[str] = []

    class Counting(WrappedStore):
        """Notes what is read."""

        def get(self, key: str) -> bytes:
            reads.append(key)
            return super().get(key)

    result = verify(built.over(Counting(built.store)))

    objects = {item.key: item for manifest in (first, second) for item in manifest.objects}
    own_reads = [key for key in reads if "/app/objects/" in key]
    assert (result.outcome, result.findings, result.not_measured) == (Outcome.PASSED, (), ())
    assert result.backups_checked == 3
    assert sorted(own_reads) == sorted(objects)
    assert result.objects_checked == len([key for key in reads if "/objects/" in key])
    app = next(row for row in built.catalog.verifications("app"))
    assert (app.outcome, app.objects_checked) == (Outcome.PASSED, len(objects))
    assert app.bytes_checked == sum(item.stored_bytes for item in objects.values())


@pytest.mark.parametrize("how", DAMAGE)
def test_every_kind_of_stored_file_is_covered(built: BuiltRepository, how: Callable[[bytes], bytes | None]) -> None:
    """One damaged file at a time, of every kind: objects, bundles, manifests, files.tsv, the way back without us."""
    manifest = built.back_up(1, tables={"orders": b"a\n"}, small={"toc.dat": b"contents"})
    assert verify(built).outcome is Outcome.PASSED

    for key in sorted(built.contents()):
        data = built.store.get(key)
        change(built, key, how)
        result = verify(built)
        assert result.outcome is Outcome.FAILED, key
        assert any(finding.object == key for finding in result.findings), key
        built.store.put(key, data, replace=True)

    assert len(built.contents()) == 3 + 2 + len(manifest.objects)
    assert verify(built).outcome is Outcome.PASSED


def test_a_damaged_object_names_every_backup_that_needs_it_and_is_not_shared_again(built: BuiltRepository) -> None:
    manifests = [built.back_up(day, tables=STATIC) for day in (3, 2, 1)]
    (shared,) = {item.key for item in manifests[0].objects if not item.bundle} & key_of(manifests[2], "customers")
    good = built.store.get(shared)
    change(built, shared, flip_middle)

    result = verify(built)

    (finding,) = result.findings
    assert finding.object == shared
    assert all(manifest.backup_id in finding.message for manifest in manifests)
    assert built.catalog.damaged_keys("app") == {shared}
    assert all(built.catalog.backup(manifest.backup_id).damaged_at == NOW for manifest in manifests)

    built.store.put(shared, good, replace=True)
    assert verify(built).outcome is Outcome.PASSED
    assert built.catalog.damaged_keys("app") == frozenset()
    assert built.catalog.backup(manifests[0].backup_id).damaged_at is None


def key_of(manifest: Manifest, table: str) -> set[str]:
    (file,) = [file for file in manifest.files if file.path == f"{table}.dat"]
    return {manifest.objects[index].key for index in file.objects}


def test_two_swapped_objects_are_found(built: BuiltRepository) -> None:
    manifest = built.back_up(1, tables={"orders": b"a\n", "log": b"b\n"})
    one, other = key_of(manifest, "orders").pop(), key_of(manifest, "log").pop()
    first, second = built.store.get(one), built.store.get(other)
    built.store.put(one, second, replace=True)
    built.store.put(other, first, replace=True)

    assert set(found(verify(built))) == {("object", one), ("object", other)}


def test_a_backup_whose_manifest_is_gone_is_found(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    key = manifest_key("app", manifest.backup_id)
    built.store.delete(key)

    assert found(verify(built)) == [("manifest", key)]
    assert found(verify(built, manifest.backup_id)) == [("manifest", key)]


def test_a_manifest_of_another_backup_is_found(built: BuiltRepository) -> None:
    older, newer = built.back_up(2), built.back_up(1)
    key = manifest_key("app", newer.backup_id)
    built.store.put(key, built.store.get(manifest_key("app", older.backup_id)), replace=True)

    result = verify(built)

    assert {item for item in found(result) if item[1] == key} == {("manifest", key)}
    assert any("is that of" in finding.message for finding in result.findings)


def test_a_replaced_manifest_that_is_valid_in_itself_is_found(built: BuiltRepository) -> None:
    """Written with the right key, every digest fits: only the catalog knows that it is not the one that was written."""
    manifest = built.back_up(1, tables={"orders": b"a\n", "log": b"b\n"})
    built.store.delete(manifest_key("app", manifest.backup_id))
    built.store.delete(files_key("app", manifest.backup_id))
    built.repository.commit_manifest(replace(manifest, tables=manifest.tables[:1], files_tsv_sha256=""))

    result = verify(built)

    assert found(result) == [("manifest", manifest_key("app", manifest.backup_id))]
    assert "differs from the catalog's" in result.findings[0].message


def test_a_manifest_made_without_the_key_is_found_even_when_the_catalog_does_not_know_it(
    built: BuiltRepository, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    forger = build_repository(tmp_path / "other")
    forged = forger.back_up(1, tables={}, small={})
    for name in (manifest_key("app", forged.backup_id), files_key("app", forged.backup_id)):
        built.store.put(name, forger.store.get(name))
    forger.catalog.close()

    result = verify(built)

    assert found(result) == [("manifest", manifest_key("app", forged.backup_id))]
    assert "mac" in result.findings[0].message


def test_a_files_table_with_other_rows_is_found(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    key = files_key("app", manifest.backup_id)
    change(built, key, lambda data: data.replace(b"orders.dat", b"border.dat"))

    assert found(verify(built)) == [("files.tsv", key)]


def test_a_files_table_that_fits_its_digest_but_not_the_manifest_is_found(built: BuiltRepository) -> None:
    manifest = built.back_up(1, is_recorded=False)
    key, table = files_key("app", manifest.backup_id), b"elsewhere\torders.dat\t00\t1\t\n"
    forged = replace(manifest, files_tsv_sha256=hashlib.sha256(table).hexdigest())
    built.store.put(key, table, replace=True)
    data = encode_manifest(forged, built.repository.fingerprint_key)
    built.store.put(manifest_key("app", manifest.backup_id), data, replace=True)

    assert found(verify(built)) == [("files.tsv", key)]


class Silent(WrappedStore):
    """Does not answer for certain keys."""

    wanted: Callable[[str], bool] | None = None
    asked = 0

    def get(self, key: str) -> bytes:
        if self.wanted and self.wanted(key):
            self.asked += 1
            raise StoreUnreachable("the store does not answer", hint="Run it again.")
        return super().get(key)


@pytest.mark.parametrize("part", ["/objects/", "manifest.json", "files.tsv", "goldcopy.json", "recover.sh"])
def test_what_cannot_be_read_is_not_measured_and_never_passed(built: BuiltRepository, part: str) -> None:
    built.back_up(1)
    store = Silent(built.store)
    seen = built.over(store)
    store.wanted = lambda key: part in key

    result = verify(seen)

    assert result.outcome is Outcome.NOT_MEASURED
    assert result.findings == ()
    assert result.not_measured


def test_a_store_that_stays_silent_is_not_asked_for_every_object(built: BuiltRepository) -> None:
    tables = {f"t{number}": f"{number}\n".encode() for number in range(150)}
    manifest = built.back_up(1, tables=tables)
    store = Silent(built.store)
    seen = built.over(store)
    store.wanted = lambda key: "/objects/" in key

    result = verify(seen)

    assert store.asked == 64
    assert len(result.not_measured) == len(manifest.objects)
    assert result.objects_checked == 0


def test_damage_beside_silence_is_failed_and_both_are_told(built: BuiltRepository) -> None:
    manifest = built.back_up(1, tables={"orders": b"a\n", "log": b"b\n"})
    broken, silent = key_of(manifest, "orders").pop(), key_of(manifest, "log").pop()
    change(built, broken, cut)
    store = Silent(built.store)
    store.wanted = lambda key: key == silent

    result = verify(built.over(store))

    assert result.outcome is Outcome.FAILED
    assert found(result) == [("object", broken)]
    assert [item.object for item in result.not_measured] == [silent]


def test_no_permission_to_read_is_not_measured(built: BuiltRepository) -> None:
    built.back_up(1)

    class Refusing(WrappedStore):
        """May not read objects."""

        def get(self, key: str) -> bytes:
            if "/objects/" in key:
                raise StoreRefused("no permission", hint="Give it.")
            return super().get(key)

    assert verify(built.over(Refusing(built.store))).outcome is Outcome.NOT_MEASURED


def test_without_the_fingerprint_key_a_manifest_nobody_can_vouch_for_is_not_measured(built: BuiltRepository) -> None:
    built.back_up(2)
    keyless = replace(built, repository=Repository.open(built.store))
    assert verify(keyless).outcome is Outcome.PASSED, "the catalog's digest vouches for it"

    built.back_up(1, is_recorded=False)
    assert verify(keyless).outcome is Outcome.NOT_MEASURED


def test_one_named_backup_reads_only_its_own_objects(built: BuiltRepository) -> None:
    good = built.back_up(2, tables={"orders": b"a\n"})
    bad = built.back_up(1, tables={"orders": b"b\n"})
    change(built, key_of(bad, "orders").pop(), flip_last)

    result = verify(built, good.backup_id)

    assert (result.outcome, result.backups_checked) == (Outcome.PASSED, 1)
    assert result.objects_checked == len(good.objects)
    assert built.catalog.verifications("app")[0].backup_id == good.backup_id
    assert verify(built, bad.backup_id).outcome is Outcome.FAILED


def test_a_backup_that_nobody_knows_is_refused(built: BuiltRepository) -> None:
    built.back_up(1)

    with pytest.raises(BackupUnknown, match="the catalog does not know it"):
        verify(built, "20200101T000000Z-app-0000")


def test_a_cleanup_at_the_same_time_is_no_damage(built: BuiltRepository) -> None:
    old = built.back_up(10, tables={"orders": b"a\n"})
    built.back_up(1, tables={"orders": b"b\n"})

    class CleanedUpMeanwhile(WrappedStore):
        """A cleanup runs between the reading of the manifests and that of the objects."""

        is_done = False

        def get(self, key: str) -> bytes:
            if "/objects/" in key and not self.is_done:
                self.is_done = True
                run_cleanup(built.repository, built.catalog, POLICY, now=lambda: NOW)
            return super().get(key)

    result = verify(built.over(CleanedUpMeanwhile(built.store)))

    assert (result.outcome, result.findings) == (Outcome.PASSED, ())
    assert built.repository.list_backup_ids("app") != ()
    assert old.backup_id not in built.repository.list_backup_ids("app")


def test_the_run_and_its_result_are_recorded(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    change(built, key_of(manifest, "orders").pop(), remove)

    verify(built)

    run = built.catalog.runs(limit=1)[0]
    assert (run.operation, run.state, run.exclusive) == ("verify", RunState.DONE, False)
    (row,) = built.catalog.verifications("app")
    assert (row.outcome, len(row.findings)) == (Outcome.FAILED, 1)
    assert "verify.failed" in [entry.action for entry in built.catalog.audit_entries()]


def test_the_document_has_what_the_command_promises(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    change(built, key_of(manifest, "orders").pop(), flip_first)

    document = verify(built).document()

    assert {"outcome", "objects_checked", "bytes_checked", "findings", "not_measured"} <= document.keys()
    assert document["outcome"] == "failed"
