"""Who may use the app: people by their address, programs by their key."""

from secrets import token_bytes
from typing import Any

from shared.catalog.app_records import ApiKeyRecord, PersonRecord
from shared.clock import utc_now
from shared.config.load import load_config
from shared.domain.api_key import NAME, digest_of, key_of
from shared.domain.person import Role
from shared.errors import UsageProblem
from shared.units import format_instant
from shared.wiring.parts import Parts


def set_person(config_path: str | None, name: str, role: Role | None, *, reason: str) -> dict[str, Any]:
    """Give somebody a role, or (None) end their access.

    Raises:
        UsageProblem: The name is not an address, or nobody has it.
    """
    address = name.strip().lower()
    if "@" not in address:
        raise UsageProblem(f"{name!r} is not an address", hint="Give the address that the sign-in sends as `email`.")
    catalog = Parts(load_config(config_path)).catalog
    with catalog:
        known = {person.name: person for person in catalog.people()}
        if role is None and address not in known:
            raise UsageProblem(f"nobody is called {address} here", hint="List them: goldcopy people list")
        catalog.set_person(
            address, role or known[address].role, is_active=role is not None, now=utc_now(), reason=reason
        )
    return {"name": address, "role": role.value if role else None}


def list_people(config_path: str | None) -> list[dict[str, Any]]:
    """Return everybody who has or had a role."""
    with Parts(load_config(config_path)).catalog as catalog:
        return [_person(person) for person in catalog.people()]


def add_key(config_path: str | None, name: str, role: Role, *, reason: str = "") -> dict[str, Any]:
    """Make a key for a program; this is the only time that it is seen.

    Raises:
        UsageProblem: The name is not one, or is taken.
    """
    if not NAME.fullmatch(name):
        raise UsageProblem(f"{name!r} is not a name for a key", hint="Use a-z 0-9 . _ - only, such as ci or cron.")
    key = key_of(token_bytes(32))
    with Parts(load_config(config_path)).catalog as catalog:
        catalog.add_api_key(name, digest_of(key), role, now=utc_now(), reason=reason)
    return {"name": name, "role": role.value, "key": key}


def revoke_key(config_path: str | None, name: str, *, reason: str = "") -> dict[str, Any]:
    """End a key.

    Raises:
        UsageProblem: There is no such key in force.
    """
    with Parts(load_config(config_path)).catalog as catalog:
        catalog.revoke_api_key(name, now=utc_now(), reason=reason)
    return {"name": name, "revoked": True}


def list_keys(config_path: str | None) -> list[dict[str, Any]]:
    """Return all keys by name, without the keys."""
    with Parts(load_config(config_path)).catalog as catalog:
        return [_key(key) for key in catalog.api_keys()]


def _person(person: PersonRecord) -> dict[str, Any]:
    return {
        "name": person.name,
        "role": person.role.value,
        "active": person.is_active,
        "changed_at": format_instant(person.changed_at),
        "changed_by": person.changed_by,
    }


def _key(key: ApiKeyRecord) -> dict[str, Any]:
    return {
        "name": key.name,
        "role": key.role.value,
        "created_at": format_instant(key.created_at),
        "created_by": key.created_by,
        "revoked_at": format_instant(key.revoked_at) if key.revoked_at else None,
    }
