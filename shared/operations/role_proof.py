"""Make the roles of a backup on a server, and prove that they came out as they were at the source."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Severity
from shared.domain.role_facts import AppliedRoles, RoleProof, compare_roles
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection
from shared.postgres.role_facts import read_role_facts, read_superusers

ROLES_FILE = "roles.json"
"""What the source's roles are, beside the `roles.sql` that makes them."""


def read_roles_file(connection: Connection) -> bytes:
    """Read the facts of the source's roles in the dump's snapshot, as they are kept in a backup; sealed like all of it.

    Settings of roles may hold secrets, so this is never part of the manifest.
    """
    document = {"superusers": read_superusers(connection), "roles": read_role_facts(connection)}
    return json.dumps(document, sort_keys=True, ensure_ascii=True).encode()


def recorded_roles(dump_folder: Path) -> dict[str, Any] | None:
    """Return the facts of the source's roles; None for a backup of before they were recorded."""
    path = dump_folder / ROLES_FILE
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def apply_roles(address: DatabaseAddress, dump_folder: Path, *, is_scratch: bool) -> tuple[AppliedRoles, list[Finding]]:
    """Make the roles that the server lacks; those that it has stay as they are.

    Args:
        address: Where, as a role that may make others.
        dump_folder: The unpacked backup.
        is_scratch: Whether the server is there for a test.

    Returns:
        How that went, and a warning for each statement that the server did not allow.
    """
    applied = AppliedRoles(existing=_role_names(address), is_scratch=is_scratch)
    return applied, run_script(address, dump_folder / "roles.sql", "roles", applied)


def run_script(address: DatabaseAddress, path: Path, check: str, applied: AppliedRoles) -> list[Finding]:
    """Run one of the backup's own scripts, whose blocks turn what is not allowed into warnings.

    Args:
        address: Where.
        path: The script.
        check: Name of the findings.
        applied: Takes down what was refused.

    Returns:
        A warning for each statement that the server did not allow.
    """
    refused: list[tuple[str, str]] = []

    def take_down(notice: Diagnostic) -> None:
        refused.append((notice.message_detail or path.name, notice.message_primary or ""))

    with closing(address.connect()) as connection:
        connection.add_notice_handler(take_down)
        try:
            connection.execute(path.read_bytes())
        except psycopg.Error as error:
            refused.append((path.name, str(error).splitlines()[0]))
    applied.refused.update({about: message.removeprefix("not applied: ") for about, message in refused})
    return [
        Finding(check=check, severity=Severity.WARNING, object=about, message=message, hint="Apply it by hand.")
        for about, message in refused
    ]


def prove_roles(address: DatabaseAddress, manifest: Manifest, dump_folder: Path, applied: AppliedRoles) -> RoleProof:
    """Make sure that every role of the source is there and is what it was: owners, grants and policies build on it."""
    with closing(address.connect(read_only=True)) as connection:
        present, restored = _names(connection), read_role_facts(connection)
    missing = [_missing(role) for role in manifest.roles if role not in present]
    recorded = recorded_roles(dump_folder)
    if recorded is None:
        return RoleProof(findings=[*missing, _NAMES_ONLY])
    proof = compare_roles(recorded["roles"], restored, applied)
    proof.findings = missing + proof.findings
    return proof


_NAMES_ONLY = Finding(
    check="role-differs",
    severity=Severity.INFO,
    object="roles",
    message="only their names were compared: this backup was made before attributes of roles were recorded",
)


def _missing(role: str) -> Finding:
    return Finding(
        check="role-missing",
        severity=Severity.ERROR,
        object=role,
        message="the role is in the backup but not on the restored server",
        hint="Create it, or see why roles.sql of the backup did not.",
    )


def _role_names(address: DatabaseAddress) -> frozenset[str]:
    with closing(address.connect()) as connection:
        return _names(connection)


def _names(connection: Connection) -> frozenset[str]:
    rows = connection.execute("SELECT rolname FROM pg_catalog.pg_roles").fetchall()
    return frozenset(str(row[0]) for row in rows)
