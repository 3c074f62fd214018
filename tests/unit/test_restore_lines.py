"""What `goldcopy restore` says first: whether anything was restored."""

from typing import Any

import pytest

from shared.cli.restore_commands import restore_lines


def document(outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "backup_id": "20261121T020000Z-app-7f3a",
        "destination": "new on localhost",
        "tables_restored": 2,
        "rows_restored": 30,
        "duration_seconds": 2.0,
        "is_rolled_back": False,
        "findings": [],
        "not_measured": [],
    } | changes


@pytest.mark.parametrize(
    ("outcome", "headline"),
    [("passed", "RESTORED: "), ("failed", "RESTORED, AND DIFFERS: "), ("not_measured", "RESTORED, NOT ALL MEASURED: ")],
)
def test_a_restore_is_told_with_what_was_compared(outcome: str, headline: str) -> None:
    first, second = restore_lines(document(outcome))
    assert first.startswith(headline)
    assert "2 tables, 30 rows, read back and compared" in second


def test_a_restore_that_was_rolled_back_is_not_called_restored() -> None:
    lines = restore_lines(document("failed", is_rolled_back=True, tables_restored=0, rows_restored=0))
    assert lines[0].startswith("NOT RESTORED: 20261121T020000Z-app-7f3a into new on localhost")
    assert not any("compared" in line for line in lines)
