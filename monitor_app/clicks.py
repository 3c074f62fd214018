"""From a click to a command: a token per intent, the role asked anew, a message for the next run of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import streamlit as st

from monitor_app import auth, data, site
from monitor_app.actions.command import Done
from monitor_app.components import finding
from monitor_app.site import Site
from shared.clock import monotonic_seconds
from shared.domain.person import Person, Role
from shared.errors import GoldcopyError

FLASH = "flash"
_PROBLEM = "flash-problem"
# The same thing asked for again this soon is an impatient second click, not a second wish.
SAME_CLICK_SECONDS = 10.0
_TOKENS = "tokens"


@dataclass(slots=True)
class _Intent:
    token: str
    done_at_seconds: float | None = None


def run(intent: tuple[str, ...], needs: Role, command: Callable[[Site, Person, str], Done]) -> None:
    """Carry out a command; call this from a widget's callback, which the next click cannot cut.

    Args:
        intent: What is wanted with all its values, such as `("hold", backup_id, reason)`: the same is done once.
        needs: The role that it takes; the command checks again.
        command: Gets the site, who asks, and the token.
    """
    wanted = _intent(intent)
    try:
        done = command(site.current(), auth.require(needs), wanted.token)
    except GoldcopyError as error:
        st.session_state[_PROBLEM] = error
        return
    wanted.done_at_seconds = monotonic_seconds()
    st.session_state[FLASH] = done.message
    data.forget()


def close_when_done(*, submitted: bool) -> None:
    """End a dialog whose command is done; what was refused is told in it, where what was typed can be mended."""
    if submitted and not tell_problem():
        st.rerun()


def tell_problem() -> bool:
    """Say once why the last click was refused; False where it was not."""
    error: GoldcopyError | None = st.session_state.pop(_PROBLEM, None)
    if error is not None:
        finding.problem(error)
    return error is not None


def _intent(intent: tuple[str, ...]) -> _Intent:
    """Return the intent that is being carried out, or begin it; those that are long done are forgotten."""
    now = monotonic_seconds()
    known: dict[tuple[str, ...], _Intent] = st.session_state.setdefault(_TOKENS, {})
    for name, item in list(known.items()):
        if item.done_at_seconds is not None and now - item.done_at_seconds > SAME_CLICK_SECONDS:
            del known[name]
    return known.setdefault(intent, _Intent(uuid4().hex))
