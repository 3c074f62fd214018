"""People who use the app, and what each may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; each may do what the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Say whether this role suffices where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is signed in.

    Attributes:
        name: Who they are in the audit trail: an address, or `user@host` where nobody signs in.
        role: What they may do.
        is_signed_in: Whether a provider vouches for them; False for the one person of this machine.
    """

    name: str
    role: Role
    is_signed_in: bool = True
