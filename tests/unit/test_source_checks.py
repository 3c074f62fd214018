"""The format of a source's own checks: what it means, and every mistake named at once."""

from datetime import timedelta

import pytest

from shared.domain.source_checks import (
    ExpectedValue,
    Freshness,
    RowMinimum,
    RowSecurity,
    SourceChecks,
    ZeroRows,
    parse_checks,
)
from shared.errors import ConfigInvalid


def test_a_whole_file_is_read() -> None:
    checks = parse_checks(
        {
            "timeout": "90s",
            "rows": {"public.orders": 1000, '"my schema"."a.b"': 0},
            "zero_rows": {"orphans": " SELECT 1; "},
            "row_security": {"enabled": ["public.a"], "forced": ["public.b"]},
            "freshness": {"public.orders.created_at": "26h"},
            "expect": {
                "answer": {"query": "SELECT 42", "value": 42},
                "truth": {"query": "SELECT true", "value": True},
            },
        },
        "checks/app.toml",
    )
    assert checks == SourceChecks(
        timeout=timedelta(seconds=90),
        rows=(RowMinimum(table=("public", "orders"), minimum=1000), RowMinimum(table=("my schema", "a.b"), minimum=0)),
        zero_rows=(ZeroRows(label="orphans", query="SELECT 1"),),
        row_security=(
            RowSecurity(table=("public", "a"), is_forced=False),
            RowSecurity(table=("public", "b"), is_forced=True),
        ),
        freshness=(Freshness(column=("public", "orders", "created_at"), max_age=timedelta(hours=26)),),
        expected=(
            ExpectedValue(label="answer", query="SELECT 42", value="42"),
            ExpectedValue(label="truth", query="SELECT true", value="true"),
        ),
    )
    assert checks.count == 8


def test_an_empty_file_asks_nothing() -> None:
    assert parse_checks({}, "checks.toml").count == 0


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"row": {"public.a": 1}}, "row: is not known"),
        ({"rows": {"orders": 1}}, "rows.orders: 'orders' is not of the form schema.table"),
        ({"rows": {"public.a": -1}}, "rows.public.a: must be a number of rows"),
        ({"rows": {"public.a": True}}, "must be a number of rows"),
        ({"rows": 3}, "rows: must be a table"),
        ({"zero_rows": {"x": " ; "}}, "zero_rows.x: must be a query"),
        ({"zero_rows": {"x": 3}}, "zero_rows.x: must be a text"),
        ({"row_security": {"on": ["public.a"]}}, "row_security.on"),
        ({"row_security": {"enabled": "public.a"}}, "row_security.enabled"),
        ({"freshness": {"public.a": "1h"}}, "schema.table.column"),
        ({"freshness": {"public.a.at": "soon"}}, "'soon' is not a duration"),
        ({"expect": {"x": {"query": "SELECT 1"}}}, "expect.x: must be a table with exactly"),
        ({"expect": {"x": {"query": "SELECT 1", "value": []}}}, "`value` must be"),
        ({"timeout": "later"}, "timeout: 'later' is not a duration"),
    ],
)
def test_mistakes_are_named_by_file_and_key(document: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        parse_checks(document, "checks/app.toml")
    assert "checks/app.toml: " in raised.value.message
    assert told in raised.value.message


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigInvalid) as raised:
        parse_checks({"rows": {"a": 1, "b": 2}, "other": 1}, "c.toml")
    assert raised.value.message.count("c.toml: ") == 3
