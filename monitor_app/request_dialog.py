"""The dialogs with which somebody asks for a restore, and says what became of it."""

from functools import partial

import streamlit as st

from monitor_app import auth, clicks, data
from monitor_app.actions.command import LONGEST_REASON
from monitor_app.actions.requests import LONGEST_DESTINATION, ask_for_restore, close_request
from shared.catalog.restore_requests import RequestState, RestoreRequest, RestoreRequestRecord
from shared.domain.person import Role


def ask_button(sources: tuple[str, ...]) -> None:
    """Offer to ask for a restore."""
    if not sources or not auth.may(Role.OPERATOR):
        return
    if st.button("Ask for a restore", icon=":material/restore:", key="open-ask-restore"):
        _ask(sources)


@st.dialog("Ask for a restore", icon=":material/restore:", on_dismiss="rerun")
def _ask(sources: tuple[str, ...]) -> None:
    source = st.selectbox("Source", sources, key="ask-source")
    choices = dict(data.restorable(source)) if source else {}
    if not choices:
        st.warning("This source has no sound backup that could be restored.", icon=":material/warning:")
        return
    with st.form("ask-restore", border=False):
        proven = next((number for number, is_proven in enumerate(choices.values()) if is_proven), 0)
        st.selectbox(
            "Backup",
            list(choices),
            index=proven,
            key=_backup_key(source),
            format_func=lambda name: f"{name} {'(proven)' if choices[name] else '(not proven)'}",
        )
        st.text_area("Tables, schema.table on each line; empty for all", key="ask-tables", height=80)
        st.text_input(
            "Where to",
            key="ask-destination",
            max_chars=LONGEST_DESTINATION,
            required=True,
            help="In words, or as env:NAME; never a password.",
        )
        st.text_input("Reason", key="ask-reason", max_chars=LONGEST_REASON, required=True, help="Kept in the trail.")
        submitted = st.form_submit_button("Ask", on_click=_send, args=(source,))
    clicks.close_when_done(submitted=submitted)


def close_buttons(item: RestoreRequestRecord) -> None:
    """Offer to say that a request was carried out, or is withdrawn."""
    if not auth.may(Role.OPERATOR):
        return
    with st.container(horizontal=True):
        if st.button("Mark as done", icon=":material/check:", key=f"open-done-{item.id}"):
            _close(item.id, RequestState.DONE)
        if st.button("Withdraw", icon=":material/close:", key=f"open-withdraw-{item.id}"):
            _close(item.id, RequestState.REFUSED)


@st.dialog("Close this request", on_dismiss="rerun")
def _close(number: int, state: RequestState) -> None:
    is_done = state is RequestState.DONE
    st.text("It was carried out: say how it went." if is_done else "Nothing is restored for it: say why.")
    with st.form("close-request", border=False):
        st.text_input("Reason", key="close-reason", max_chars=LONGEST_REASON, required=True, help="Kept in the trail.")
        label = "Mark as done" if is_done else "Withdraw"
        submitted = st.form_submit_button(label, on_click=_run_close, args=(number, state))
    clicks.close_when_done(submitted=submitted)


def _run_close(number: int, state: RequestState) -> None:
    reason = _value("close-reason")
    command = partial(close_request, number=number, state=state, reason=reason)
    clicks.run(("close request", str(number), state, reason), Role.OPERATOR, command)


def _backup_key(source: str) -> str:
    """Each source has its own, or the choice made for another one would stay."""
    return f"ask-backup-{source}"


def _send(source: str) -> None:
    request = RestoreRequest(
        source=source,
        backup_id=_value(_backup_key(source)),
        tables=tuple(_value("ask-tables").split()),
        destination=_value("ask-destination").strip(),
        reason=_value("ask-reason").strip(),
    )
    clicks.run(("ask", str(request)), Role.OPERATOR, partial(ask_for_restore, request=request))


def _value(key: str) -> str:
    return str(st.session_state.get(key) or "")
