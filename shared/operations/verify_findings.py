"""What verify says of what it read: damaged, gone, not what was written, or not read at all."""

from shared.domain.proof import Finding, NotMeasured, Severity
from shared.errors import DigestMismatch, GoldcopyError, ObjectMissing, StoreProblem
from shared.operations.claims_check import UnbackedClaim
from shared.repository.layout import evidence_prefix

RESTORE_COPY = "Put it back from another copy of the repository, or rely on another backup and let this one expire."


def is_gap(problem: StoreProblem | DigestMismatch | None) -> bool:
    """Whether a problem says nothing about the object: it was not read."""
    return isinstance(problem, StoreProblem) and not isinstance(problem, ObjectMissing)


def of_error(check: str, name: str, error: GoldcopyError) -> Finding:
    """Say what an error found out about a stored file."""
    return stored_error(check, name, error.message, error.hint)


def not_read(check: str, name: str, error: GoldcopyError) -> NotMeasured:
    """Say that a stored file was not read, and why."""
    return NotMeasured(check=check, object=name, reason=error.message)


def manifest_gone(key: str) -> Finding:
    """Say that a manifest is lost."""
    return stored_error(
        "manifest",
        key,
        f"{key} is missing although the catalog says that the backup is complete",
        "Put it back from another copy of the repository; if it is lost for good, run `goldcopy rebuild-catalog`.",
    )


def unbacked(claim: UnbackedClaim) -> Finding:
    """Evidence that is not there says nothing about the stored bytes; evidence that says something else does."""
    return Finding(
        check="evidence",
        severity=Severity.WARNING if claim.is_missing else Severity.ERROR,
        object=evidence_prefix(claim.source, claim.backup_id),
        message=claim.message,
        hint=claim.hint,
    )


def stored_error(check: str, name: str, message: str, hint: str) -> Finding:
    """Say what is wrong with a stored file."""
    return Finding(check=check, severity=Severity.ERROR, object=name, message=message, hint=hint)
