"""A backup: one restorable copy of a source at one recovery point."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_BACKUP_ID = re.compile(r"(\d{8}T\d{6}Z)-([a-z0-9][a-z0-9._-]{0,62})-([0-9a-f]{4,16})")


class BackupKind(StrEnum):
    """Why a backup was taken; retention is set per kind."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MANUAL = "manual"
    PRE_DEPLOY = "pre-deploy"


class BackupStatus(StrEnum):
    """Where a backup stands in the catalog; only complete ones exist for readers."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    EXPIRING = "expiring"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupId:
    """The sortable, readable name of a backup: `20261121T020000Z-app-7f3a`."""

    at: datetime
    source: str
    suffix: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self.source}-{self.suffix}"


def parse_backup_id(text: str) -> BackupId:
    """Read a whole backup id.

    Raises:
        ValueError: The text is not a backup id.
    """
    match = _BACKUP_ID.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a backup id")
    at = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return BackupId(at=at, source=match[2], suffix=match[3])
