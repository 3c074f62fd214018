"""Codes of the audit trail in words: every code that the code writes has some."""

import re
from pathlib import Path

import pytest

from shared.domain.action_words import action_words
from shared.domain.proof import Outcome

ROOT = Path(__file__).parents[2]
_CODE = re.compile(
    r'"((?:hold|release|restore|restore-test|backup|anomaly|incident|person|key|report|run|verify|object)\.[a-z_-]+)"'
)


def codes() -> set[str]:
    written = (ROOT / "shared" / folder for folder in ("catalog", "operations"))
    found = {code for folder in written for path in folder.glob("*.py") for code in _CODE.findall(path.read_text())}
    outcomes = {f"{kind}.{outcome}" for kind in ("restore", "restore-test", "verify") for outcome in Outcome}
    return (found | outcomes) - {"backup.id"}  # a column


@pytest.mark.parametrize("code", sorted(codes()))
def test_every_code_that_is_written_has_words(code: str) -> None:
    assert action_words(code) != code


def test_a_wish_that_failed_and_a_code_of_another_version_can_be_read() -> None:
    assert action_words("backup.request.failed") == "asked for a backup; it could not be done"
    assert action_words("moon.landed") == "moon.landed"
