"""Dialogs with which somebody takes a finding, or says why it is no trouble."""

from functools import partial

import streamlit as st

from monitor_app import auth, clicks
from monitor_app.actions import findings
from monitor_app.actions.command import LONGEST_REASON
from monitor_app.queries.findings import Finding, FindingKind, FindingState
from shared.domain.person import Role


def acknowledge_button(item: Finding) -> None:
    """Offer to acknowledge what can be: an incident is taken, an anomaly is no trouble; a check has to pass."""
    if not item.id or item.state is not FindingState.OPEN or not auth.may(Role.OPERATOR):
        return
    if st.button("Acknowledge", icon=":material/front_hand:", key=f"open-acknowledge-{item.kind}-{item.id}"):
        _acknowledge(item)


@st.dialog("Acknowledge", icon=":material/front_hand:", on_dismiss="rerun")
def _acknowledge(item: Finding) -> None:
    if item.kind is FindingKind.INCIDENT:
        st.text("You take it: reminders and escalation stop, until something worse or new comes.")
    else:
        st.text("You say that it is no trouble: what was found is normal from now on, and colours nothing any more.")
    with st.form("acknowledge", border=False):
        st.text_input("Reason", key="ack-reason", max_chars=LONGEST_REASON, required=True, help="Kept, with your name.")
        submitted = st.form_submit_button("Acknowledge", on_click=_run, args=(item.kind, item.id))
    clicks.close_when_done(submitted=submitted)


def _run(kind: FindingKind, finding_id: str) -> None:
    reason = str(st.session_state.get("ack-reason") or "")
    command = (
        partial(findings.acknowledge_incident, incident_id=finding_id, reason=reason)
        if kind is FindingKind.INCIDENT
        else partial(findings.acknowledge_anomaly, number=int(finding_id), reason=reason)
    )
    clicks.run(("acknowledge", kind, finding_id, reason), Role.OPERATOR, command)
