"""Tables of rows: whatever stands in them, a spreadsheet that opens their download computes nothing."""

from typing import Any

import pytest

from monitor_app.components import tables


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Streamlit was given."""
    given: list[Any] = []
    monkeypatch.setattr("streamlit.dataframe", lambda rows, **_options: given.extend(rows))
    return given


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", " =1+1", "-cmd|' /C calc'!A0", '=HYPERLINK("http://x")'],
)
def test_formula_from_outside_is_told_as_text(text: str, shown: list[Any]) -> None:
    tables.rows([{"Why": text, "Rows": 7}], alt="rows")
    assert shown[0]["Why"][0] not in "=+-@"
    assert shown[0]["Rows"] == 7


@pytest.mark.parametrize("text", ["-5", "+12.5 %", "-3 h", "–", "a=b", "", "shop"])
def test_number_and_word_are_told_as_they_are(text: str, shown: list[Any]) -> None:
    tables.rows([{"Why": text}], alt="rows")
    assert shown == [{"Why": text}]
