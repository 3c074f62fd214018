"""Storage and cost in words and rows."""

from collections.abc import Iterator
from typing import Any

import streamlit as st

from monitor_app.components.text import count, duration, scale_of, size, span
from shared.domain.cost import format_money
from shared.domain.forecast import LimitReached
from shared.operations.storage import PolicyComparison, StorageView

MOST_SOURCES = 50
_LINES = {"storage": "Storage", "writes": "Requests that write", "reads": "Requests that read", "egress": "Bytes read"}


def storage_sentence(view: StorageView) -> str:
    """Say how what is stored grows, and when a limit is reached."""
    growth = view.forecast.growth
    stored = f"{size(view.stored_bytes)} stored"
    if not view.stored_bytes:
        return "Nothing is stored yet"
    if growth is None or growth.ratio_per_month is None:
        sentence = f"{stored}; how it grows is not known yet"
    elif growth.is_filling:
        sentence = f"{stored}; still filling up"
    elif abs(growth.ratio_per_month) < 0.0005:
        sentence = f"{stored}, and it does not grow"
    else:
        direction = "growing" if growth.ratio_per_month > 0 else "shrinking"
        sentence = f"{stored}, {direction} by {abs(growth.ratio_per_month):.1%} a month"
    return sentence + limit_words(view.limit)


def limit_words(limit: LimitReached | None) -> str:
    """Say when a limit is reached, as the end of a sentence."""
    if limit is None:
        return ""
    if limit.is_reached:
        return "; the limit is reached"
    if limit.month is not None:
        return f"; the limit is reached in {limit.month:%B %Y}"
    if limit.earliest is not None:
        return f"; the limit may be reached in {limit.earliest:%B %Y}"
    return ""


def storage_facts(view: StorageView) -> dict[str, str]:
    """Return the numbers behind the sentence."""
    growth, limit = view.forecast.growth, view.limit
    facts = {"Stored now": size(view.stored_bytes)}
    if growth is not None:
        sign = "-" if growth.bytes_per_month < 0 else "+"
        facts["Growth a month"] = f"{sign}{size(abs(growth.bytes_per_month))}, over the last {growth.days} days"
    if view.cost.total is not None:
        whole = "A month costs" if not view.cost.unpriced else "A month costs, as far as priced"
        facts[whole] = format_money(view.cost.total, view.cost.currency)
    if view.limit_bytes is not None:
        facts["Limit"] = size(view.limit_bytes)
    if limit is not None and limit.earliest is not None and not limit.is_reached:
        facts["Limit reached at the earliest"] = f"{limit.earliest:%B %Y}"
    return facts


def bill_rows(view: StorageView) -> list[dict[str, Any]]:
    """Return a month's bill; a line without a price says so."""
    use = view.use
    counted = {
        "storage": f"{size(use.mean_stored_bytes)} on average",
        "writes": f"{use.writes:,} (estimated)",
        "reads": f"{use.reads:,}",
        "egress": size(use.egress_bytes),
    }
    return [
        {
            "For": _LINES[line.name],
            "Counted in 30 days": counted[line.name],
            "Amount": format_money(line.amount, view.cost.currency) if line.amount is not None else "no price is set",
        }
        for line in view.cost.lines
    ]


def source_rows(view: StorageView) -> list[dict[str, Any]]:
    """Return the largest sources with their share of the whole."""
    whole = view.stored_bytes or 1
    largest = list(view.by_source.items())[:MOST_SOURCES]
    scale, unit = scale_of(max((value for _, value in largest), default=0))
    return [{"Source": name, f"Stored {unit}": value / scale, "Share": 100 * value / whole} for name, value in largest]


def source_columns(view: StorageView) -> dict[str, Any]:
    """Return how these rows are shown."""
    return {
        f"Stored {scale_of(max(view.by_source.values(), default=0))[1]}": st.column_config.NumberColumn(format="%.3g"),
        "Share": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100),
    }


def kind_rows(view: StorageView) -> list[dict[str, Any]]:
    """Return what needs the bytes of a source."""
    words = {"shared": "several kinds", "unneeded": "nothing any more; the next cleanup removes it"}
    return [
        {"Needed by": words.get(name, f"{name} only"), "Stored": size(value)} for name, value in view.by_kind.items()
    ]


def comparison_sentence(found: PolicyComparison) -> str:
    """Say what the other policy would change."""
    now, other = found.what_if.current, found.what_if.other
    going = {item.backup_id for item in now.expires}
    extra = sum(item.backup_id not in going for item in other.expires)
    points = other.restore_points - now.restore_points
    change = f"{count(abs(points), 'restore point')} {'more' if points > 0 else 'fewer'} in the long run"
    if not points:
        change = "As many restore points in the long run"
    if not extra:
        return f"{change}; the next cleanup would expire no other backup than today"
    return f"{change}; the next cleanup would expire {extra} more and free {size(max(found.what_if.freed_bytes, 0))}"


def damage_sentence(found: PolicyComparison) -> str:
    """Say why damage would not be noticed in time, and whether today's policy fails alike; empty where it would be."""
    other = found.other_detection
    if other.is_met:
        return ""
    today = "" if found.detection.is_met else ", and so it is today"
    unseen, kept = duration(other.unseen.total_seconds()), duration(other.retention.total_seconds())
    return f"Damage could stay unseen for {unseen}, and copies would be kept for {kept}{today}: keep them longer."


def comparison_rows(found: PolicyComparison) -> list[dict[str, str]]:
    """Return both policies side by side."""
    return [{"": name, "Now": now, "Then": then} for name, now, then in _compared(found)]


def _compared(found: PolicyComparison) -> Iterator[tuple[str, str, str]]:
    now, other = found.what_if.current, found.what_if.other
    yield "Restore points in the long run", str(now.restore_points), str(other.restore_points)
    for before, after in zip(now.ages, other.ages, strict=True):
        yield f"– {before.age}", str(before.count), str(after.count)
    yield "Longest gap", _span(now.worst_gap), _span(other.worst_gap)
    yield "Oldest restore point", _span(now.reach), _span(other.reach)
    yield "Stored in the long run, estimated", size(now.long_run_bytes), size(other.long_run_bytes)
    costs = [found.prices.storage(outcome.long_run_bytes) for outcome in (now, other)]
    if costs[0] is not None:
        shown = [format_money(cost, found.prices.currency) for cost in costs]
        yield "Storage a month", shown[0], shown[1]
    yield "Stored after the next cleanup", size(now.kept_now_bytes), size(other.kept_now_bytes)
    met = ["yes" if latency.is_met else "NO" for latency in (found.detection, found.other_detection)]
    yield "Is damage noticed while a good copy is kept?", met[0], met[1]


def expiry_rows(found: PolicyComparison) -> list[dict[str, str]]:
    """Return what the next cleanup would expire under the other policy only."""
    going = {item.backup_id for item in found.what_if.current.expires}
    return [
        {"Backup": item.backup_id, "Why": item.reason}
        for item in found.what_if.other.expires
        if item.backup_id not in going
    ]


def _span(value: Any) -> str:
    return "–" if value is None else span(value.total_seconds())
