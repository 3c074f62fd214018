"""What a source's roles are, and how those of a restored server differ from them.

Pure. A role's facts are a flat list, `what` -> value: its attributes, its memberships, its settings. Values of settings
can be secrets, so no finding ever shows one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.comparison import capped
from shared.domain.proof import Finding, NotMeasured, Severity

RoleFacts = Mapping[str, Mapping[str, str]]
"""Role -> what -> value; the settings that a database has for everybody stand under `EVERYBODY`."""

EVERYBODY = ""
SETTING = "setting "
HERE = " in the database"
MEMBERSHIP = "membership in "
LOGIN = "login"
"""Recorded and never restored: a role must not come back able to log in where nobody gave it a password."""

CHECK = "role-differs"
_EVERYBODY_SHOWN = "the database, for all roles"
_ABSENT = "absent"
_HINT = "Compare roles.sql and settings.sql of the backup with the source; who may do what would not be as it was."


def fact_label(role: str, what: str) -> str:
    """Name one fact: `role app: membership in staff`; roles.sql says it of each statement that was refused."""
    return f"role {role}: {what}" if role else f"database: {what}"


@dataclass(slots=True, kw_only=True)
class AppliedRoles:
    """How the scripts of a backup went that make roles and settings.

    Attributes:
        existing: Roles that the server had before; they are left as they are.
        refused: What the server did not allow, by the fact's label, with its reason.
        is_scratch: Whether the server is there for a test: what it cannot hold was not measured. A real destination
            keeps its own roles by rule, which is a warning.
    """

    existing: frozenset[str] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    is_scratch: bool = True


@dataclass(slots=True)
class RoleProof:
    """What comparing roles found."""

    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)


def compare_roles(source: RoleFacts, restored: RoleFacts, applied: AppliedRoles) -> RoleProof:
    """Compare every fact of the source's roles with the restored server's; other roles of that server do not matter.

    Args:
        source: What the source had in the dump's snapshot.
        restored: What the server has after the backup's scripts ran. A role that is missing is found elsewhere.
        applied: How they ran.
    """
    proof = RoleProof()
    for role in sorted(source.keys() & (restored.keys() | {EVERYBODY})):
        wanted, found = source[role], restored.get(role, {})
        differences, explained = [], []
        for what in sorted((wanted.keys() | found.keys()) - {LOGIN}):
            if wanted.get(what) == found.get(what):
                continue
            words = _words(what, wanted.get(what), found.get(what))
            if reason := _explain(role, what, applied):
                explained.append(f"{words} ({reason})")
            else:
                differences.append(words)
        _note(role, differences, explained, applied, proof)
    proof.findings = capped(proof.findings, CHECK)
    return proof


def _note(role: str, differences: list[str], explained: list[str], applied: AppliedRoles, proof: RoleProof) -> None:
    name = role or _EVERYBODY_SHOWN
    if differences:
        message = "; ".join(differences)
        proof.findings.append(
            Finding(check=CHECK, severity=Severity.ERROR, object=name, message=message, hint=_HINT),
        )
    if explained and applied.is_scratch:
        proof.not_measured.append(NotMeasured(check=CHECK, object=name, reason="; ".join(explained)))
    elif explained:
        proof.findings.append(
            Finding(
                check=CHECK,
                severity=Severity.WARNING,
                object=name,
                message="; ".join(explained),
                hint="Change the role by hand if it must be as it was at the source.",
            )
        )


def _words(what: str, wanted: str | None, found: str | None) -> str:
    if not what.startswith(SETTING):
        return f"{what} is {found or _ABSENT} instead of {wanted or _ABSENT}"
    if found is None:
        return f"{what} is missing"
    return f"{what} is not one of the source's" if wanted is None else f"{what} has another value"


def _explain(role: str, what: str, applied: AppliedRoles) -> str:
    """Say why the server could not have it as at the source; empty where it could."""
    if refusal := applied.refused.get(fact_label(role, what)):
        return f"the server refused it: {refusal}"
    if role in applied.existing:
        return "the server had a role of that name before, and it was left as it is"
    return ""
