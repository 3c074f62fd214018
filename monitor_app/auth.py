"""Who looks at the pages, and what they may do.

Off (the default, on this machine only): one person, who may do everything. With `[app.sign_in]` an OpenID Connect
provider says who somebody is, and the catalog's table of people says what they may do; both are asked on every run of
every page and again by every command, so a role that is taken away is gone at the next click.
"""

import os
import pwd
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from monitor_app import site
from shared.clock import utc_now
from shared.config.model import SignInSection
from shared.domain.person import Person, Role
from shared.errors import NotAllowed

_CLOCKS_DIFFER_SECONDS = 300
_UNVERIFIED = (
    "Ask who runs your sign-in to send email and email_verified. Where it never says email_verified, and every address "
    "of it is known to be right, who runs this app may set trust_unverified_email = true in [app.sign_in]."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Why nobody is let in: what to say, and whether they are signed in, so that only another account helps."""

    title: str
    sentence: str
    is_signed_in: bool = False


def current_user() -> Person | Gate:
    """Say who looks at the page, or why they are not let in.

    Raises:
        CatalogProblem: The catalog, which knows the roles, cannot be read.
    """
    return _who(_claims())


def _claims() -> dict[str, Any]:
    """Return what Streamlit knows of whoever looks; only while it runs a page for them."""
    return {} if site.current().config.file.app.sign_in is None else dict(st.user.to_dict())


def _who(claims: Mapping[str, Any]) -> Person | Gate:
    settings = site.current().config.file.app.sign_in
    if settings is None:
        return this_person()
    if not claims.get("is_logged_in"):
        return Gate(title="Sign in to see the backups", sentence="Your organisation's sign-in page opens next.")
    return admit(claims, settings, now=utc_now())


def admit(claims: Mapping[str, Any], settings: SignInSection, *, now: datetime) -> Person | Gate:
    """Judge what a provider says of somebody.

    Args:
        claims: Of the identity token.
        settings: Say how long a sign-in lasts, and what to make of a provider that vouches for nothing.
        now: Aware instant.

    Raises:
        CatalogProblem: The catalog, which knows the roles, cannot be read.
    """
    name = person_name(claims, trust_unverified=settings.trust_unverified_email)
    if not name:
        return Gate(title="Your sign-in names no verified address", sentence=_UNVERIFIED, is_signed_in=True)
    issued = claims.get("iat")
    age_seconds = now.timestamp() - issued if isinstance(issued, int | float) else float("nan")
    if not -_CLOCKS_DIFFER_SECONDS <= age_seconds <= settings.session_age.total_seconds():
        return Gate(title="Your session is over", sentence="Sign in again to go on.")
    role = site.current().catalog().role_of(name)
    if role is None:
        sentence = f"{name} has no role here. An admin gives one: goldcopy people add {name} --role viewer"
        return Gate(title="You may not see this", sentence=sentence, is_signed_in=True)
    return Person(name=name, role=role)


def person_name(claims: Mapping[str, Any], *, trust_unverified: bool = False) -> str:
    """Return the address that a provider vouches for, in lower case; empty where it does not.

    Args:
        claims: Of the identity token.
        trust_unverified: Take a provider that says nothing for one that vouches; a no stays a no.
    """
    address = claims.get("email")
    vouched = claims.get("email_verified", trust_unverified)
    is_vouched = vouched is True or (isinstance(vouched, str) and vouched.lower() == "true")
    return address.strip().lower() if isinstance(address, str) and is_vouched else ""


def require(role: Role) -> Person:
    """Return who acts, if they may; every command calls this first, whatever the page showed.

    Raises:
        NotAllowed: They may not.
    """
    return _require(current_user(), role)


def later(role: Role) -> Callable[[], Person]:
    """Return `require` for whoever looks now, to be called later where Streamlit runs no page: role and age anew.

    Raises:
        NotAllowed: They may not even now.
    """
    require(role)
    claims = _claims()
    return lambda: _require(_who(claims), role)


def _require(found: Person | Gate, role: Role) -> Person:
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
    if gate.is_signed_in:
        st.button("Sign out, to use another account", on_click=st.logout, key="sign_out")
    else:
        st.button("Sign in", on_click=st.login, key="sign_in")
