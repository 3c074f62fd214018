"""What every object store must do: run against memory, a local folder and a real S3 server."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import ObjectExists, ObjectMissing, StoreRefused
from shared.repository.local import LocalStore
from shared.repository.store import ObjectStore
from tests.support.faulty_store import MemoryStore

ODD_KEYS = ("a b", "plus+sign", "a=b;c", "100%", "per%20cent", "ümlaut", "数据", "a'b\"c", "q?x#y&z", "tilde~", "a..b")
HOSTILE_KEYS = ("", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", ".hidden", "a\\b", "a\nb", "a\0b", "x" * 2000)


def _memory(_request: pytest.FixtureRequest) -> ObjectStore:
    return MemoryStore()


def _local(request: pytest.FixtureRequest) -> ObjectStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return LocalStore(folder / "store")


def _s3(request: pytest.FixtureRequest) -> ObjectStore:
    store: ObjectStore = request.getfixturevalue("s3_place").store()
    return store


@pytest.fixture(params=[_memory, _local, _s3], ids=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    make: Callable[[pytest.FixtureRequest], ObjectStore] = request.param
    return make(request)  # type: ignore[return-value]


def keys_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return [stored.key for stored in store.list(prefix)]


@pytest.mark.parametrize("size_bytes", [0, 1, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_what_is_put_is_what_is_got(store: ObjectStore, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    stored = store.put("folder/object", data)
    assert (stored.key, stored.stored_bytes) == ("folder/object", size_bytes)
    assert store.get("folder/object") == data
    seen = store.stat("folder/object")
    assert seen is not None
    assert seen.stored_bytes == size_bytes
    assert abs(seen.modified_at - stored.modified_at) < timedelta(seconds=5)


def test_an_object_is_written_once(store: ObjectStore) -> None:
    store.put("key", b"first")
    with pytest.raises(ObjectExists) as caught:
        store.put("key", b"second")
    assert "key" in caught.value.message
    assert store.get("key") == b"first"


def test_a_large_object_is_written_once_and_leaves_nothing_behind(store: ObjectStore) -> None:
    store.put("key", b"first")
    with pytest.raises(ObjectExists):
        store.put("key", bytes(20 << 20))
    assert store.get("key") == b"first"
    assert store.discard_unfinished(before=datetime.now(UTC) + timedelta(hours=1)) == 0


def test_of_sixteen_writers_of_one_key_exactly_one_wins(store: ObjectStore) -> None:
    barrier = threading.Barrier(16)

    def write(number: int) -> int | None:
        barrier.wait()
        try:
            store.put("race", b"%d" % number)
        except ObjectExists:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(write, range(16)) if number is not None]
    assert len(winners) == 1
    assert store.get("race") == b"%d" % winners[0]


def test_replacing_replaces(store: ObjectStore) -> None:
    store.put("key", b"first")
    store.put("key", b"second, longer", replace=True)
    assert store.get("key") == b"second, longer"
    assert keys_of(store) == ["key"]


def test_replacing_may_also_create(store: ObjectStore) -> None:
    store.put("key", b"first", replace=True)
    assert store.get("key") == b"first"


def test_a_missing_object_is_told_apart(store: ObjectStore) -> None:
    store.put("folder/present", b"1")
    for key in ("folder/absent", "folder", "folder/present/below", "elsewhere/absent"):
        assert store.stat(key) is None
        with pytest.raises(ObjectMissing) as caught:
            store.get(key)
        assert key in caught.value.message


def test_deleting_removes_and_may_be_repeated(store: ObjectStore) -> None:
    store.put("folder/key", b"1")
    store.delete("folder/key")
    store.delete("folder/key")
    store.delete("never/there")
    assert store.stat("folder/key") is None
    assert keys_of(store) == []
    store.put("folder/key", b"again")
    assert store.get("folder/key") == b"again"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_kept_as_they_are(store: ObjectStore, key: str) -> None:
    store.put(f"odd/{key}", key.encode())
    assert store.get(f"odd/{key}") == key.encode()
    assert keys_of(store, "odd/") == [f"odd/{key}"]
    store.delete(f"odd/{key}")
    assert store.stat(f"odd/{key}") is None


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_key_never_leaves_the_store(store: ObjectStore, key: str) -> None:
    for use in (
        lambda: store.put(key, b"1"),
        lambda: store.get(key),
        lambda: store.stat(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(StoreRefused, match="not allowed"):
            use()


def test_listing_is_by_prefix_and_whole(store: ObjectStore) -> None:
    keys = ["a", "a-b", "a/b", "a/c/d", "a.b", "a0", "b/1", "B/1", "z~", "é"]
    for key in keys:
        try:
            store.put(key, key.encode())
        except StoreRefused:  # a plain folder cannot hold both `a` and `a/b`
            keys = [kept for kept in keys if kept != key]
            assert key in ("a", "a/b", "a/c/d")
    assert sorted(keys_of(store)) == sorted(keys)
    assert sorted(keys_of(store, "a")) == sorted(key for key in keys if key.startswith("a"))
    assert keys_of(store, "b/") == ["b/1"]
    assert keys_of(store, "nothing") == []
    assert [stored.stored_bytes for stored in store.list("b/")] == [3]


def test_listing_one_folder_is_in_the_order_of_bytes(store: ObjectStore) -> None:
    names = ["b", "B", "a.b", "a-b", "a0", "é", "Z", "z~", "10", "9", "_"]
    for name in names:
        store.put(f"folder/{name}", b"1")
    assert keys_of(store, "folder/") == sorted((f"folder/{name}" for name in names), key=str.encode)


def test_listing_goes_on_beyond_a_thousand_objects(store: ObjectStore) -> None:
    keys = [f"many/{number:04d}" for number in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"1"), keys))
    assert keys_of(store, "many/") == keys


def test_folders_are_the_next_level_only(store: ObjectStore) -> None:
    for key in ("top", "sources/b/x", "sources/a/x/y", "sources/a/z", "sources/file", "other/x"):
        store.put(key, b"1")
    assert store.folders("sources/") == ("a", "b")
    assert store.folders("") == ("other", "sources")
    assert store.folders("nothing/") == ()


def test_the_digest_that_a_store_keeps_is_that_of_the_bytes(store: ObjectStore) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert store.put("key", b"hello").sha256 in (None, digest)
    seen = store.stat("key")
    assert seen is not None
    assert seen.sha256 in (None, digest)
    assert [stored.sha256 for stored in store.list("")] == [None]


def test_two_stores_on_one_place_see_the_same(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"parallel/{number % 5}/{number}", b"%d" % number), range(200)))
        assert len(keys_of(store)) == 200
        list(pool.map(lambda stored: store.delete(stored.key), store.list("")))
    assert keys_of(store) == []
