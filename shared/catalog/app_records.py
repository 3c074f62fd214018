"""What the app's tables hold, as frozen rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.person import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """Somebody who may sign in, or could."""

    name: str
    role: Role
    is_active: bool
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """A key for programs, without the key."""

    name: str
    role: Role
    created_at: datetime
    created_by: str
    revoked_at: datetime | None
    revoked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """Something that was asked for once; `result` is what it came to, empty while `done_at` is None."""

    token: str
    actor: str
    action: str
    object_name: str
    asked_at: datetime
    done_at: datetime | None
    result: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualBackup:
    """What somebody tells of a backup that was made without Goldcopy.

    Attributes:
        taken_at: When its data is of.
        place: Where it lies, for whoever needs it.
        reason: Why it was made.
    """

    source: str
    taken_at: datetime
    place: str
    stored_bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualBackupRecord(ManualBackup):
    """The same, recorded."""

    id: int
    logged_by: str
    logged_at: datetime
