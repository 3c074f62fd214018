"""Decide what a real restore does, before it writes anything: refuse, choose entries, give up owners where it must."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.comparison import parse_qualified, qualified
from shared.domain.manifest import Manifest, TableRecord
from shared.domain.proof import Finding, Severity
from shared.errors import RestoreRefused, UsageProblem
from shared.operations.large_objects_left_out import large_objects_left_out
from shared.operations.late_keys import LateKey, find_late_keys
from shared.postgres.archive import Toc, TocEntry
from shared.postgres.connection import DatabaseAddress
from shared.postgres.destination import Destination, existing_entries, is_same_database, roles_not_held
from shared.postgres.restore_selection import Selection, for_tables, tables_with_partitions, without

_SUPERUSER_ONLY = frozenset({"EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SUBSCRIPTION"})
_RELATIONS = frozenset({"TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What will be restored.

    Attributes:
        toc: The dump's table of contents.
        selection: Entries to restore.
        tables: Chosen tables that hold rows, or None for everything.
        no_owner: Objects will belong to the connecting role, without grants.
        findings: What a person should know about the plan.
        late_keys: Foreign keys to tables of the destination, to be added when the rows are there.
    """

    toc: Toc
    selection: Selection
    tables: tuple[TableRecord, ...] | None
    no_owner: bool
    findings: tuple[Finding, ...]
    late_keys: tuple[LateKey, ...] = ()

    def wants(self, path: str) -> bool:
        """Say whether a file of the dump is needed."""
        return self.tables is None or any(table.file == path for table in self.tables)


def refuse_destination(
    destination: Destination,
    manifest: Manifest,
    address: DatabaseAddress,
    *,
    source: DatabaseAddress | None,
    must_be_empty: bool,
) -> None:
    """Refuse a destination that must not, or cannot, take the backup.

    Args:
        destination: What it is.
        manifest: What the backup is.
        address: Where it is.
        source: The source, which is refused as the destination; None allows it.
        must_be_empty: Whether it may hold nothing.

    Raises:
        RestoreRefused: With what to do instead.
    """
    label = address.label
    if source is not None and is_same_database(address, source):
        raise RestoreRefused(
            f"{label} is the source of this backup itself",
            hint="Restore into a new database and switch over; `--into-source` allows it, say for a lost table.",
        )
    if destination.is_standby:
        raise RestoreRefused(f"{label} is a read replica", hint="Restore into its primary, or into another server.")
    if destination.major < manifest.server.major:
        raise RestoreRefused(
            f"{label} is Postgres {destination.version}, older than the source's {manifest.server.server_version}",
            hint=f"Restore into a server of version {manifest.server.major} or newer.",
        )
    if must_be_empty and destination.content:
        shown = ", ".join(destination.content[:3])
        raise RestoreRefused(
            f"{label} is not empty: it holds {shown}",
            hint="Create a new database for the restore; `--into-non-empty` overrides this.",
        )
    if destination.encoding != manifest.server.encoding:
        raise RestoreRefused(
            f"{label} has the encoding {destination.encoding}, and the source {manifest.server.encoding}",
            hint=f"Restore into one made with ENCODING '{manifest.server.encoding}' TEMPLATE template0.",
        )


def plan_whole(toc: Toc, manifest: Manifest, address: DatabaseAddress, destination: Destination) -> RestorePlan:
    """Plan to restore everything.

    Raises:
        RestoreRefused: The destination lacks an extension.
    """
    missing = sorted(item.name for item in manifest.extensions if item.name not in destination.extensions)
    if missing:
        raise RestoreRefused(
            f"{address.label} cannot load the extension{'s' * (len(missing) > 1)} {', '.join(missing)}",
            hint="Install the extension's package on that server, or restore chosen tables with `--table`.",
        )
    selection = Selection(entries=toc.entries)
    findings: list[Finding] = []
    if not destination.is_superuser:
        unwanted = {entry.dump_id: _not_allowed(entry) for entry in toc.entries if _needs_superuser(entry)}
        selection = without(selection, unwanted)
        findings += [_left_out(entry, reason) for entry, reason in selection.left_out_of(toc)]
    # Roles that are missing will be made from roles.sql; those that exist may still not be ours to give things to.
    unheld = () if destination.is_superuser else _unheld(selection.entries, address, destination, may_create=True)
    findings += _owner_findings(unheld)
    return RestorePlan(toc=toc, selection=selection, tables=None, no_owner=bool(unheld), findings=tuple(findings))


def plan_tables(
    toc: Toc, manifest: Manifest, names: Sequence[str], address: DatabaseAddress, destination: Destination
) -> RestorePlan:
    """Plan to restore chosen tables with what they need and the destination lacks.

    Raises:
        UsageProblem: A name is none, or no table of the backup.
        RestoreRefused: A table exists already, or needs an extension that the destination lacks.
    """
    entries = _entries(toc, names)
    chosen = for_tables(toc, entries)
    if any(entry.description == "POLICY" for entry, _ in chosen.left_out_of(toc)):
        relations = [entry for entry in toc.entries if entry.description in _RELATIONS]
        chosen = for_tables(toc, entries, existing_entries(address, relations))
    existing = existing_entries(address, chosen.entries)
    taken = [entry for entry in entries if entry.dump_id in existing]
    if taken:
        raise RestoreRefused(
            f"{qualified(taken[0].schema, taken[0].tag)} exists already in {address.label}",
            hint="Rename or drop it there first, or restore into a new database and copy what you need.",
        )
    lacking = {item.name for item in manifest.extensions if item.name not in destination.extensions}
    impossible = [entry for entry in chosen.entries if entry.description == "EXTENSION" and entry.tag in lacking]
    if impossible:
        raise RestoreRefused(
            f"the chosen tables need the extension {impossible[0].tag}, which {address.label} cannot load",
            hint="Install the extension's package on that server first.",
        )
    there = {number: "the destination has it already" for number in _with_settings(chosen, existing)}
    selection = without(chosen, there)
    files = {entry.filename for entry in selection.entries if entry.description == "TABLE DATA"}
    unheld = _unheld(selection.entries, address, destination, may_create=False)
    late_keys = find_late_keys(toc, chosen, address)
    late = {number for key in late_keys for number in key.dump_ids}
    left_out = [(entry, reason) for entry, reason in chosen.left_out_of(toc) if entry.dump_id not in late]
    return RestorePlan(
        toc=toc,
        selection=selection,
        tables=tuple(table for table in manifest.tables if table.file in files),
        no_owner=bool(unheld),
        findings=tuple(
            [_left_out(entry, reason) for entry, reason in left_out]
            + large_objects_left_out(manifest.large_object_count, chosen.entries)
            + _owner_findings(unheld)
        ),
        late_keys=late_keys,
    )


def _entries(toc: Toc, names: Sequence[str]) -> list[TocEntry]:
    try:
        wanted = [parse_qualified(name) for name in names]
        return tables_with_partitions(toc, [(schema, table) for schema, table in wanted])
    except ValueError as error:
        raise UsageProblem(str(error), hint="For example `--table public.orders`.") from error
    except KeyError as error:
        schema, table = error.args[0]
        raise UsageProblem(
            f"{qualified(schema, table)} is not in this backup",
            hint="`goldcopy show ID` lists the tables of a backup; upper and lower case count.",
        ) from error


def _with_settings(chosen: Selection, existing: frozenset[int]) -> set[int]:
    """What exists is left alone: so are its comment, its rights, and a sequence's value."""
    found = set(existing)
    for entry in chosen.entries:
        if entry.description in {"COMMENT", "ACL", "SEQUENCE SET", "SECURITY LABEL"} and entry.dependencies:
            found |= {entry.dump_id} if set(entry.dependencies) <= existing else set()
    return found


def _unheld(
    entries: Sequence[TocEntry], address: DatabaseAddress, destination: Destination, *, may_create: bool
) -> tuple[str, ...]:
    owners = {entry.owner for entry in entries if entry.owner}
    absent = () if may_create else tuple(sorted(owners - destination.roles))
    return absent or (() if destination.is_superuser else roles_not_held(address, sorted(owners)))


def _needs_superuser(entry: TocEntry) -> bool:
    return entry.description in _SUPERUSER_ONLY or (
        entry.description == "COMMENT" and entry.tag.startswith("EXTENSION ")
    )


def _not_allowed(entry: TocEntry) -> str:
    return f"only a superuser may restore {entry.description.lower()} {entry.tag}"


def _left_out(entry: TocEntry, reason: str) -> Finding:
    severities = {"COMMENT": Severity.INFO, "POLICY": Severity.ERROR}
    is_policy = entry.description == "POLICY"
    return Finding(
        check="left-out",
        severity=severities.get(entry.description, Severity.WARNING),
        object=f"{entry.description.lower()} {qualified(entry.schema, entry.tag) if entry.schema else entry.tag}",
        message=f"not restored: {reason}",
        hint=f"Rows may be seen that it hid: run {' '.join(entry.definition.split())}" if is_policy else "",
    )


def _owner_findings(unheld: Sequence[str]) -> list[Finding]:
    if not unheld:
        return []
    return [
        Finding(
            check="owners",
            severity=Severity.WARNING,
            object=", ".join(unheld[:5]),
            message="objects of these roles will belong to the connecting role, and no grants are restored",
            hint="Create the roles and connect as a superuser or a member of them to keep owners and grants.",
        )
    ]
