"""Object keys: built, read, and never leaving the root."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StoreRefused, UsageProblem
from shared.repository.layout import (
    KeyKind,
    ParsedKey,
    check_file_path,
    check_key,
    check_prefix,
    check_source_name,
    evidence_key,
    files_key,
    manifest_key,
    object_key,
    objects_prefix,
    parse_key,
)

ID = "20261121T020000Z-app-7f3a"
NAME = "ab" + "0" * 62
EVIDENCE = "20261121T060000Z-restore-test-0123456789abcdef"


def test_keys_are_those_of_format_one() -> None:
    assert manifest_key("app", ID) == f"sources/app/backups/{ID}/manifest.json"
    assert files_key("app", ID) == f"sources/app/backups/{ID}/files.tsv"
    assert evidence_key("app", ID, EVIDENCE) == f"sources/app/backups/{ID}/evidence/{EVIDENCE}.json"
    assert object_key("app", NAME, "0a1b2c3d") == f"sources/app/objects/ab/{NAME}.0a1b2c3d"
    assert objects_prefix("app") == "sources/app/objects/"


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        ("goldcopy.json", ParsedKey(kind=KeyKind.DESCRIPTION)),
        ("recover.sh", ParsedKey(kind=KeyKind.RECOVERY)),
        ("RECOVER.md", ParsedKey(kind=KeyKind.RECOVERY)),
        (f"sources/app/backups/{ID}/manifest.json", ParsedKey(kind=KeyKind.MANIFEST, source="app", backup_id=ID)),
        (f"sources/app/backups/{ID}/files.tsv", ParsedKey(kind=KeyKind.FILES, source="app", backup_id=ID)),
        (
            f"sources/app/backups/{ID}/evidence/{EVIDENCE}.json",
            ParsedKey(kind=KeyKind.EVIDENCE, source="app", backup_id=ID, name=EVIDENCE),
        ),
        (f"sources/app/backups/{ID}/evidence/{EVIDENCE}", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/backups/{ID}/evidence/{EVIDENCE}x.json", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/backups/{ID}/evidence/notes.json", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/backups/{ID}/evidence", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/other/backups/{ID}/evidence/{EVIDENCE}.json", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/objects/ab/{NAME}.0a1b2c3d", ParsedKey(kind=KeyKind.OBJECT, source="app", name=NAME)),
        (f"sources/app/objects/cd/{NAME}.0a1b2c3d", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/objects/ab/{NAME}", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/objects/ab/{NAME}.0a1b2c3d.tmp", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/other/backups/{ID}/manifest.json", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/app/backups/{ID}/manifest.json/x", ParsedKey(kind=KeyKind.UNKNOWN)),
        ("sources/app/backups/latest/manifest.json", ParsedKey(kind=KeyKind.UNKNOWN)),
        (f"sources/APP/objects/ab/{NAME}.0a1b2c3d", ParsedKey(kind=KeyKind.UNKNOWN)),
        ("notes.txt", ParsedKey(kind=KeyKind.UNKNOWN)),
        ("", ParsedKey(kind=KeyKind.UNKNOWN)),
    ],
)
def test_reading_a_key_says_what_it_stands_for(key: str, parsed: ParsedKey) -> None:
    assert parse_key(key) == parsed


@pytest.mark.parametrize("source", ["", "..", "a/b", ".a", "A", "a b", "a\n", "a" * 64, "é", "-a"])
def test_a_source_name_that_could_leave_its_folder_is_refused(source: str) -> None:
    for build in (check_source_name, objects_prefix, lambda name: manifest_key(name, ID)):
        with pytest.raises(UsageProblem):
            build(source)


@pytest.mark.parametrize("backup_id", ["", "latest", "../x", f"{ID}/..", ID.replace("app", "other"), f"{ID}\n"])
def test_an_id_that_is_not_one_of_the_source_is_refused(backup_id: str) -> None:
    with pytest.raises(UsageProblem, match="not the id of a backup of app"):
        manifest_key("app", backup_id)


@pytest.mark.parametrize(
    ("name", "suffix"), [("ab", "0a1b2c3d"), (NAME, "0a"), (NAME.upper(), "0a1b2c3d"), (NAME, "../../..")]
)
def test_an_object_name_that_is_not_hex_is_refused(name: str, suffix: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        object_key("app", name, suffix)


@pytest.mark.parametrize("name", ["", "x", f"../{EVIDENCE}", f"{EVIDENCE}.json", EVIDENCE.replace("restore", "smoke")])
def test_a_name_that_is_not_that_of_evidence_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of evidence"):
        evidence_key("app", ID, name)


@pytest.mark.parametrize("path", ["toc.dat", "3456.dat", "blob_16.dat", "blobs_12.toc", "roles.sql", "_x", "A-b.c"])
def test_the_names_of_a_dump_s_files_are_taken(path: str) -> None:
    assert check_file_path(path) == path


@pytest.mark.parametrize("path", ["", ".", "..", ".x", "a/b", "/a", "-rf", "a b", "a\n", "a\tb", "é", "a" * 128])
def test_a_file_name_that_a_shell_or_a_folder_could_misread_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        check_file_path(path)


@given(st.text(max_size=40))
def test_whatever_key_is_accepted_stays_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except StoreRefused:
        return
    depth = 0
    for part in key.split("/"):
        depth += {"": -99, ".": 0, "..": -1}.get(part, 1)
        assert depth >= 1
    assert not key.startswith("/")
    assert "\0" not in key


def test_a_prefix_may_be_empty_or_end_in_a_slash_and_nothing_else_odd() -> None:
    for prefix in ("", "sources/", "sources/a"):
        assert check_prefix(prefix) == prefix
    for prefix in ("/", "a//", "../", "a/../"):
        with pytest.raises(StoreRefused):
            check_prefix(prefix)
