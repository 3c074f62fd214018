"""The audit trail's chain: every entry carries the hash of the one before, so a change anywhere shows.

Worked example. Entry 3 holds hash(2). Somebody edits entry 2: its own hash no longer fits its content. They write the
fitting hash as well: entry 3 now names a hash that no entry has. They rewrite all later entries too: then the last hash
differs from the one that somebody noted elsewhere (`goldcopy audit` prints it). Only a note outside the catalog can
show that the newest entries were cut off, so note the last hash now and then.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from shared.catalog.columns import clean_text
from shared.catalog.records import AuditRow
from shared.domain.signed_document import canonical_json
from shared.units import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What a walk along the chain found.

    Attributes:
        entry_count: Entries that were read.
        head_hash: Hash of the last entry; empty where there is none.
        broken_at: `seq` of the first entry that does not fit, or None.
        problem: One sentence about it, or empty.
    """

    entry_count: int
    head_hash: str
    broken_at: int | None = None
    problem: str = ""

    @property
    def is_intact(self) -> bool:
        """Whether every entry fits."""
        return self.broken_at is None


def next_entry(
    previous: AuditRow | None,
    *,
    at: datetime,
    actor: str,
    action: str,
    object_name: str,
    reason: str,
    details: dict[str, Any],
) -> AuditRow:
    """Make the entry that follows `previous` (None for the first), hash included."""
    entry = AuditRow(
        seq=previous.seq + 1 if previous else 1,
        at=at,
        actor=clean_text(actor),
        action=clean_text(action),
        object=clean_text(object_name),
        reason=clean_text(reason),
        details=_as_stored(details),
        previous_hash=previous.hash if previous else "",
        hash="",
    )
    return replace(entry, hash=entry_hash(entry))


def entry_hash(entry: AuditRow) -> str:
    """Return the SHA-256, hex, over everything in an entry but its own hash."""
    document = {item.name: getattr(entry, item.name) for item in fields(entry) if item.name != "hash"}
    return hashlib.sha256(canonical_json({**document, "at": format_instant(entry.at)})).hexdigest()


def verify_chain(
    entries: Iterable[AuditRow], *, expected_head: str | None = None, after: ChainCheck | None = None
) -> ChainCheck:
    """Walk along the chain, oldest entry first, and stop at the first entry that does not fit.

    Args:
        entries: All entries in the order of `seq`; after an earlier walk, those that came later.
        expected_head: A hash noted elsewhere that must still be among them; None to skip.
        after: An earlier walk that found everything intact, to be continued.
    """
    count, head = (after.entry_count, after.head_hash) if after else (0, "")
    seen = expected_head is None
    for entry in entries:
        problem = _problem(entry, count + 1, head)
        if problem:
            return ChainCheck(entry_count=count, head_hash=head, broken_at=entry.seq, problem=problem)
        count, head = count + 1, entry.hash
        seen = seen or head == expected_head
    if not seen:
        problem = "the noted hash is not in the chain: entries were cut off or rewritten"
        return ChainCheck(entry_count=count, head_hash=head, broken_at=count + 1, problem=problem)
    return ChainCheck(entry_count=count, head_hash=head)


def _problem(entry: AuditRow, expected_seq: int, previous_hash: str) -> str:
    if entry.seq != expected_seq:
        return f"entry {expected_seq} is missing"
    if entry.previous_hash != previous_hash:
        return f"entry {entry.seq} does not follow the entry before it"
    if entry.hash != entry_hash(entry):
        return f"entry {entry.seq} was changed after it was written"
    return ""


def _as_stored(details: dict[str, Any]) -> dict[str, Any]:
    """Return details as they will be read back: lists for tuples, text that every database can hold."""
    cleaned: dict[str, Any] = json.loads(clean_text(json.dumps(details, ensure_ascii=False, allow_nan=False)))
    return cleaned
