"""Manifests that somebody changed, moved or made without the key are not read."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.manifest import Manifest, ObjectRecord, encode_manifest
from shared.errors import (
    ManifestInvalid,
)
from shared.repository.layout import manifest_key
from shared.repository.repository import Repository
from tests.support.faulty_store import (
    FlipOneBit,
)
from tests.support.repositories import (
    RepositoryInUse,
)

FILES = {"toc.dat.x": b"toc", "1.dat": b"a\nb\n", "2.dat": b"c\n" * 1_000_000}


@pytest.fixture
def memory() -> RepositoryInUse:
    return RepositoryInUse()


def _stored_as(use: RepositoryInUse, manifest: Manifest, data: bytes) -> None:
    use.store.put(manifest_key(manifest.source, manifest.backup_id), data, replace=True)


def test_every_flipped_bit_of_a_manifest_is_seen(memory: RepositoryInUse) -> None:
    manifest = memory.back_up({"1.dat": b"x"})
    size_bytes = len(memory.repository.read_manifest_bytes("app", manifest.backup_id))
    key = memory.repository.fingerprint_key
    for bit in range(0, size_bytes * 8, 5):
        damaged = FlipOneBit(memory.store, lambda name: name.endswith("manifest.json"), bit)
        with pytest.raises(ManifestInvalid):
            Repository.open(damaged, fingerprint_key=key).read_manifest("app", manifest.backup_id)


def test_a_manifest_that_was_made_without_the_key_is_refused(memory: RepositoryInUse) -> None:
    manifest = memory.back_up(FILES)
    _stored_as(memory, manifest, encode_manifest(replace(manifest, reason="forged"), b"x" * 32))
    with pytest.raises(ManifestInvalid, match="mac"):
        memory.repository.read_manifest("app", manifest.backup_id)


def test_a_manifest_in_another_s_place_is_refused(memory: RepositoryInUse) -> None:
    first, second = memory.back_up(FILES), memory.back_up(FILES)
    _stored_as(memory, first, memory.repository.read_manifest_bytes("app", second.backup_id))
    with pytest.raises(ManifestInvalid, match="is that of"):
        memory.repository.read_manifest("app", first.backup_id)


def _naming(key: str) -> Callable[[Manifest], Manifest]:
    record = ObjectRecord(key=key, stored_bytes=1, sha256="0" * 64)
    return lambda manifest: replace(manifest, objects=(record, *manifest.objects))


def _with_file(**changes: object) -> Callable[[Manifest], Manifest]:
    return lambda manifest: replace(manifest, files=(replace(manifest.files[0], **changes), *manifest.files[1:]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_naming("goldcopy.json"), "is no object of app"),
        (_naming("../../etc/passwd"), "is no object of app"),
        (_naming(f"sources/other/objects/00/{'0' * 64}.00000000"), "is no object of app"),
        (_with_file(path="../escaped"), "not the name of a file"),
        (_with_file(path="a/b"), "not the name of a file"),
        (_with_file(member="../escaped"), "not the name of a file"),
        (_with_file(objects=(99,)), "refers to an object that is not listed"),
        (_with_file(objects=(-1,)), "refers to an object that is not listed"),
    ],
)
def test_a_manifest_that_names_what_is_not_its_own_is_refused_both_ways(
    memory: RepositoryInUse, change: Callable[[Manifest], Manifest], message: str
) -> None:
    manifest = memory.back_up(FILES)
    forged = change(manifest)
    _stored_as(memory, manifest, encode_manifest(forged, memory.repository.fingerprint_key))
    with pytest.raises(ManifestInvalid, match=message):
        memory.repository.read_manifest("app", manifest.backup_id)
    with pytest.raises(ManifestInvalid, match=message):
        memory.repository.commit_manifest(forged)
