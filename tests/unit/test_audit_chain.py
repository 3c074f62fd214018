"""The audit trail's chain shows every change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.audit_chain import entry_hash, next_entry, verify_chain
from shared.catalog.records import AuditRow

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def _chain(count: int) -> list[AuditRow]:
    entries: list[AuditRow] = []
    for number in range(count):
        entries.append(
            next_entry(
                entries[-1] if entries else None,
                at=NOW + timedelta(seconds=number),
                actor="ada",
                action="hold.place",
                object_name=f"backup {number}",
                reason="court order",
                details={"number": number},
            )
        )
    return entries


def test_untouched_chain_is_intact_and_names_its_head() -> None:
    chain = _chain(5)
    check = verify_chain(chain)
    assert check.is_intact
    assert (check.entry_count, check.head_hash) == (5, chain[-1].hash)
    assert [entry.seq for entry in chain] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("checked", [1, 3, 5])
def test_a_walk_can_be_continued_from_where_an_earlier_one_ended(checked: int) -> None:
    chain = _chain(5)
    earlier = verify_chain(chain[:checked])

    assert verify_chain(chain[checked:], after=earlier) == verify_chain(chain)
    rewritten = [replace(entry, actor="eve") for entry in chain[checked:]]
    assert verify_chain(rewritten, after=earlier).is_intact is (checked == 5)
    assert verify_chain(chain[4:], after=verify_chain(chain[:3])).problem == "entry 4 is missing"


def test_empty_chain_is_intact() -> None:
    assert verify_chain([]).is_intact


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve"},
        {"action": "hold.release"},
        {"object": "other"},
        {"reason": ""},
        {"details": {"number": 9}},
        {"at": NOW},
        {"hash": "0" * 64},
        {"previous_hash": ""},
    ],
)
def test_changed_entry_is_found_where_it_is(change: dict[str, Any]) -> None:
    chain = _chain(5)
    chain[2] = replace(chain[2], **change)
    check = verify_chain(chain)
    assert (check.is_intact, check.broken_at, check.entry_count) == (False, 3, 2)


def test_changed_entry_with_a_fitting_hash_breaks_the_next_one() -> None:
    chain = _chain(5)
    forged = replace(chain[2], actor="eve")
    chain[2] = replace(forged, hash=entry_hash(forged))
    assert verify_chain(chain).broken_at == 4


@pytest.mark.parametrize("removed", [0, 2])
def test_removed_entry_is_found(removed: int) -> None:
    chain = _chain(5)
    del chain[removed]
    assert verify_chain(chain).broken_at is not None


def test_swapped_entries_are_found() -> None:
    chain = _chain(5)
    chain[1], chain[2] = chain[2], chain[1]
    assert verify_chain(chain).broken_at is not None


def test_cut_off_end_is_found_by_a_noted_hash_only() -> None:
    chain = _chain(5)
    noted = chain[-1].hash
    assert verify_chain(chain[:3]).is_intact
    check = verify_chain(chain[:3], expected_head=noted)
    assert not check.is_intact
    assert "cut off" in check.problem
    assert verify_chain([*chain, _after(chain)], expected_head=noted).is_intact


def _after(chain: list[AuditRow]) -> AuditRow:
    return next_entry(chain[-1], at=NOW, actor="ada", action="x", object_name="y", reason="", details={})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text(), details=st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_any_text_and_details_can_be_chained(text: str, details: dict[str, Any]) -> None:
    entry = next_entry(None, at=NOW, actor=text, action=text, object_name=text, reason=text, details=details)
    assert verify_chain([entry]).is_intact
    assert "\x00" not in entry.actor
    entry.actor.encode()
