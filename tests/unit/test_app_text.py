"""Text from outside stays text: whatever a database, a person or an attacker wrote."""

import re
from datetime import UTC, datetime

import pytest

from monitor_app.components.strip import StripRow, strip_html
from monitor_app.components.text import advice, ago, count, esc, free, html_text, instant, plain, span, zone
from shared.domain.heartbeat import DayState
from tests.support.app_catalog import PAYLOADS
from tests.support.catalogs import NOW

SPECIAL = set("<>&\"'`*_[](){}#+-.!|:~$\\/@^=")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_escaped_text_holds_no_sign_that_markdown_or_html_reads(payload: str) -> None:
    escaped = esc(payload)
    outside_entities = [part.partition(";")[2] if ";" in part else part for part in escaped.split("&#")]
    assert not SPECIAL & set("".join(outside_entities))
    assert "\n" not in escaped


@pytest.mark.parametrize("payload", PAYLOADS)
def test_free_text_is_one_code_span(payload: str) -> None:
    shown = free(payload)
    assert shown.startswith("`` ")
    assert shown.endswith(" ``")
    assert "`" not in shown[3:-3]
    assert "\n" not in shown


def test_advice_shows_its_commands_as_code_and_the_rest_as_text() -> None:
    shown = advice("Look at `goldcopy check a_b`; then: `goldcopy backup a_b`")
    assert shown == f"Look at {free('goldcopy check a_b')}&#59; then&#58; {free('goldcopy backup a_b')}"
    assert advice("nothing to type.") == esc("nothing to type.")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_advice_about_a_strange_name_stays_text_or_code(payload: str) -> None:
    for shown in (advice(f"see `goldcopy check {payload}`, then wait"), advice(payload)):
        outside = "".join(re.split(r"`` .*? ``", shown))
        entities = [part.partition(";")[2] if ";" in part else part for part in outside.split("&#")]
        assert not SPECIAL & set("".join(entities))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_html_text_opens_no_element_and_ends_no_attribute(payload: str) -> None:
    assert not set("<>\"'") & set(html_text(payload))


def test_marks_that_reorder_or_hide_text_are_shown_as_such() -> None:
    assert plain("ab\u202egpj.exe") == "ab\ufffdgpj.exe"
    assert plain("pay\u200bpal") == "pay\ufffdpal"
    assert plain("a\x00b\x1b[31mc") == "a\ufffdb\ufffd[31mc"
    assert plain("two\nlines\tand tab") == "two lines and tab"
    assert len(plain("x" * 5000)) == 600


def test_strip_escapes_names_and_says_each_row_in_words() -> None:
    days = [NOW.date()]
    page = strip_html([StripRow(name="<script>x</script>", days=(DayState.MISSING,))], days, caption="<b>")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "1 bad of 1 days: 21 Nov nothing arrived" in page


def test_times_are_shown_in_the_viewers_zone_which_is_named() -> None:
    assert instant(NOW, zone("Europe/Berlin")) == "2026-11-21 03:00 CET"
    assert instant(NOW, zone("Not/AZone")) == "2026-11-21 02:00 UTC"
    assert instant(NOW, zone("../../etc/passwd")) == "2026-11-21 02:00 UTC"
    assert instant(None, zone(None)) == "never"


def test_numbers_come_with_their_noun_and_one_unit() -> None:
    assert [count(1, "backup"), count(1204, "backup")] == ["1 backup", "1,204 backups"]
    assert [span(40), span(5400), span(98 * 3600), span(9 * 86400)] == ["40 s", "1 h 30 min", "4 d 2 h", "9 d"]
    assert ago(NOW, NOW) == "0 s ago"


@pytest.mark.parametrize(
    ("at", "zone_name", "told"),
    [
        (datetime.min.replace(tzinfo=UTC), "America/New_York", "1-01-01 00:00 UTC"),
        (datetime.max.replace(tzinfo=UTC), "Pacific/Kiritimati", "9999-12-31 23:59 UTC"),
    ],
)
def test_instant_beyond_the_viewers_calendar_is_told_in_utc(at: datetime, zone_name: str, told: str) -> None:
    assert instant(at, zone(zone_name)).lstrip("0") == told
