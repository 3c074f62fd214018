"""What run pages show: escaped, bounded, and never green without proof."""

import json
import re

import pytest

from flows.artifacts import (
    LIMIT_BYTES,
    TEXT_LIMIT,
    StepResult,
    artifact_key,
    bounded_markdown,
    bounded_rows,
    escape,
    findings,
    report,
    show,
)
from shared.errors import SourceRefused

HOSTILE = "pub|lic.`x`\n# [click](http://evil) <script>alert(1)</script> ![i](u) *b* _i_ &amp; \u202egnp"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("backup", "app"), "backup-app"),
        (("backup", "My.App_2", "progress"), "backup-my-app-2-progress"),
        (("ü", ""), "result"),
        (("x" * 300,), "x" * 100),
    ],
)
def test_keys_hold_only_what_prefect_allows(words: tuple[str, ...], key: str) -> None:
    assert artifact_key(*words) == key
    assert re.fullmatch(r"[a-z0-9-]+", key)


def test_escaped_text_holds_nothing_that_markdown_acts_on() -> None:
    text = escape(HOSTILE)
    assert not set("|`[]()<>*_!\n\u202e") & set(text)
    assert "&#91;click&#93;" in text


def test_text_from_outside_is_one_bounded_line() -> None:
    assert len(escape("a" * 10_000)) == TEXT_LIMIT
    assert escape("a\r\n\x00b") == "a b"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("stored_bytes", 12_345_678, "12.3 MB"),
        ("duration_seconds", 200.0, "3 min 20 s"),
        ("row_count", 1234567, "1,234,567"),
        ("warnings", ["a", "b"], "2"),
        ("backup_id", None, "–"),
        ("scratch_version", "15.4", "15.4"),
        ("is_held", True, "True"),
    ],
)
def test_values_are_shown_by_the_unit_in_their_name(name: str, value: object, text: str) -> None:
    assert show(name, value) == text


@pytest.mark.parametrize(
    ("document", "is_good"),
    [
        ({"status": "complete"}, True),
        ({"outcome": "passed"}, True),
        ({"freed_bytes": 1}, True),
        ({"outcome": "failed"}, False),
        ({"outcome": "not_measured"}, False),
        ({"status": "running"}, False),
    ],
)
def test_only_proven_results_are_good(document: dict[str, object], is_good: bool) -> None:
    assert StepResult(subject="app", document=document).is_good is is_good


def test_error_is_shown_as_message_and_next_action() -> None:
    error = SourceRefused("password of app is wrong", hint="Correct it in APP_URL.")
    text = report("Backup", [StepResult(subject="app", error=error), StepResult(subject="shop")], {})
    assert "**1 of 2 good.**" in text
    assert "password of app is wrong" in text
    assert "Correct it in APP&#95;URL." in text


def test_text_of_an_unforeseen_error_is_not_shown_since_it_may_hold_a_secret() -> None:
    text = report("Backup", [StepResult(subject="app", error=RuntimeError("password=hunter2"))], {})
    assert "RuntimeError" in text
    assert "hunter2" not in text


def test_report_has_a_row_per_subject_with_the_columns_that_are_there() -> None:
    results = [StepResult(subject="app", document={"status": "complete", "stored_bytes": 1000})]
    text = report("Backup", results, {"stored_bytes": "Stored", "freed_bytes": "Freed"})
    assert "|  | Result | Stored |" in text
    assert "| app | ✅ complete | 1.0 kB |" in text


def test_nothing_due_is_said() -> None:
    assert "Nothing was due" in report("Backup", [], {})


def test_findings_and_unmeasured_checks_become_escaped_rows() -> None:
    document = {
        "findings": [{"check": "digest", "severity": "error", "object": HOSTILE, "message": "differs"}],
        "not_measured": [{"check": "extension", "object": "postgis", "reason": "not on the scratch server"}],
    }
    rows = findings([StepResult(subject="app", document=document)])
    assert [row["severity"] for row in rows] == ["error", "not measured"]
    assert rows[0]["object"] == escape(HOSTILE)
    assert rows[1]["message"] == "not on the scratch server"


def test_huge_results_stay_below_what_the_api_takes() -> None:
    item = {"check": "c", "severity": "error", "object": "ü" * 400, "message": "é" * 400}
    rows = findings([StepResult(subject="app", document={"findings": [item] * 5000})])
    assert len(json.dumps(rows)) < 1_000_000
    assert rows[-1]["message"] == f"{5000 - len(rows) + 1} more are left out here"
    text = report("B", [StepResult(subject=f"s{n}", error=RuntimeError()) for n in range(20_000)], {})
    assert len(json.dumps(text)) <= LIMIT_BYTES
    assert text.endswith("the catalog has it whole.*\n")


def test_small_results_are_kept_whole() -> None:
    assert bounded_markdown("a\nb\n") == "a\nb\n"
    assert bounded_rows([{"message": "x"}]) == [{"message": "x"}]
