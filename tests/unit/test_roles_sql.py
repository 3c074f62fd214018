"""Quoting of roles and settings: what is stored is what is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.postgres.roles import literal, setting_clause, split_setting_list
from shared.postgres.snapshot import quoted


@pytest.mark.parametrize(
    ("stored", "elements"),
    [
        ('"$user", public', ["$user", "public"]),
        ('""', [""]),
        ("", [""]),
        ('a,b , "c,""d"', ["a", "b", 'c,"d']),
        ('"with space",  plain', ["with space", "plain"]),
    ],
)
def test_stored_lists_are_split_as_the_server_splits_them(stored: str, elements: list[str]) -> None:
    assert split_setting_list(stored) == elements


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_list_of_quoted_names_comes_back(names: list[str]) -> None:
    assert split_setting_list(", ".join(quoted(name) for name in names)) == names


@pytest.mark.parametrize(
    ("stored", "clause"),
    [
        ("work_mem=5MB", "\"work_mem\" TO '5MB'"),
        ("app.key=a=b", "\"app.key\" TO 'a=b'"),
        ('search_path="$user", public', "\"search_path\" TO '$user', 'public'"),
        ('search_path=""', "\"search_path\" TO ''"),
        ("app.list=a, b", "\"app.list\" TO 'a, b'"),
        ("app.odd=it's \\", "\"app.odd\" TO  E'it''s \\\\'"),
    ],
)
def test_settings_are_written_so_that_the_server_stores_the_same(stored: str, clause: str) -> None:
    assert setting_clause(stored) == clause


@given(st.text(alphabet=st.sampled_from("a'\\\"\n%$;")))
def test_literal_ends_only_where_it_should(text: str) -> None:
    printed = literal(text).strip()
    escaped = printed.startswith("E")
    inner = printed[2:-1] if escaped else printed[1:-1]
    read = inner.replace("''", "'")
    assert (read.replace("\\\\", "\\") if escaped else read) == text
    assert escaped == ("\\" in text)
