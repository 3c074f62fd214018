"""Which chosen tables may name large objects, by the definition that pg_dump wrote."""

from dataclasses import replace

import pytest

from shared.domain.proof import Severity
from shared.operations.large_objects_left_out import large_objects_left_out
from shared.postgres.archive import TocEntry

TABLE = TocEntry(
    dump_id=1,
    table_oid=0,
    oid=0,
    tag="files",
    description="TABLE",
    schema="public",
    owner="app",
    definition="",
    copy_statement="",
    dependencies=(),
    filename="",
)


def findings(column: str, count: int = 3) -> list[str]:
    definition = f"CREATE TABLE public.files (\n    id integer NOT NULL,\n    {column}\n);\n"
    entries = [replace(TABLE, definition=definition)]
    return [
        f"{item.check} {item.severity} {item.object}: {item.message}" for item in large_objects_left_out(count, entries)
    ]


@pytest.mark.parametrize(
    "column",
    [
        "content oid",
        "content oid NOT NULL",
        '"the ""content""" oid',
        "content public.lo",
        '"a b" "odd one".lo',
        "c oid[]",
    ],
)
def test_a_column_of_large_objects_is_told_with_their_number(column: str) -> None:
    (found,) = findings(column)
    assert found.startswith(f"left-out {Severity.WARNING} public.files: not restored")
    assert "3 large objects" in found


@pytest.mark.parametrize("column", ["oid integer", "lo text", "content bytea", "c public.lot", "t text DEFAULT ' oid'"])
def test_other_columns_are_not_taken_for_it(column: str) -> None:
    assert findings(column) == []


def test_a_backup_without_large_objects_leaves_none_out() -> None:
    assert findings("content oid", count=0) == []
