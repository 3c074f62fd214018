"""Why the repository's own files make Goldcopy itself yellow: they belong to no source, and everybody needs them."""

from collections.abc import Sequence
from datetime import datetime

from shared.domain.health_reason import Colour, Reason
from shared.domain.proof import Finding

REPOSITORY_CHANGED = "repository-changed"
"""Code of the reason that the repository's own files give when verify found one missing or changed."""


def repository_reason(findings: Sequence[Finding], found_at: datetime) -> Reason | None:
    """Say what the last verify run found about `goldcopy.json`, `recover.sh` and `RECOVER.md`.

    Args:
        findings: Of the repository itself.
        found_at: When the run ended.
    """
    if not findings:
        return None
    words = "; ".join(finding.message for finding in findings)
    hints = " ".join(dict.fromkeys(finding.hint for finding in findings if finding.hint))
    return Reason(
        code=REPOSITORY_CHANGED,
        colour=Colour.YELLOW,
        sentence=f"The repository's own files are not in order: {words}",
        action=f"{hints} Then look again: `goldcopy verify --all`".strip(),
        since=found_at,
    )
