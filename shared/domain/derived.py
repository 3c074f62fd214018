"""Judge what a restore computed anew against what the source held: stored generated columns and materialized views.

Pure: records and readings in, findings out. A table whose generated columns differ is not what the source was, so that
is an error. A materialized view that differs was filled from tables that are proven for themselves: its rows were older
than those tables at the source, or its query does not always give the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.domain.comparison import counted_rows, qualified
from shared.domain.manifest import DerivedRecord, ServerFacts
from shared.domain.proof import Finding, Severity

NOTHING_RECORDED = "nothing was recorded of it when the backup was made"
OTHER_ORDER = "its rows stand in another order than at the source, and it is too large to compare them one by one"
_SHOWN = 10
_GENERATED_HINT = (
    "Its expression depends on what changed after the rows were stored (a function, a setting): make the source "
    "compute them anew (UPDATE a column that it reads to its own value), and back up again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedReading:
    """What was read back of a record's columns.

    Attributes:
        rows: Rows.
        fingerprint: HMAC-SHA-256 of the text in physical order, hex.
        row_sum: Sum of the keyed row hashes, hex; empty where it was not taken.
    """

    rows: int
    fingerprint: str
    row_sum: str = ""


def is_same(record: DerivedRecord, reading: DerivedReading) -> bool:
    """Say whether the same rows were read, in the same order or, where that is known, in any."""
    if record.rows != reading.rows:
        return False
    return record.fingerprint == reading.fingerprint or bool(record.row_sum and record.row_sum == reading.row_sum)


def is_same_together(pairs: Iterable[tuple[DerivedRecord, DerivedReading]]) -> bool:
    """Say whether partitions hold the same rows as a whole: where a row went may depend on OIDs."""
    recorded, found, columns = [0, 0], [0, 0], set()
    for record, reading in pairs:
        if not record.row_sum or not reading.row_sum:
            return False
        columns.add(record.columns)
        recorded = [recorded[0] + record.rows, recorded[1] + int(record.row_sum, 16)]
        found = [found[0] + reading.rows, found[1] + int(reading.row_sum, 16)]
    return len(columns) == 1 and recorded[0] == found[0] and (recorded[1] - found[1]) % (1 << 128) == 0


def generated_finding(record: DerivedRecord, place: tuple[int, int] | None) -> Finding:
    """Tell of generated columns that differ.

    Args:
        record: What the source held.
        place: First and last row among which the first difference is, where that is known.
    """
    first = f"; the first difference is {_rows_named(*place)}" if place else ""
    which = "column" if len(record.generated) == 1 else "columns"
    return Finding(
        check="generated-columns",
        severity=Severity.ERROR,
        object=qualified(record.schema, record.name),
        message=f"the stored generated {which} {', '.join(qualified(name) for name in record.generated)}, computed "
        f"anew at the restore, differ{'s' if len(record.generated) == 1 else ''} from what the source held{first}",
        hint=_GENERATED_HINT,
    )


def view_finding(record: DerivedRecord, rows: int) -> Finding:
    """Tell of a materialized view that is not what it was."""
    name = qualified(record.schema, record.name)
    what = (
        f"{counted_rows(record.rows)} at the source, {rows} after the restore"
        if rows != record.rows
        else f"other content in its {counted_rows(rows)} than at the source"
    )
    return Finding(
        check="materialized-view",
        severity=Severity.INFO,
        object=name,
        message=f"{what}: it was stale at the source, or its query is not deterministic",
        hint=f"REFRESH MATERIALIZED VIEW {name} at the source if it should be up to date there.",
    )


def not_compared(
    computed: Iterable[tuple[tuple[str, str], str]],
    derived: Iterable[DerivedRecord],
    later: Mapping[tuple[str, str], str],
) -> list[Finding]:
    """Name what was computed anew and not compared, for each reason.

    Args:
        computed: Schema and name of each table or view, and what to call the view or the column.
        derived: What the backup recorded.
        later: Why something that was recorded was not compared after all, by schema and name; no reason where another
            finding tells of it.
    """
    reasons = {(record.schema, record.name): record.unread for record in derived} | dict(later)
    grouped: dict[str, list[str]] = {}
    for relation, name in computed:
        if reason := reasons.get(relation, NOTHING_RECORDED):
            grouped.setdefault(reason, []).append(name)
    return [_not_compared(reason, names) for reason, names in grouped.items()]


def same_locale(recorded: ServerFacts, restored: ServerFacts) -> bool:
    """Say whether letters are folded and sorted in the same way, as far as names tell."""
    return _locale(recorded) == _locale(restored)


def _locale(server: ServerFacts) -> tuple[str, ...]:
    names = (server.collate, server.ctype, server.locale_provider, server.locale)
    return tuple(name.lower().replace("-", "") for name in names)


def _not_compared(reason: str, names: list[str]) -> Finding:
    more = f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    message = (
        "computed anew at the restore (materialized view or stored generated column), not compared with the source: "
    )
    return Finding(
        check="derived", severity=Severity.INFO, object=", ".join(names[:_SHOWN]) + more, message=message + reason
    )


def _rows_named(first: int, last: int) -> str:
    return f"in row {first}" if first == last else f"in one of the rows {first} to {last}"
