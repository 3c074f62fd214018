"""The app's script: page settings, sign-in, menu, how old the facts are; then the page that was asked for."""

import logging
from pathlib import Path

import streamlit as st

from monitor_app import auth, clicks, data, navigation
from monitor_app.components import finding
from monitor_app.components.text import advice, esc, instant, plain, zone
from monitor_app.freshness import Freshness
from shared.clock import utc_now
from shared.config.load import wants_traceback
from shared.domain.person import Person
from shared.errors import CatalogProblem, GoldcopyError

ICON = str(Path(__file__).with_name("icon.png"))
_LOG = logging.getLogger(__name__)


def main() -> None:
    """Let people in, and show them their page; nobody ever sees a stack trace."""
    # Before anything that can fail; and a page's own icon would be fetched from a host outside.
    st.set_page_config(page_title="Goldcopy", page_icon=ICON, layout="wide")
    try:
        user = auth.current_user()
    except GoldcopyError as error:
        _show_outage(error)
        return
    if isinstance(user, auth.Gate):
        auth.show_gate(user)
        return
    page = st.navigation(_menu(user))
    st.set_page_config(page_title=f"Goldcopy: {page.title}")
    _sidebar(user)
    _flash()
    try:
        _banner([data.freshness()])
        page.run()
    except CatalogProblem as error:
        _show_outage(error)
    except GoldcopyError as error:
        finding.problem(error)
    except Exception as error:
        if wants_traceback():
            raise
        _LOG.exception("page failed: %s", page.url_path)
        kind = type(error).__name__
        finding.problem(
            GoldcopyError(
                f"this page cannot be shown ({kind}): a mistake in Goldcopy",
                hint="The other pages still work; the app's log has the details. Please report them.",
            )
        )


def _menu(user: Person) -> list[st.Page]:
    return [
        st.Page(page.path, title=page.title, icon=page.icon, url_path=page.address, help=page.question)
        for page in navigation.PAGES
        if user.role.may(page.role)
    ]


def _sidebar(user: Person) -> None:
    where = st.context.timezone
    with st.sidebar:
        st.caption("**Goldcopy**")
        st.caption(esc(f"Times in {zone(where)}. Stored in UTC."))
        st.text(plain(f"{user.name}, {user.role}"))
        if user.is_signed_in:
            st.button("Sign out", on_click=st.logout, key="sign_out")


def _flash() -> None:
    """Say what the last click did, once."""
    if message := st.session_state.pop(clicks.FLASH, None):
        st.toast(esc(message), icon=":material/check_circle:", duration="long")
    clicks.tell_problem()


@st.fragment(run_every="60s")
def _banner(known: list[Freshness]) -> None:
    """Say on every page when the facts are old, or were never real; by itself, also on a page that is left open.

    Args:
        known: What the run of the page has found, taken from it; from then on the catalog is asked every minute.
    """
    try:
        fresh = known.pop() if known else data.freshness()
        is_generated = data.generated()
    except CatalogProblem as error:
        st.error(
            esc(f"{error.message}. What stands below was read before."),
            title=esc("Not known any more: the catalog cannot be read"),
            icon=":material/cloud_off:",
        )
        return
    if fresh.is_stale and fresh.at is not None:
        title = f"{fresh.title} {instant(fresh.at, zone(st.context.timezone))}"
        st.warning(esc(fresh.sentence), title=esc(title), icon=":material/history_toggle_off:")
    if is_generated:
        st.info("No database stands behind these sources.", title="Generated for trying", icon=":material/science:")


def _show_outage(error: GoldcopyError) -> None:
    """Say that nothing is known, and show no number at all."""
    _LOG.error("catalog: %s", error)
    st.title("Not known: the catalog cannot be read", anchor=False)
    finding.problem(error)
    said = (
        f"Nothing is shown, because nothing is known ({utc_now():%Y-%m-%d %H:%M} UTC). Backups may well go on: they "
        "are in the repository, and `goldcopy rebuild-catalog` makes a lost catalog anew."
    )
    st.markdown(advice(said))


main()
