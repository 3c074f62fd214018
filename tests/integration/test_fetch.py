"""Stored objects become the files of a dump again: parts in order, bundles taken apart, every file compared."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.manifest import Manifest, TableRecord
from shared.errors import DecryptionFailed, IntegrityProblem, Interrupted, SpaceExhausted
from shared.operations import scratch_space
from shared.operations.fetch import FetchResult, fetch_backup, raise_damage
from shared.operations.meanwhile import Meanwhile
from shared.operations.progress import OnProgress, no_progress
from shared.repository.sealing import load_identities
from tests.support.repositories import OTHER_SECRET, SECRET, RepositoryInUse

ROWS = b"".join(b"%d\trow number %d\n" % (number, number) for number in range(1_800_000))  # 41 MB: two parts
MIDDLE = b"".join(b"%d\tmiddle\n" % number for number in range(150_000))
FILES = {
    "10.dat": ROWS,
    "11.dat": MIDDLE,
    "12.dat": b"1\tsmall\n",
    "13.dat": b"1\tsmall\n",  # the same content as another file: one member serves both
    "14.dat": b"",
    "toc.dat": b"contents",
    "blob_5.dat": b"a large object",
}


@pytest.fixture(scope="module")
def in_use() -> RepositoryInUse:
    made = RepositoryInUse()
    made.back_up(FILES)
    return made


@pytest.fixture(scope="module")
def manifest(in_use: RepositoryInUse) -> Manifest:
    """The manifest with its tables, as a backup of a database has them."""
    whole = in_use.manifests[0]
    tables = tuple(
        TableRecord(
            schema="public",
            name=f"t{file.path.split('.')[0]}",
            columns=("id",),
            rows=FILES[file.path].count(b"\n"),
            plain_bytes=len(FILES[file.path]),
            fingerprint=file.fingerprint,
            file=file.path,
        )
        for file in whole.files
        if file.path[0].isdigit()
    )
    return replace(whole, tables=tables)


def fetch(
    in_use: RepositoryInUse, manifest: Manifest, folder: Path, wanted: tuple[str, ...] = tuple(FILES), threads: int = 3
) -> FetchResult:
    return fetch_backup(
        in_use.repository,
        manifest,
        load_identities(SECRET),
        folder,
        is_wanted=lambda file: file.path in wanted,
        threads=threads,
        on_progress=no_progress,
    )


def parts_of(manifest: Manifest, path: str) -> list[str]:
    file = next(file for file in manifest.files if file.path == path)
    return [manifest.objects[index].key for index in file.objects]


@pytest.mark.parametrize("threads", [1, 4])
def test_files_come_back_as_they_were(
    in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path, threads: int
) -> None:
    result = fetch(in_use, manifest, tmp_path, threads=threads)
    assert result.findings == ()
    fetched = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fetched == {path: in_use.files_of(manifest)[path] for path in FILES}
    assert fetched["10.dat"].startswith(ROWS)
    assert len(parts_of(manifest, "10.dat")) == 2
    assert result.plain_bytes == sum(map(len, fetched.values()))
    assert set(result.phases_seconds) == {"fetch", "unseal"}


def test_only_what_is_wanted_is_read(in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path) -> None:
    result = fetch(in_use, manifest, tmp_path, wanted=("toc.dat", "12.dat"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["12.dat", "toc.dat"]
    bundle = next(record for record in manifest.objects if record.bundle)
    assert result.stored_bytes == bundle.stored_bytes


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: b"\0" + data[1:], None], ids=["cut", "bit", "gone"]
)
def test_a_damaged_part_is_named_with_its_table(
    in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path, part: int, change: Callable[[bytes], bytes] | None
) -> None:
    key = parts_of(manifest, "10.dat")[part]
    whole = in_use.store.get(key)
    in_use.store.delete(key)
    if change:
        in_use.store.put(key, change(whole))
    try:
        result = fetch(in_use, manifest, tmp_path)
    finally:
        in_use.store.put(key, whole, replace=True)
    (finding,) = result.findings
    assert finding.object == key
    assert finding.message.endswith("it holds public.t10")
    assert result.damaged_keys == (key,)
    assert not (tmp_path / "10.dat").exists()
    assert (tmp_path / "11.dat").exists()
    with pytest.raises(IntegrityProblem, match=key[-20:]):
        raise_damage(result)


def test_parts_in_another_order_are_found(in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path) -> None:
    files = tuple(
        replace(file, objects=file.objects[::-1]) if file.path == "10.dat" else file for file in manifest.files
    )
    result = fetch(in_use, replace(manifest, files=files), tmp_path)
    assert [(finding.check, finding.object) for finding in result.findings] == [("file-content", "public.t10")]


def test_a_member_that_the_bundle_lacks_is_found(in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path) -> None:
    files = tuple(replace(file, member="other.1") if file.path == "toc.dat" else file for file in manifest.files)
    result = fetch(in_use, replace(manifest, files=files), tmp_path)
    assert [(finding.check, finding.object) for finding in result.findings] == [("file-missing", "toc.dat")]


def test_a_path_that_leaves_the_folder_is_refused(in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path) -> None:
    evil = "../outside.dat"
    files = tuple(replace(file, path=evil) if file.path == "toc.dat" else file for file in manifest.files)
    (tmp_path / "dump").mkdir()
    result = fetch(in_use, replace(manifest, files=files), tmp_path / "dump", wanted=(evil,))
    assert [finding.check for finding in result.findings] == ["file-name"]
    assert not (tmp_path / "outside.dat").exists()


def test_another_identity_is_an_error_of_its_own(in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DecryptionFailed, match="no given identity"):
        fetch_backup(in_use.repository, manifest, load_identities(OTHER_SECRET), tmp_path, on_progress=no_progress)


def test_too_little_space_is_known_before_anything_is_read(
    in_use: RepositoryInUse, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch_space, "free_bytes", lambda _folder: 10 << 20)
    with pytest.raises(SpaceExhausted):
        fetch(in_use, manifest, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_work_beside_another_ends_with_it() -> None:
    def work(progress: OnProgress) -> int:
        while True:
            progress("fetch", 1, None)

    meanwhile = Meanwhile(no_progress)
    with meanwhile:
        running = meanwhile.begin(work)
    assert isinstance(running.exception(), Interrupted)
