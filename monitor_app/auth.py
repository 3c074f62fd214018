"""Who looks at the pages, and what they may do.

Off (the default, on this machine only): one person, who may do everything. With `[app.sign_in]` an OpenID Connect
provider says who somebody is, and the catalog's table of people says what they may do; both are asked on every run of
every page and again by every command, so a role that is taken away is gone at the next click.
"""

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from monitor_app import site
from shared.clock import utc_now
from shared.domain.person import Person, Role
from shared.errors import NotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Why nobody is let in: what to say, and whether signing in (again) helps."""

    title: str
    sentence: str


def current_user() -> Person | Gate:
    """Say who looks at the page, or why they are not let in.

    Raises:
        CatalogProblem: The catalog, which knows the roles, cannot be read.
    """
    settings = site.current().config.file.app.sign_in
    if settings is None:
        return this_person()
    claims = dict(st.user.to_dict())
    if not claims.get("is_logged_in"):
        return Gate(title="Sign in to see the backups", sentence="Your organisation's sign-in page opens next.")
    return admit(claims, session_age=settings.session_age, now=utc_now())


def admit(claims: Mapping[str, Any], *, session_age: timedelta, now: datetime) -> Person | Gate:
    """Judge what a provider says of somebody.

    Args:
        claims: Of the identity token.
        session_age: How long a sign-in lasts.
        now: Aware instant.
    """
    name = person_name(claims)
    if not name:
        return Gate(title="Your sign-in names no verified address", sentence="Ask who runs your sign-in to send one.")
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or datetime.fromtimestamp(issued, UTC) + session_age < now:
        return Gate(title="Your session is over", sentence="Sign in again to go on.")
    role = site.current().catalog().role_of(name)
    if role is None:
        sentence = f"{name} has no role here. An admin gives one: goldcopy people add {name} --role viewer"
        return Gate(title="You may not see this", sentence=sentence)
    return Person(name=name, role=role)


def person_name(claims: Mapping[str, Any]) -> str:
    """Return the address that a provider vouches for, in lower case; empty where it does not."""
    address = claims.get("email")
    if not isinstance(address, str) or claims.get("email_verified") in (False, "false"):
        return ""
    return address.strip().lower()


def require(role: Role) -> Person:
    """Return who acts, if they may; every command calls this first, whatever the page showed.

    Raises:
        NotAllowed: They may not.
    """
    found = current_user()
    if isinstance(found, Gate):
        raise NotAllowed(found.title.lower(), hint=found.sentence)
    if not found.role.may(role):
        raise NotAllowed(
            f"{found.name} is {found.role.value} and may not do this",
            hint=f"It takes the role {role.value}; an admin gives it: goldcopy people add {found.name} --role {role}",
        )
    return found


def may(role: Role) -> bool:
    """Say whether the person at the page may do what needs `role`, to leave buttons away that would refuse."""
    found = current_user()
    return isinstance(found, Person) and found.role.may(role)


def this_person() -> Person:
    """Return the one person of this machine: whoever started the app, who may do everything."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Person(name=f"{user}@{socket.gethostname()}", role=Role.ADMIN, is_signed_in=False)


def show_gate(gate: Gate) -> None:
    """Show the gate and nothing else."""
    st.title("Goldcopy", anchor=False)
    st.header(gate.title, anchor=False)
    st.text(gate.sentence)
    st.button("Sign in", on_click=st.login, type="primary", key="sign_in")
