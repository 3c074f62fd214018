"""Schema drift: which objects were added, removed or changed since the backup before, by name."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from shared.domain.anomaly import (
    Anomaly,
    AnomalyPolicy,
    History,
    ObjectChange,
    Rule,
    SchemaDrift,
    Subject,
)
from shared.domain.proof import Severity

SchemaDigests = Mapping[tuple[str, str], str]
"""(Class, identity) of every schema object -> keyed digest of its definition, as `digest_objects` writes it."""

_NAMES_SHOWN = 8
_READER = "reader"
# What hangs on a table and carries its name: told with the table when that comes or goes.
_PARTS = {"columns", "constraints", "triggers", "policies", "rules"}
_HARMLESS = {"comments", "statistics", "security_labels"}


def compare_schemas(before: SchemaDigests, after: SchemaDigests) -> tuple[SchemaDrift, ...]:
    """List every object that is not what it was, by class and name."""
    drift = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ""), after.get(name, "")
        if old == new or name[0] == _READER or _is_data(*name):
            continue
        change = ObjectChange.CHANGED if old and new else ObjectChange.REMOVED if old else ObjectChange.ADDED
        drift.append(
            SchemaDrift(change=change, object_class=name[0], identity=name[1], digest_before=old, digest_after=new)
        )
    return tuple(drift)


def detect_drift(history: History, subject: Subject, policy: AnomalyPolicy) -> list[Anomaly]:
    """Report drift, one anomaly for each kind of change.

    What was added is only for the record. Partitions of a partitioned table that is still there come and go quietly,
    and so does what the configuration leaves out by now.
    """
    quiet = _partition_filter(history, subject)
    left_out = _excluded_filter(subject)
    seen = [item for item in subject.drift or () if not quiet(item) and not left_out(item)]
    seen = [item for item in seen if not policy.ignores(Rule.SCHEMA_CHANGED, plain_name(item.identity))]
    found = []
    for change, items in groupby(sorted(seen, key=lambda item: item.change), key=lambda item: item.change):
        found.append(_anomaly(change, list(items), subject))
    return found


def is_reverted(changes: Sequence[SchemaDrift], now: SchemaDigests) -> bool:
    """Say whether all objects are again what they were before."""
    return all(now.get((item.object_class, item.identity), "") == item.digest_before for item in changes)


def changed_parts(drift: SchemaDrift) -> tuple[str, ...]:
    """Name the parts of an object that were changed, such as `owner` or `row_security`, as far as digests tell."""
    before, after = _digests_of_parts(drift.digest_before), _digests_of_parts(drift.digest_after)
    if drift.change is not ObjectChange.CHANGED:
        return ()
    return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


def plain_name(identity: str) -> str:
    """Return a printed name without its quotes, as manifests write names."""
    return identity.replace('"', "")


def describe_object(object_class: str, identity: str) -> str:
    """Print an object for people: `policy own_rows on public.tasks`."""
    return f"{_singular(object_class.replace('_', ' '))} {identity}"


def _anomaly(change: ObjectChange, items: Sequence[SchemaDrift], subject: Subject) -> Anomaly:
    shown = _without_parts(items) if change is not ObjectChange.CHANGED else list(items)
    names = [_describe(item) for item in shown]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    counts = Counter(item.object_class.replace("_", " ") for item in shown)
    many = f" ({', '.join(f'{count} {name}' for name, count in counts.most_common(4))})" if more else ""
    what = "1 schema object was" if len(shown) == 1 else f"{len(shown)} schema objects were"
    matters = change is not ObjectChange.ADDED and any(item.object_class not in _HARMLESS for item in items)
    return Anomaly(
        rule=Rule.SCHEMA_CHANGED,
        source=subject.source,
        backup_id=subject.backup_id,
        object=change.value,
        severity=Severity.WARNING if matters else Severity.INFO,
        sentence=f"{what} {change.value} since {subject.drift_since}{many}: {', '.join(names[:_NAMES_SHOWN])}{more}",
        expected=f"the schema of {subject.drift_since}",
        found=f"{len(items)} {change.value}",
        started_at=subject.point.at,
        found_value=float(len(items)),
    )


def _describe(item: SchemaDrift) -> str:
    parts = ", ".join(part.replace("_", " ") for part in changed_parts(item))
    name = describe_object(item.object_class, item.identity)
    return f"{name} ({parts})" if parts else name


def _digests_of_parts(digest: str) -> dict[str, str]:
    """Read the digests of an object's parts: `whole|owner=1a2b3c4d|acl=...`."""
    return dict(part.partition("=")[::2] for part in digest.split("|")[1:])


def _is_data(object_class: str, identity: str) -> bool:
    """Large objects are rows that users make, not schema; so are comments on them."""
    return object_class == "large_objects" or (
        object_class in _HARMLESS and f" {identity}".partition(" large object ")[2].isdigit()
    )


def _without_parts(items: Sequence[SchemaDrift]) -> list[SchemaDrift]:
    """Leave out what came or went with its table; if nothing else did, all is shown."""
    tables = {plain_name(item.identity) for item in items if item.object_class == "tables"}
    kept = [item for item in items if item.object_class not in _PARTS or _table_of(item) not in tables]
    return kept or list(items)


def _table_of(item: SchemaDrift) -> str:
    """Return the table that a part belongs to; constraints are `name on table`, columns `schema.table.column`."""
    name = plain_name(item.identity)
    if item.object_class == "columns":
        return name.rpartition(".")[0]
    return name.rpartition(" on ")[2]


def _partition_filter(history: History, subject: Subject) -> Callable[[SchemaDrift], bool]:
    before = history.tables[-1].tables if history.tables else ()
    roots_now = {table.partition_root for table in subject.tables if table.partition_root}
    partitions = {
        plain_name(f"{table.schema}.{table.name}")
        for table in (*before, *subject.tables)
        if table.partition_root in roots_now
    }

    def is_partition(item: SchemaDrift) -> bool:
        if item.change is ObjectChange.CHANGED or not partitions:
            return False
        name = plain_name(item.identity)
        if item.object_class == "indexes":
            # An index bears no table's name, but the server makes one up that begins with it.
            return any(name.startswith(f"{partition}_") for partition in partitions)
        return name in partitions or _table_of(item) in partitions

    return is_partition


def _excluded_filter(subject: Subject) -> Callable[[SchemaDrift], bool]:
    def is_left_out(item: SchemaDrift) -> bool:
        if item.change is not ObjectChange.REMOVED or not subject.excluded:
            return False
        name = plain_name(item.identity)
        owner = name.rpartition(" on ")[2]
        return any(
            part == known or part.startswith(f"{known}.") for known in subject.excluded for part in (name, owner)
        )

    return is_left_out


def _singular(words: str) -> str:
    if words.endswith("ies"):
        return f"{words[:-3]}y"
    if words.endswith("classes"):
        return words[:-2]
    if words.endswith("indexes"):
        return words[:-2]
    return words[:-1] if words.endswith("s") and words != "statistics" else words
