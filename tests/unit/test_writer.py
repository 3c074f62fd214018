"""The object writer: shapes, names, sharing, failures and bounds."""

import hashlib
import hmac
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.errors import ConfigInvalid, SpaceExhausted, StoreUnreachable
from shared.repository import packing, writer
from shared.repository.layout import parse_key
from shared.repository.packing import BUNDLE_BYTES, BUNDLED_BELOW_BYTES, Room
from shared.repository.repository import Repository
from shared.repository.writer import ObjectWriter
from tests.support.faulty_store import FailOnce, Full, MemoryStore, WrappedStore
from tests.support.repositories import END_MARKER, OTHER_RECIPIENT, RECIPIENT, RepositoryInUse

PART_BYTES = 2 << 20  # much less than in earnest, so that the tests are quick
LARGE = 3 * PART_BYTES + 12345


def rows(seed: int, size_bytes: int) -> bytes:
    """Text that compresses a little, different for every seed, of exactly a size."""
    block = b"".join(hashlib.md5(b"%d %d" % (seed, number)).hexdigest().encode() + b"\n" for number in range(100))
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def objects_in(store: MemoryStore) -> set[str]:
    return {key for key in store.objects if "/objects/" in key}


def fingerprint(use: RepositoryInUse, content: bytes) -> str:
    return hmac.new(use.repository.fingerprint_key, content, hashlib.sha256).hexdigest()


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PART_BYTES", PART_BYTES)


@pytest.fixture
def use() -> RepositoryInUse:
    return RepositoryInUse()


def new_writer(use: RepositoryInUse, **more: object) -> ObjectWriter:
    return ObjectWriter(use.repository, "app", [RECIPIENT], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "size_bytes",
    [
        0,
        1,
        BUNDLED_BELOW_BYTES - 1,
        BUNDLED_BELOW_BYTES,
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        2 * PART_BYTES,
        LARGE,
    ],
)
@pytest.mark.parametrize("path", ["3456.dat", "toc.other"])
def test_every_size_comes_back_as_it_was(use: RepositoryInUse, path: str, size_bytes: int) -> None:
    content = rows(1, size_bytes)
    manifest = use.back_up({path: content}, chunk_bytes=3_000_001)
    trailer = END_MARKER if path.endswith(".dat") else b""
    assert use.files_of(manifest) == {path: content + trailer}
    [file] = manifest.files
    assert file.plain_bytes == size_bytes + len(trailer)
    assert file.fingerprint == fingerprint(use, content)
    assert len(file.objects) == max(1, -(-size_bytes // PART_BYTES))
    assert bool(file.member) == (size_bytes < BUNDLED_BELOW_BYTES)
    assert all(manifest.objects[index].plain_bytes <= PART_BYTES + len(trailer) for index in file.objects)


def test_a_stored_file_tells_rows_size_and_fingerprint_without_the_trailer(use: RepositoryInUse) -> None:
    with new_writer(use) as writing:
        stored = writing.store_file("1.dat", iter([b"a\nb", b"\n", b"c\n"]), trailer=END_MARKER)
        writing.finish()
    assert (stored.path, stored.rows, stored.plain_bytes) == ("1.dat", 3, 6)
    assert stored.fingerprint == fingerprint(use, b"a\nb\nc\n")


def test_how_a_file_is_cut_into_chunks_changes_nothing(use: RepositoryInUse) -> None:
    content = rows(2, PART_BYTES + 70_000)
    first = use.back_up({"1.dat": content}, chunk_bytes=PART_BYTES * 2, previous=())
    second = use.back_up({"1.dat": content}, chunk_bytes=65_537, previous=())
    names = [[parse_key(record.key).name for record in manifest.objects] for manifest in (first, second)]
    assert names[0] == names[1]
    assert first.files == second.files


def test_a_file_is_named_by_its_content_and_a_part_by_its_place_and_all_before_it(
    use: RepositoryInUse,
) -> None:
    content = rows(3, 2 * PART_BYTES)
    manifest = use.back_up({"1.dat": content[:BUNDLED_BELOW_BYTES], "2.dat": content})
    files = {file.path: file for file in manifest.files}
    key = use.repository.fingerprint_key
    whole = manifest.objects[files["1.dat"].objects[0]]
    assert parse_key(whole.key).name == fingerprint(use, content[:BUNDLED_BELOW_BYTES])
    ends = [(0, PART_BYTES, content[:PART_BYTES]), (PART_BYTES, 2 * PART_BYTES + len(END_MARKER), content)]
    for index, (start, end, before) in zip(files["2.dat"].objects, ends, strict=True):
        text = f"part {start} {end} {fingerprint(use, before)}".encode()
        assert parse_key(manifest.objects[index].key).name == hmac.new(key, text, hashlib.sha256).hexdigest()


def test_small_files_travel_in_few_bundles(use: RepositoryInUse) -> None:
    files = {f"{number}.dat": rows(number, 9000) for number in range(3000)}
    manifest = use.back_up(files)
    assert all(record.bundle for record in manifest.objects)
    assert len(manifest.objects) == -(-sum(10240 for _ in files) // BUNDLE_BYTES)
    assert use.files_of(replace(manifest, files=manifest.files[::100])).keys() == {
        file.path for file in manifest.files[::100]
    }
    assert sum(record.plain_bytes for record in manifest.objects) == 3000 * (9000 + len(END_MARKER))


def test_a_bundle_is_named_by_its_members(use: RepositoryInUse) -> None:
    manifest = use.back_up({"1.dat": b"a\n", "2.dat": b"b\n"})
    members = fingerprint(use, b"a\n") + fingerprint(use, b"b\n")
    assert parse_key(manifest.objects[0].key).name == fingerprint(use, members.encode())


def test_files_of_equal_content_are_stored_once(use: RepositoryInUse) -> None:
    large = rows(4, 3 << 19)
    manifest = use.back_up({"1.dat": b"", "2.dat": b"", "3.dat": large, "4.dat": large, "blob_1.dat.x": b""})
    files = {file.path: file for file in manifest.files}
    assert files["1.dat"].member == files["2.dat"].member
    assert files["1.dat"].member != files["blob_1.dat.x"].member, "the same content without the end marker"
    assert files["3.dat"].objects == files["4.dat"].objects
    assert len(manifest.objects) == 2
    assert use.files_of(manifest)["4.dat"] == large + END_MARKER


def test_nothing_changed_stores_nothing_new(use: RepositoryInUse) -> None:
    files = {"1.dat": rows(1, LARGE), "2.dat": rows(2, 3 << 19), "3.dat": rows(3, 900), "toc.dat.x": b"toc"}
    first = use.back_up(files)
    second = use.back_up({f"9{path}": content for path, content in files.items()})
    assert first.new_bytes == first.stored_bytes > 0
    assert second.new_bytes == 0
    assert set(second.objects) == set(first.objects)
    assert use.files_of(second)["91.dat"] == files["1.dat"] + END_MARKER


def test_a_table_that_grew_stores_only_its_end(use: RepositoryInUse) -> None:
    content = rows(5, LARGE)
    first = use.back_up({"1.dat": content})
    second = use.back_up({"1.dat": content + b"one more row\n"})
    shared = {record.key for record in first.objects} & {record.key for record in second.objects}
    assert len(shared) == 3
    assert second.new_bytes == sum(record.stored_bytes for record in second.objects if record.key not in shared)
    assert use.files_of(second)["1.dat"] == content + b"one more row\n" + END_MARKER


def test_a_table_that_changed_in_front_shares_nothing(use: RepositoryInUse) -> None:
    content = rows(6, PART_BYTES + 1000)
    first = use.back_up({"1.dat": content})
    second = use.back_up({"1.dat": b"X" + content[1:]})
    assert not {record.key for record in first.objects} & {record.key for record in second.objects}


def test_the_same_content_gets_a_key_of_its_own_when_it_is_not_shared(use: RepositoryInUse) -> None:
    first = use.back_up({"1.dat": rows(1, 3 << 19)})
    second = use.back_up({"1.dat": rows(1, 3 << 19)}, previous=())
    names = {parse_key(manifest.objects[0].key).name for manifest in (first, second)}
    assert len(names) == 1
    assert first.objects[0].key != second.objects[0].key


def test_a_backup_for_other_recipients_is_not_shared_from(use: RepositoryInUse) -> None:
    use.back_up({"1.dat": rows(1, 3 << 19), "2.dat": b"x"})
    use.recipients = (RECIPIENT, OTHER_RECIPIENT)
    assert use.back_up({"1.dat": rows(1, 3 << 19), "2.dat": b"x"}).new_bytes > 0


def test_another_source_is_not_shared_from(use: RepositoryInUse) -> None:
    use.back_up({"1.dat": rows(1, 3 << 19)}, source="app")
    assert use.back_up({"1.dat": rows(1, 3 << 19)}, source="other").new_bytes > 0


@pytest.mark.parametrize("size_bytes", [100, 3 << 19, LARGE])
def test_an_object_that_is_gone_is_stored_anew_and_named(use: RepositoryInUse, size_bytes: int) -> None:
    content = rows(1, size_bytes)
    first = use.back_up({"1.dat": content})
    use.store.delete(first.objects[0].key)
    writing = new_writer(use, previous=[first])
    writing.store_file("1.dat", iter([content]), trailer=END_MARKER)
    written = writing.finish()
    assert writing.lost_keys == (first.objects[0].key,)
    assert first.objects[0].key not in {record.key for record in written.objects}
    assert len({record.key for record in written.objects} & {record.key for record in first.objects}) == (
        len(first.objects) - 1
    )


def test_an_object_of_another_size_is_not_shared(use: RepositoryInUse) -> None:
    first = use.back_up({"1.dat": rows(1, 3 << 19)})
    use.store.put(first.objects[0].key, b"short", replace=True)
    assert use.back_up({"1.dat": rows(1, 3 << 19)}).new_bytes > 0


def test_an_object_that_was_found_damaged_is_not_shared(use: RepositoryInUse) -> None:
    first = use.back_up({"1.dat": rows(1, 3 << 19), "2.dat": b"small"})
    second = use.back_up(
        {"1.dat": rows(1, 3 << 19), "2.dat": b"small"}, damaged_keys=[record.key for record in first.objects]
    )
    assert not {record.key for record in first.objects} & {record.key for record in second.objects}


def test_a_bundle_that_is_mostly_dead_is_left_behind(use: RepositoryInUse) -> None:
    files = {f"{number}.dat": rows(number, 10_000) for number in range(10)}
    first = use.back_up(files)
    six = use.back_up({path: files[path] for path in list(files)[:6]})
    assert six.new_bytes == 0, "more than half of the bundle was alive in the backup before"
    four = use.back_up({path: files[path] for path in list(files)[:4]})
    assert four.new_bytes == 0, "the backup before still used six of ten"
    last = use.back_up({path: files[path] for path in list(files)[:4]})
    assert last.new_bytes > 0, "the backup before used four of ten"
    assert first.objects[0].key not in {record.key for record in last.objects}
    assert use.back_up({path: files[path] for path in list(files)[:4]}).objects == last.objects


def test_two_files_of_one_name_are_refused(use: RepositoryInUse) -> None:
    with new_writer(use) as writing:
        writing.store_file("1.dat", iter([b"a"]))
        with pytest.raises(ValueError, match="stored already"):
            writing.store_file("1.dat", iter([b"b"]))
        with pytest.raises(ValueError, match="not the name of a file"):
            writing.store_file("../1.dat", iter([b"b"]))


def test_a_file_whose_reading_failed_cannot_end_up_in_a_backup(use: RepositoryInUse) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the dump died")

    writing = new_writer(use)
    with pytest.raises(OSError, match="the dump died"):
        writing.store_file("1.dat", breaks())
    with pytest.raises(ValueError, match=r"1\.dat was begun and not stored"):
        writing.finish()


def test_a_failed_upload_is_told_to_whoever_comes_next() -> None:
    use = RepositoryInUse(FailOnce(MemoryStore(), lambda key: "/objects/" in key))
    writing = new_writer(use)

    def go_on_storing() -> None:
        for number in range(50):
            writing.store_file(f"{number}.dat", iter([rows(number, 4 << 20)]))

    with pytest.raises(StoreUnreachable):
        go_on_storing()
    with pytest.raises(StoreUnreachable):
        writing.finish()


def test_a_failed_upload_of_the_last_bundle_is_told_by_finish() -> None:
    use = RepositoryInUse(FailOnce(MemoryStore(), lambda key: "/objects/" in key))
    writing = new_writer(use)
    writing.store_file("1.dat", iter([b"small"]))
    with pytest.raises(StoreUnreachable):
        writing.finish()


def test_a_full_store_ends_a_large_file_while_it_is_read() -> None:
    use = RepositoryInUse(Full(MemoryStore(), 1 << 20))
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield rows(number % 7, 1 << 20)

    with pytest.raises(SpaceExhausted):
        new_writer(use).store_file("1.dat", endless())
    assert read < 1000


def test_threads_may_store_at_the_same_time(use: RepositoryInUse) -> None:
    contents = {f"{number}.dat": rows(number % 40, 3000 * (number % 600)) for number in range(200)}
    with new_writer(use) as writing, ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda item: writing.store_file(item[0], iter([item[1]])), contents.items()))
        written = writing.finish()
    assert [file.fingerprint for file in stored] == [fingerprint(use, content) for content in contents.values()]
    assert len(written.files) == 200
    assert written.new_bytes == sum(record.stored_bytes for record in written.objects)


class Slow(WrappedStore):
    """Holds every object back until it is told to go on, and counts what waits."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.go_on = threading.Event()
        self.is_held = threading.Event()

    def put(self, key: str, data: bytes, *, replace: bool = False):  # type: ignore[no-untyped-def]
        if "/objects/" in key:
            self.is_held.set()
            self.go_on.wait(60)
        return super().put(key, data, replace=replace)


def test_a_slow_store_holds_back_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PART_BYTES", 1 << 20)
    monkeypatch.setattr(writer, "_IN_FLIGHT_BYTES", 2 << 20)
    slow = Slow()
    use = RepositoryInUse(slow)
    given = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given
        for number in range(60):
            given += 1
            yield random.Random(number).randbytes(1 << 20)

    with new_writer(use) as writing, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(writing.store_file, "1.dat", chunks())
        slow.is_held.wait(60)
        with pytest.raises(TimeoutError):
            reading.result(timeout=0.5)
        assert given < 10
        slow.go_on.set()
        assert reading.result(timeout=60).plain_bytes == 60 << 20
        assert len(writing.finish().objects) == 60


def test_aborting_lets_a_waiting_reader_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PART_BYTES", 1 << 20)
    monkeypatch.setattr(writer, "_IN_FLIGHT_BYTES", 2 << 20)
    slow = Slow()
    writing = new_writer(RepositoryInUse(slow))
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(writing.store_file, "1.dat", (random.Random(1).randbytes(1 << 20) for _ in range(60)))
        slow.is_held.wait(60)
        aborting = pool.submit(writing.abort)
        slow.go_on.set()
        aborting.result(timeout=60)
        with pytest.raises(RuntimeError):
            reading.result(timeout=60)
        with pytest.raises(RuntimeError):
            writing.finish()


def test_room_lets_something_larger_than_itself_pass_alone() -> None:
    room = Room(10)
    room.take(100)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(room.take, 1)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.1)
        room.give(100)
        second.result(timeout=60)


def test_no_recipient_and_no_key_are_refused_before_anything_is_read(use: RepositoryInUse) -> None:
    with pytest.raises(ConfigInvalid, match="no recipient"):
        ObjectWriter(use.repository, "app", [])
    keyless = Repository.open(use.store)
    with pytest.raises(ConfigInvalid, match="fingerprint key"):
        ObjectWriter(keyless, "app", [RECIPIENT])
