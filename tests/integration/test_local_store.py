"""What is particular to a folder: modes, links, full disks, permissions, leftovers, durability."""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import GoldcopyError, ObjectExists, ObjectMissing, SpaceExhausted, StoreRefused, StoreUnreachable
from shared.repository.local import LocalStore

SOON = timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "repository"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def failing(monkeypatch: pytest.MonkeyPatch, function: str, number: int) -> None:
    """Let a system call fail from now on."""

    def fail(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, fail)


def test_only_the_owner_may_look(store: LocalStore, root: Path) -> None:
    store.put("folder/below/key", b"secret")
    assert (root / "folder/below/key").stat().st_mode & 0o777 == 0o600
    for folder in (root, root / "folder", root / "folder/below", root.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_write_leaves_nothing_but_the_object(store: LocalStore, root: Path) -> None:
    store.put("folder/key", b"1")
    store.put("folder/key", b"2", replace=True)
    with pytest.raises(ObjectExists):
        store.put("folder/key", b"3")
    assert files_below(root) == ["folder/key"]


def test_file_and_name_and_folders_are_flushed_to_disk(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[Path] = set()
    real = os.fsync

    def record(descriptor: int) -> None:
        flushed.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    store.put("a/b/key", b"1")
    assert {root.parent.parent, root.parent, root, root / "a", root / "a/b"} <= flushed
    assert any(path.parent == root / ".unfinished" for path in flushed)
    flushed.clear()
    store.delete("a/b/key")
    assert root / "a/b" in flushed


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, SpaceExhausted),
        (errno.EDQUOT, SpaceExhausted),
        (errno.EACCES, StoreRefused),
        (errno.EROFS, StoreRefused),
        (errno.EIO, StoreUnreachable),
        (errno.ESTALE, StoreUnreachable),
    ],
)
@pytest.mark.parametrize("function", ["fsync", "open"])
def test_what_the_disk_says_is_passed_on_and_nothing_is_left(
    store: LocalStore,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    number: int,
    kind: type[GoldcopyError],
) -> None:
    store.put("folder/other", b"1")
    with monkeypatch.context() as patch:
        failing(patch, function, number)
        with pytest.raises(kind) as caught:
            store.put("folder/key", b"1")
    assert "folder/key" in caught.value.message
    assert caught.value.hint
    assert files_below(root) == ["folder/other"]


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreRefused):
        LocalStore(blocked / "repository").put("key", b"1")


def test_a_file_system_without_links_still_writes_once(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "link", errno.EPERM)
    store.put("folder/key", b"1")
    with pytest.raises(ObjectExists):
        store.put("folder/key", b"2")
    assert store.get("folder/key") == b"1"
    assert files_below(root) == ["folder/key"]


def test_what_a_cut_write_left_is_invisible_and_removed_once_old(store: LocalStore, root: Path) -> None:
    store.put("key", b"1")
    (root / ".unfinished" / "cut").write_bytes(b"half")
    assert [stored.key for stored in store.list("")] == ["key"]
    now = datetime.now(UTC)
    assert store.discard_unfinished(before=now - SOON) == 0
    assert store.discard_unfinished(before=now + SOON) == 1
    assert files_below(root) == ["key"]


def test_an_empty_or_absent_folder_is_an_empty_store(store: LocalStore) -> None:
    assert list(store.list("")) == []
    assert store.folders("") == ()
    assert store.stat("key") is None
    assert store.discard_unfinished(before=datetime.now(UTC)) == 0
    store.delete("key")
    with pytest.raises(ObjectMissing):
        store.get("key")


def _link_to_file(place: Path, target: Path) -> None:
    place.symlink_to(target)


def _link_to_folder(place: Path, target: Path) -> None:
    place.symlink_to(target.parent)


@pytest.mark.parametrize("make", [_link_to_file, _link_to_folder])
def test_a_link_out_of_the_folder_is_not_followed(
    store: LocalStore, root: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    store.put("key", b"1")
    outside = tmp_path / "outside"
    outside.write_text("secret")
    make(root / "link", outside)
    assert [stored.key for stored in store.list("")] == ["key"]
    with pytest.raises((StoreRefused, ObjectMissing)):
        store.get("link")
    assert store.stat("link") is None


def _make_socket(place: Path) -> None:
    with chdir(place.parent), socket.socket(socket.AF_UNIX) as made:  # its whole path may be too long for a socket
        made.bind(place.name)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, Path.mkdir, _make_socket, lambda place: place.symlink_to("key")],
    ids=["fifo", "folder", "socket", "link"],
)
def test_what_is_no_file_is_no_object_and_reading_it_does_not_wait(
    store: LocalStore, root: Path, make: Callable[[Path], None]
) -> None:
    store.put("key", b"1")
    make(root / "other")
    with pytest.raises(ObjectMissing, match="other is not a regular file"):
        store.get("other")
    assert store.stat("other") is None
    assert [stored.key for stored in store.list("")] == ["key"]


def test_folders_that_become_empty_go_with_their_last_object(store: LocalStore, root: Path) -> None:
    store.put("a/b/one", b"1")
    store.put("a/two", b"2")
    store.delete("a/b/one")
    assert not (root / "a/b").exists()
    store.delete("a/two")
    assert root.exists()
    assert not (root / "a").exists()


def test_hidden_files_of_others_are_not_objects(store: LocalStore, root: Path) -> None:
    store.put("key", b"1")
    (root / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    assert [stored.key for stored in store.list("")] == ["key"]
    assert store.folders("") == ()
