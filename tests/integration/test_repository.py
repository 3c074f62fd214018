"""A repository: created once, opened with the right key, backups that appear at once or not at all."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.manifest import decode_manifest
from shared.domain.proof import Severity
from shared.domain.signed_document import canonical_json
from shared.errors import (
    ConfigInvalid,
    DecryptionFailed,
    DigestMismatch,
    ManifestInvalid,
    ObjectExists,
    ObjectMissing,
    StoreRefused,
    StoreUnreachable,
    UsageProblem,
)
from shared.repository import recovery
from shared.repository.layout import files_key, manifest_key
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.repository.sealing import load_identities, unseal_whole
from shared.repository.store import ObjectStore
from shared.repository.writer import ObjectWriter, WrittenObjects
from tests.support.faulty_store import (
    AcceptButLose,
    CrashAfterChange,
    FlipOneBit,
    MemoryStore,
    SimulatedCrash,
    Truncate,
    Unreachable,
    VanishAfterList,
)
from tests.support.repositories import (
    NOW,
    OTHER_RECIPIENT,
    OTHER_SECRET,
    RECIPIENT,
    SECRET,
    RepositoryInUse,
    manifest_of,
)

FILES = {"toc.dat.x": b"toc", "1.dat": b"a\nb\n", "2.dat": b"c\n" * 1_000_000}


def _memory(_request: pytest.FixtureRequest) -> ObjectStore:
    return MemoryStore()


def _local(request: pytest.FixtureRequest) -> ObjectStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return LocalStore(folder / "repository")


def _s3(request: pytest.FixtureRequest) -> ObjectStore:
    store: ObjectStore = request.getfixturevalue("s3_place").store()
    return store


@pytest.fixture(params=[_memory, _local, _s3], ids=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    make: Callable[[pytest.FixtureRequest], ObjectStore] = request.param
    return make(request)


@pytest.fixture
def use(store: ObjectStore) -> RepositoryInUse:
    return RepositoryInUse(store)


@pytest.fixture
def memory() -> RepositoryInUse:
    return RepositoryInUse()


# --- creating and opening --------------------------------------------------------------------------------------------


def test_a_new_repository_opens_with_its_key_and_with_an_identity(store: ObjectStore) -> None:
    made = Repository.create(store, [RECIPIENT, OTHER_RECIPIENT], NOW)
    assert len(made.fingerprint_key) == 32
    assert made.description.recipients == (RECIPIENT, OTHER_RECIPIENT)
    assert Repository.open(store, fingerprint_key=made.fingerprint_key).fingerprint_key == made.fingerprint_key
    for secret in (SECRET, OTHER_SECRET):
        opened = Repository.open(store, identities=load_identities(secret))
        assert opened.fingerprint_key == made.fingerprint_key
        assert opened.description == made.description
    assert (made.list_sources(), made.list_backup_ids(), made.check_recovery_files()) == ((), (), ())


def test_two_repositories_have_different_keys() -> None:
    assert RepositoryInUse().repository.fingerprint_key != RepositoryInUse().repository.fingerprint_key


def test_a_place_that_is_a_repository_already_is_left_alone(use: RepositoryInUse) -> None:
    before = use.store.get("goldcopy.json")
    with pytest.raises(StoreRefused, match="is a repository already"):
        Repository.create(use.store, [RECIPIENT], NOW)
    assert use.store.get("goldcopy.json") == before


def test_a_place_with_something_else_in_it_is_left_alone(store: ObjectStore) -> None:
    store.put("holiday/photo.jpg", b"x")
    with pytest.raises(StoreRefused, match=r"is not empty: it holds holiday/photo\.jpg"):
        Repository.create(store, [RECIPIENT], NOW)
    assert [stored.key for stored in store.list("")] == ["holiday/photo.jpg"]


@pytest.mark.parametrize("changes", [1, 2])
def test_an_interrupted_creation_can_be_repeated(changes: int) -> None:
    store = MemoryStore()
    with pytest.raises(SimulatedCrash):
        Repository.create(CrashAfterChange(store, changes), [RECIPIENT], NOW)
    with pytest.raises(StoreRefused, match="there is no repository"):
        Repository.open(store)
    assert Repository.create(store, [RECIPIENT], NOW).list_backup_ids() == ()


def test_of_two_creations_at_once_one_wins(memory: RepositoryInUse) -> None:
    class Late(MemoryStore):
        """Another process creates the repository right after this one looked."""

        def list(self, prefix: str):  # type: ignore[no-untyped-def]
            found = list(super().list(prefix))
            self.put("goldcopy.json", memory.store.get("goldcopy.json"))
            return iter(found)

    with pytest.raises(StoreRefused, match="became a repository meanwhile"):
        Repository.create(Late(), [RECIPIENT], NOW)


def test_no_repository_is_told_apart_from_a_damaged_one(store: ObjectStore) -> None:
    with pytest.raises(StoreRefused, match="there is no repository") as caught:
        Repository.open(store)
    assert "mounted" in caught.value.hint


def test_without_the_key_it_can_be_read_and_not_written(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    keyless = Repository.open(use.store)
    assert keyless.read_manifest("app", manifest.backup_id) == manifest
    with pytest.raises(ConfigInvalid, match=r"fingerprint key of .* is not here") as caught:
        _ = keyless.fingerprint_key
    assert "identity" in caught.value.hint


def test_the_key_of_another_repository_is_refused(memory: RepositoryInUse) -> None:
    with pytest.raises(ConfigInvalid, match="does not belong to this repository") as caught:
        Repository.open(memory.store, fingerprint_key=RepositoryInUse().repository.fingerprint_key)
    assert "exchanged for another one; only somebody who knows why the key changed" in caught.value.hint


def test_an_identity_that_does_not_fit_is_refused(memory: RepositoryInUse) -> None:
    with pytest.raises(DecryptionFailed, match="no given identity"):
        Repository.open(memory.store, identities=load_identities(OTHER_SECRET))


def _redone(data: bytes, **changes: object) -> bytes:
    document = json.loads(data) | changes
    document.pop("sha256"), document.pop("mac")
    body = canonical_json(document)
    return canonical_json(document | {"sha256": hashlib.sha256(body).hexdigest(), "mac": "0" * 64})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _data: b"", "not readable JSON"),
        (lambda data: data[:-1], "not in canonical form"),
        (lambda data: b" " + data, "not in canonical form"),
        (lambda data: data.replace(b'"format":1', b'"format":2'), "of format 2, and this version reads up to 1"),
        (lambda data: data.replace(b"2026", b"2025"), "digest in goldcopy.json"),
        (lambda _data: b"[]\n", "no format version"),
        (lambda data: _redone(data, recipients=None), "lacks or misuses a field"),
        (lambda data: _redone(data, sealed_fingerprint_key="!"), "lacks or misuses a field"),
    ],
)
def test_a_description_that_cannot_be_trusted_is_refused(
    memory: RepositoryInUse, change: Callable[[bytes], bytes], message: str
) -> None:
    data = memory.store.get("goldcopy.json")
    memory.store.put("goldcopy.json", change(data), replace=True)
    with pytest.raises(ManifestInvalid, match=message):
        Repository.open(memory.store)


def test_every_flipped_bit_of_the_description_is_seen(memory: RepositoryInUse) -> None:
    size_bytes = len(memory.store.get("goldcopy.json"))
    for bit in range(0, size_bytes * 8, 7):
        with pytest.raises((ManifestInvalid, ConfigInvalid)):
            Repository.open(
                FlipOneBit(memory.store, lambda key: key == "goldcopy.json", bit),
                fingerprint_key=memory.repository.fingerprint_key,
            )


def test_recipients_can_be_changed_and_the_key_stays(use: RepositoryInUse) -> None:
    key = use.repository.fingerprint_key
    assert use.repository.change_recipients([OTHER_RECIPIENT])
    assert not use.repository.change_recipients([OTHER_RECIPIENT])
    assert Repository.open(use.store, identities=load_identities(OTHER_SECRET)).fingerprint_key == key
    with pytest.raises(DecryptionFailed):
        Repository.open(use.store, identities=load_identities(SECRET))


# --- recovery files --------------------------------------------------------------------------------------------------


def test_newer_recovery_files_replace_older_ones(use: RepositoryInUse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not use.repository.upgrade_recovery_files()
    newer = {"recover.sh": b"#!/bin/sh\n# newer\n", "RECOVER.md": b"# newer\n"}
    for module in (recovery, __import__("shared.repository.repository", fromlist=["repository"])):
        monkeypatch.setattr(module, "packaged_recovery_files", lambda: newer)
    use.back_up(FILES)
    assert use.store.get("recover.sh") == newer["recover.sh"]
    opened = Repository.open(use.store, fingerprint_key=use.repository.fingerprint_key)
    assert opened.check_recovery_files() == ()
    assert not opened.upgrade_recovery_files()


def test_recovery_files_that_someone_changed_or_removed_are_found(use: RepositoryInUse) -> None:
    use.store.put("recover.sh", b"rm -rf /", replace=True)
    use.store.delete("RECOVER.md")
    findings = use.repository.check_recovery_files()
    assert [(finding.object, finding.severity) for finding in findings] == [
        ("recover.sh", Severity.WARNING),
        ("RECOVER.md", Severity.WARNING),
    ]


# --- manifests -------------------------------------------------------------------------------------------------------


def test_a_committed_backup_is_listed_read_and_restored(use: RepositoryInUse) -> None:
    first, second = use.back_up(FILES), use.back_up(FILES, source="other")
    third = use.back_up(FILES)
    repository = Repository.open(use.store, identities=load_identities(SECRET))
    assert repository.list_sources() == ("app", "other")
    assert repository.list_backup_ids("app") == (first.backup_id, third.backup_id)
    assert set(repository.list_backup_ids()) == {first.backup_id, second.backup_id, third.backup_id}
    assert repository.list_backup_ids("never") == ()
    assert sorted(item.backup_id for item in repository.read_all().manifests) == sorted(repository.list_backup_ids())
    assert [item.backup_id for item in repository.newest_manifests("app", 1)] == [third.backup_id]
    assert repository.read_manifest("app", first.backup_id) == first
    assert use.files_of(first)["2.dat"].startswith(FILES["2.dat"])


def test_backups_of_one_second_are_in_the_order_of_their_snapshots(memory: RepositoryInUse) -> None:
    instants = [NOW + timedelta(milliseconds=number) for number in range(8)]
    for at in instants:
        written = ObjectWriter(memory.repository, "app", memory.recipients).finish()
        memory.repository.commit_manifest(manifest_of(written, at))
    newest = memory.repository.newest_manifests("app", 3)
    assert [manifest.recovery_point_at for manifest in newest] == instants[:-4:-1]


def test_a_source_whose_name_begins_another_s_is_kept_apart(use: RepositoryInUse) -> None:
    short, long = use.back_up(FILES, source="app"), use.back_up(FILES, source="app-2")
    assert use.repository.list_backup_ids("app") == (short.backup_id,)
    assert use.repository.list_backup_ids("app-2") == (long.backup_id,)


def test_the_files_table_is_what_the_manifest_says(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    table = use.store.get(files_key("app", manifest.backup_id))
    assert hashlib.sha256(table).hexdigest() == manifest.files_tsv_sha256
    rows = [line.split("\t") for line in table.decode().splitlines()]
    assert sorted(path for _, path, _, _, _ in rows) == sorted(FILES)
    records = {record.key: record for record in manifest.objects}
    for key, path, sha256, stored_bytes, member in rows:
        assert (records[key].sha256, records[key].stored_bytes) == (sha256, int(stored_bytes))
        assert bool(member) == records[key].bundle == (path != "2.dat")


def test_a_manifest_is_written_once(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    with pytest.raises(ObjectExists):
        use.repository.commit_manifest(replace(manifest, reason="another"))
    assert use.repository.read_manifest("app", manifest.backup_id).reason == ""


def test_committing_the_same_again_after_a_lost_answer_is_no_error(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    again, digest = use.repository.commit_manifest(replace(manifest, files_tsv_sha256=""))
    assert again == manifest
    assert digest == hashlib.sha256(use.repository.read_manifest_bytes("app", manifest.backup_id)).hexdigest()


def _written(use: RepositoryInUse) -> WrittenObjects:
    writer = ObjectWriter(use.repository, "app", [RECIPIENT])
    for path, content in FILES.items():
        writer.store_file(path, iter([content]))
    return writer.finish()


def test_an_object_that_vanished_before_the_commit_prevents_it(use: RepositoryInUse) -> None:
    written = _written(use)
    use.store.delete(written.objects[0].key)
    with pytest.raises(ObjectMissing, match="gone before the backup was complete"):
        use.repository.commit_manifest(manifest_of(written, NOW))
    assert use.repository.list_backup_ids() == ()


def test_an_object_that_the_store_lost_silently_prevents_the_backup() -> None:
    use = RepositoryInUse(AcceptButLose(MemoryStore(), lambda key: "/objects/" in key))
    with pytest.raises(ObjectMissing):
        use.back_up(FILES)
    assert use.repository.list_backup_ids() == ()


def test_a_manifest_that_reads_back_otherwise_is_reported() -> None:
    for fault in (FlipOneBit, Truncate):
        memory = RepositoryInUse()
        faulty = Repository.open(
            fault(memory.store, lambda key: key.endswith("manifest.json")),
            fingerprint_key=memory.repository.fingerprint_key,
        )
        with pytest.raises(DigestMismatch, match=r"manifest\.json is not stored as it was written"):
            faulty.commit_manifest(manifest_of(_written(memory), NOW))


def test_a_backup_exists_only_after_its_last_write() -> None:
    whole = RepositoryInUse()
    before = len(whole.store.writes)  # type: ignore[attr-defined]
    whole.back_up(FILES)
    changes = len(whole.store.writes) - before  # type: ignore[attr-defined]
    assert whole.store.writes[-2:] == [  # type: ignore[attr-defined]
        files_key("app", whole.manifests[0].backup_id),
        manifest_key("app", whole.manifests[0].backup_id),
    ]
    for number in range(1, changes + 1):
        use = RepositoryInUse()
        key = use.repository.fingerprint_key
        use.repository = Repository.open(CrashAfterChange(use.store, number), fingerprint_key=key)
        with pytest.raises(SimulatedCrash):
            use.back_up(FILES)
        after = Repository.open(use.store, fingerprint_key=key)
        assert len(after.list_backup_ids()) == (1 if number == changes else 0)
        assert after.read_all().unreadable == ()


def test_a_repository_that_was_swapped_meanwhile_gets_no_manifest(memory: RepositoryInUse) -> None:
    written = _written(memory)
    other = RepositoryInUse()
    memory.store.put("goldcopy.json", other.store.get("goldcopy.json"), replace=True)
    with pytest.raises(ConfigInvalid, match="does not belong to this repository"):
        memory.repository.commit_manifest(manifest_of(written, NOW))
    memory.store.delete("goldcopy.json")
    with pytest.raises(ManifestInvalid, match=r"goldcopy\.json is missing"):
        memory.repository.commit_manifest(manifest_of(written, NOW))
    assert memory.repository.list_backup_ids() == ()


def test_removing_a_manifest_ends_the_backup_and_may_be_repeated(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    for _ in range(2):
        use.repository.remove_manifest("app", manifest.backup_id)
    assert use.repository.list_backup_ids() == ()
    with pytest.raises(ObjectMissing):
        use.repository.read_manifest("app", manifest.backup_id)
    assert all(use.store.stat(record.key) for record in manifest.objects)


def test_an_interrupted_removal_has_ended_the_backup_already(memory: RepositoryInUse) -> None:
    manifest = memory.back_up(FILES)
    dying = Repository.open(CrashAfterChange(memory.store, 1))
    with pytest.raises(SimulatedCrash):
        dying.remove_manifest("app", manifest.backup_id)
    assert memory.repository.list_backup_ids() == ()
    memory.repository.remove_manifest("app", manifest.backup_id)
    assert not any("/backups/" in stored.key for stored in memory.store.list(""))


def test_a_folder_without_a_manifest_is_no_backup(memory: RepositoryInUse) -> None:
    manifest = memory.back_up(FILES)
    memory.store.delete(manifest_key("app", manifest.backup_id))
    assert memory.repository.list_backup_ids() == ()


@pytest.mark.parametrize(
    ("source", "backup_id"), [("../app", "x"), ("app", "x"), ("app", "20261121T020000Z-other-7f3a")]
)
def test_ids_and_sources_that_are_none_are_refused(memory: RepositoryInUse, source: str, backup_id: str) -> None:
    for call in (memory.repository.read_manifest, memory.repository.remove_manifest):
        with pytest.raises(UsageProblem):
            call(source, backup_id)


# --- manifests that cannot be trusted --------------------------------------------------------------------------------


def test_reading_all_keeps_the_good_and_names_the_bad(use: RepositoryInUse) -> None:
    manifests = [use.back_up(FILES) for _ in range(30)]
    use.store.put(manifest_key("app", manifests[7].backup_id), b"{}", replace=True)
    read = use.repository.read_all()
    assert [item.backup_id for item in read.manifests] == [
        item.backup_id for number, item in enumerate(manifests) if number != 7
    ]
    [finding] = read.unreadable
    assert finding.object == manifest_key("app", manifests[7].backup_id)
    assert finding.severity is Severity.ERROR
    assert [item.backup_id for item in use.repository.newest_manifests("app", 30)] == [
        item.backup_id for number, item in reversed(list(enumerate(manifests))) if number != 7
    ]


def test_a_manifest_removed_while_all_are_read_is_no_finding(memory: RepositoryInUse) -> None:
    first, second = memory.back_up(FILES), memory.back_up(FILES)
    gone = manifest_key("app", first.backup_id)
    read = Repository.open(VanishAfterList(memory.store, lambda key: key == gone)).read_all()
    assert read.manifests == (second,)
    assert read.unreadable == ()


def test_a_store_that_does_not_answer_is_no_damage(memory: RepositoryInUse) -> None:
    memory.back_up(FILES)
    silent = Repository(Unreachable(memory.store), memory.repository.description, None)
    with pytest.raises(StoreUnreachable):
        silent.read_all()


def test_an_object_is_compared_with_its_record(use: RepositoryInUse) -> None:
    manifest = use.back_up(FILES)
    record = manifest.objects[0]
    sealed = use.repository.read_object(record)
    assert unseal_whole(sealed, load_identities(SECRET))
    use.store.put(record.key, sealed[:-1] + bytes([sealed[-1] ^ 1]), replace=True)
    with pytest.raises(DigestMismatch, match="are not those that were stored"):
        use.repository.read_object(record)
    use.store.put(record.key, sealed[:-1], replace=True)
    with pytest.raises(DigestMismatch, match="bytes instead of"):
        use.repository.read_object(record)
    use.store.delete(record.key)
    with pytest.raises(ObjectMissing):
        use.repository.read_object(record)


def test_nothing_in_the_repository_tells_what_was_backed_up(memory: RepositoryInUse) -> None:
    secret = b"4711\tvery secret\n"
    memory.back_up({"1.dat": secret})
    plain_digest = hashlib.sha256(secret).hexdigest()
    for key, (data, _at) in memory.store.objects.items():  # type: ignore[attr-defined]
        assert b"very secret" not in data
        assert plain_digest not in key
        assert plain_digest.encode() not in data
        assert memory.repository.fingerprint_key not in data
        assert memory.repository.fingerprint_key.hex().encode() not in data


def test_what_is_written_is_what_a_strict_reader_expects(memory: RepositoryInUse) -> None:
    manifest = memory.back_up(FILES)
    data = memory.repository.read_manifest_bytes("app", manifest.backup_id)
    assert decode_manifest(data, fingerprint_key=memory.repository.fingerprint_key) == manifest
    assert manifest.recovery_point_at - NOW == timedelta(0)
