"""Comparing two readings of a schema, and digests of them."""

import pytest

from shared.postgres.schema import ChangeKind, Schema, SchemaDifference, compare_schema, digest_schema

_KEY = b"1" * 32


def _schema(**classes: dict[str, str]) -> Schema:
    return {"reader": {"format": "1"}, **classes}


def test_equal_schemas_have_no_differences_and_equal_digests() -> None:
    one = _schema(tables={"a": "{}", "b": "{}"}, views={})
    other = _schema(views={}, tables={"b": "{}", "a": "{}"})
    assert compare_schema(one, other) == []
    assert digest_schema(one, _KEY) == digest_schema(other, _KEY)


@pytest.mark.parametrize(
    ("restored", "kind"),
    [
        ({"a": '{"owner": "x"}', "b": "{}"}, ChangeKind.ADDED),
        ({}, ChangeKind.REMOVED),
        ({"a": '{"owner": "y"}'}, ChangeKind.CHANGED),
    ],
)
def test_every_kind_of_difference_is_named(restored: dict[str, str], kind: ChangeKind) -> None:
    source = _schema(tables={"a": '{"owner": "x"}'})
    (difference,) = compare_schema(source, _schema(tables=restored))
    assert difference.kind is kind
    assert difference.object_class == "tables"
    assert difference.identity == ("b" if kind is ChangeKind.ADDED else "a")
    assert digest_schema(source, _KEY)["tables"] != digest_schema(_schema(tables=restored), _KEY)["tables"]


def test_class_that_is_missing_entirely_counts_as_removed() -> None:
    (difference,) = compare_schema(_schema(policies={"p on t": "{}"}), _schema())
    assert (difference.object_class, difference.kind) == ("policies", ChangeKind.REMOVED)


def test_class_that_an_older_reading_does_not_know_is_not_compared() -> None:
    assert compare_schema(_schema(), _schema(policies={"p on t": "{}"})) == []


def test_changed_parts_name_what_differs() -> None:
    difference = SchemaDifference(
        object_class="tables",
        identity="t",
        kind=ChangeKind.CHANGED,
        before='{"owner": "a", "acl": ["x"], "kind": "r"}',
        after='{"owner": "b", "kind": "r", "options": []}',
    )
    assert difference.changed_parts == ("acl", "options", "owner")


def test_changed_comment_has_one_part() -> None:
    (difference,) = compare_schema(_schema(comments={"table t": '"old"'}), _schema(comments={"table t": '"new"'}))
    assert difference.changed_parts == ("text",)


def test_digest_depends_on_the_key() -> None:
    schema = _schema(tables={"a": "{}"})
    assert digest_schema(schema, _KEY)["tables"] != digest_schema(schema, b"2" * 32)["tables"]
