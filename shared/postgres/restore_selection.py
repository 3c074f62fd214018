"""Choose entries of a dump's table of contents: all but what a server cannot hold, or tables with what they need.

Pure: a table of contents in, entries out. pg_dump lists for every entry what it needs; members of extensions and system
objects are not in the list, but what needs such a member names the extension itself.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.postgres.archive import Toc, TocEntry

_TABLE_KINDS = frozenset({"TABLE", "FOREIGN TABLE"})
_PARTS = frozenset(
    {
        "ACL",
        "CHECK CONSTRAINT",
        "COMMENT",
        "CONSTRAINT",
        "DEFAULT",
        "FK CONSTRAINT",
        "INDEX",
        "INDEX ATTACH",
        "POLICY",
        "ROW SECURITY",
        "RULE",
        "SECURITY LABEL",
        "SEQUENCE",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "STATISTICS",
        "STATISTICS DATA",
        "TABLE DATA",
        "TRIGGER",
    }
)
"""What belongs to a table and comes with it; views and functions that only use it do not."""

_MAY_REFUSE_ROWS = re.compile(r"\bCHECK \(|\bGENERATED ALWAYS AS \(")
_READS_TABLES = re.compile(r"\b(FROM|EXECUTE|TABLE)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_ALWAYS = frozenset({"ENCODING", "STDSTRINGS", "SEARCHPATH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Entries to restore, and those that are left out with the reason.

    Attributes:
        entries: In the order of the dump.
        left_out: Reason by entry.
    """

    entries: tuple[TocEntry, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)

    def left_out_of(self, toc: Toc) -> list[tuple[TocEntry, str]]:
        """Return the entries that are left out, in the order of the dump."""
        return [(entry, self.left_out[entry.dump_id]) for entry in toc.entries if entry.dump_id in self.left_out]


def without_extensions(toc: Toc, missing: Collection[str]) -> Selection:
    """Leave out extensions that a server lacks, and everything that needs one of them."""
    left_out: dict[int, str] = {}
    dependents = _dependents(toc)
    for entry in toc.entries:
        if entry.description == "EXTENSION" and entry.tag in missing:
            reason = f"needs the extension {entry.tag}, which the server lacks"
            left_out[entry.dump_id] = f"the server lacks the extension {entry.tag}"
            for dump_id in _closure([entry.dump_id], dependents):
                left_out.setdefault(dump_id, reason)
    return Selection(entries=tuple(e for e in toc.entries if e.dump_id not in left_out), left_out=left_out)


def depends_on_order(toc: Toc) -> bool:
    """Say whether rows may be refused because of what is in other tables, or of event triggers, at that moment.

    A CHECK or a generated column whose function reads another table fits or not by the order in which tables are
    loaded; a materialized view is not filled where an event trigger forbids it already. Parallel jobs work in an order
    of chance; the dump's own order is what a restore in one transaction meets.
    """
    if _forbids_refresh(toc):
        return True
    readers = _reading_functions(toc)
    if not readers:
        return False
    needs = {entry.dump_id: entry.dependencies for entry in toc.entries}
    refusing = {entry.dump_id for entry in toc.entries if _MAY_REFUSE_ROWS.search(entry.definition)}
    for entry in toc.entries:
        if entry.description == "TABLE":
            used = _closure([entry.dump_id], needs) | {entry.dump_id}
            if not readers.isdisjoint(used) and not refusing.isdisjoint(used):
                return True
    return False


def _forbids_refresh(toc: Toc) -> bool:
    """Whether there are both materialized views to fill and event triggers that raise errors."""
    by_id = {entry.dump_id: entry for entry in toc.entries}
    kinds = {entry.description for entry in toc.entries}
    return "MATERIALIZED VIEW DATA" in kinds and any(
        "RAISE EXCEPTION" in by_id[number].definition.upper()
        for entry in toc.entries
        if entry.description == "EVENT TRIGGER"
        for number in entry.dependencies
        if number in by_id
    )


def _reading_functions(toc: Toc) -> set[int]:
    """Return the functions whose body reads a table, or names a function that does."""
    functions = [entry for entry in toc.entries if entry.description == "FUNCTION"]
    readers = {entry.dump_id for entry in functions if _READS_TABLES.search(entry.definition)}
    names = {entry.tag.partition("(")[0].strip('"') for entry in functions if entry.dump_id in readers}
    while True:
        found = [
            entry
            for entry in functions
            if entry.dump_id not in readers and not names.isdisjoint(_WORD.findall(entry.definition))
        ]
        if not found:
            return readers
        readers |= {entry.dump_id for entry in found}
        names |= {entry.tag.partition("(")[0].strip('"') for entry in found}


def without(selection: Selection, unwanted: Mapping[int, str]) -> Selection:
    """Leave out more entries, by their number with the reason."""
    return Selection(
        entries=tuple(entry for entry in selection.entries if entry.dump_id not in unwanted),
        left_out={**selection.left_out, **unwanted},
    )


def tables_with_partitions(toc: Toc, wanted: Iterable[tuple[str, str]]) -> list[TocEntry]:
    """Return the entries of tables, each partitioned one followed by its partitions.

    Raises:
        KeyError: A table is not in the dump; the key is (schema, name).
    """
    by_name = {(entry.schema, entry.tag): entry for entry in toc.entries if entry.description in _TABLE_KINDS}
    by_id = {entry.dump_id: entry for entry in toc.entries}
    children: dict[int, list[int]] = {}
    for entry in toc.entries:
        if entry.description == "TABLE ATTACH":
            tables = [number for number in entry.dependencies if _is_table(by_id.get(number))]
            child = by_name.get((entry.schema, entry.tag))
            for parent in tables:
                if child and parent != child.dump_id:
                    children.setdefault(parent, []).append(child.dump_id)
    first = [by_name[name].dump_id for name in wanted]
    return [by_id[number] for number in dict.fromkeys(_with_closure(first, children))]


def for_tables(toc: Toc, tables: Sequence[TocEntry], there: Collection[int] = ()) -> Selection:
    """Choose tables with their rows, parts and what they need (schemas, types, functions, sequences, extensions).

    A table that a chosen one inherits from, or is a partition of, comes with its definition but without its rows. A
    foreign key, trigger or other part that needs any other table which is not chosen is left out with that reason.
    A policy may also use what the destination has: without it, rows would be shown to whom it kept them from.

    Args:
        toc: The dump's table of contents.
        tables: Entries of the chosen tables.
        there: Tables and views that the destination has, by entry.
    """
    by_id = {entry.dump_id: entry for entry in toc.entries}
    needs = {entry.dump_id: tuple(number for number in entry.dependencies if number in by_id) for entry in toc.entries}
    chosen = {entry.dump_id for entry in tables}
    needs_there = {number: () if number in there else needed for number, needed in needs.items()}
    left_out: dict[int, str] = {}
    kept = chosen | _closure(chosen, needs)
    present = {number for number in kept if by_id[number].description in _TABLE_KINDS}
    parts = _parts(toc, kept & chosen | {n for n in kept if by_id[n].description == "SEQUENCE"}, by_id)
    for number in parts:
        of_policy = any(by_id[n].description == "POLICY" for n in (number, *needs[number]))
        needed = _closure([number], needs_there) - set(there) if of_policy else _closure([number], needs)
        foreign = [by_id[n] for n in needed if by_id[n].description in _TABLE_KINDS and n not in present]
        if foreign:
            left_out[number] = f"needs {foreign[0].schema}.{foreign[0].tag}, which is not restored"
        else:
            kept |= {number} | needed
    kept |= {entry.dump_id for entry in toc.entries if _is_attachment(entry, present, by_id)}
    kept |= {entry.dump_id for entry in toc.entries if entry.description in _ALWAYS}
    entries = tuple(entry for entry in toc.entries if entry.dump_id in kept)
    return Selection(entries=entries, left_out=left_out)


def _parts(toc: Toc, owners: Collection[int], by_id: Mapping[int, TocEntry]) -> list[int]:
    """List what belongs to the owners, and to their parts (a comment on an index), in the order of the dump."""
    dependents: dict[int, list[int]] = {}
    for entry in toc.entries:
        if entry.description in _PARTS:
            for number in entry.dependencies:
                dependents.setdefault(number, []).append(entry.dump_id)
    found = _closure(owners, dependents)
    return [number for number in by_id if number in found and _belongs(by_id[number], owners, by_id)]


def _belongs(entry: TocEntry, owners: Collection[int], by_id: Mapping[int, TocEntry]) -> bool:
    """A foreign key depends on both tables; it belongs to the one that it is named after (`orders orders_fkey`)."""
    if entry.description != "FK CONSTRAINT":
        return True
    names = {(by_id[number].schema, by_id[number].tag) for number in owners}
    return any(entry.schema == schema and entry.tag.startswith(f"{name} ") for schema, name in names)


def _is_attachment(entry: TocEntry, chosen: Collection[int], by_id: Mapping[int, TocEntry]) -> bool:
    if entry.description != "TABLE ATTACH":
        return False
    tables = [number for number in entry.dependencies if _is_table(by_id.get(number))]
    return bool(tables) and all(number in chosen for number in tables)


def _is_table(entry: TocEntry | None) -> bool:
    return entry is not None and entry.description in _TABLE_KINDS


def _dependents(toc: Toc) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in toc.entries:
        for number in entry.dependencies:
            found.setdefault(number, []).append(entry.dump_id)
    return found


def _with_closure(first: Sequence[int], edges: Mapping[int, Sequence[int]]) -> list[int]:
    found: list[int] = []
    for number in first:
        found += [number, *sorted(_closure([number], edges))]
    return found


def _closure(first: Iterable[int], edges: Mapping[int, Sequence[int]]) -> set[int]:
    """Everything that can be reached from `first`, those themselves not included unless reached again."""
    found: set[int] = set()
    waiting = list(first)
    while waiting:
        for number in edges.get(waiting.pop(), ()):
            if number not in found:
                found.add(number)
                waiting.append(number)
    return found
