"""What a check can say: a finding, an outcome, and how outcomes add up."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The answer of a check; a check that could not run is never green."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not_measured"


class Severity(StrEnum):
    """How much a finding matters: an error fails, a warning asks for a look, info is for the record."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: Stable name of the check, such as `table-content` or `digest`.
        severity: Whether it fails the whole.
        object: What it is about, such as `public.orders` or an object key.
        message: One sentence that says what was expected and what was found.
        hint: One sentence that says what to do; may be empty.
    """

    check: str
    severity: Severity
    object: str
    message: str
    hint: str = ""

    def document(self) -> dict[str, str]:
        """Return it in JSON's own types."""
        return {
            "check": self.check,
            "severity": self.severity.value,
            "object": self.object,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """Something that could not be checked, and why."""

    check: str
    object: str
    reason: str

    def document(self) -> dict[str, str]:
        """Return it in JSON's own types."""
        return {"check": self.check, "object": self.object, "reason": self.reason}


def overall_outcome(findings: Iterable[Finding], not_measured: Iterable[NotMeasured]) -> Outcome:
    """Add up: an error fails; else anything not measured keeps the whole from passing."""
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Outcome.FAILED
    return Outcome.NOT_MEASURED if any(True for _ in not_measured) else Outcome.PASSED
