"""Dialogs that ask for what a command needs, and why; each is for a role, and the command checks it again."""

from datetime import UTC, datetime, time
from functools import partial

import streamlit as st

from monitor_app import auth, clicks, data, site
from monitor_app.actions import backups
from monitor_app.actions.command import LONGEST_REASON
from monitor_app.actions.prefect_runs import prefect_url
from monitor_app.components.text import advice, esc
from shared.catalog.app_records import ManualBackup
from shared.catalog.records import HoldRow
from shared.clock import utc_now
from shared.domain.person import Person, Role
from shared.errors import GoldcopyError

_GIGABYTE = 10**9


def back_up_now_button(sources: tuple[str, ...]) -> None:
    """Offer to take a backup now."""
    if not sources or not auth.may(Role.OPERATOR):
        return
    missing = missing_prefect()
    if st.button(
        "Back up now", icon=":material/backup:", key="open-back-up-now", disabled=bool(missing), help=missing or None
    ):
        _back_up_now(sources)


def missing_prefect() -> str:
    """Say why nothing can be started from here; empty where a Prefect server is known."""
    try:
        prefect_url(site.current().config)
    except GoldcopyError as error:
        return f"{esc(error.message[:1].upper() + error.message[1:])}. {advice(error.hint)}"
    return ""


def log_backup_button() -> None:
    """Offer to log a backup that was made elsewhere."""
    if not auth.may(Role.OPERATOR):
        return
    if st.button("Log a backup made elsewhere", icon=":material/edit_note:", key="open-log-backup"):
        _log_backup()


def backup_buttons(backup_id: str, holds: tuple[HoldRow, ...]) -> None:
    """Offer what can be done with one complete backup: test it, hold it, release a hold."""
    user = auth.current_user()
    if not isinstance(user, Person) or not user.role.may(Role.OPERATOR):
        return
    missing = missing_prefect()
    if st.button(
        "Run a restore test",
        icon=":material/labs:",
        key="open-restore-test",
        disabled=bool(missing),
        help=missing or None,
    ):
        _restore_test(backup_id)
    in_force = [hold for hold in holds if hold.released_at is None]
    if all(hold.owner != user.name for hold in in_force) and st.button("Hold", icon=":material/lock:", key="open-hold"):
        _hold(backup_id)
    for hold in in_force:
        mine = hold.owner == user.name
        label = "Release my hold" if mine else f"Release the hold of {hold.owner}"
        if (mine or user.role.may(Role.ADMIN)) and st.button(
            esc(label), icon=":material/lock_open:", key=f"open-release-{hold.id}"
        ):
            _release(backup_id, hold.owner)


@st.dialog("Back up now", icon=":material/backup:", on_dismiss="rerun")
def _back_up_now(sources: tuple[str, ...]) -> None:
    st.text("Prefect's worker takes it as soon as the source is free.")
    with st.form("back-up-now", border=False):
        st.selectbox("Source", sources, key="back-up-source")
        _reason_input("back-up-reason")
        submitted = st.form_submit_button("Back up", on_click=_back_up)
    clicks.close_when_done(submitted=submitted)


def _back_up() -> None:
    source, reason = _value("back-up-source"), _value("back-up-reason")
    command = partial(backups.back_up_now, source=source, reason=reason)
    clicks.run(("back up", source, reason), Role.OPERATOR, command)


@st.dialog("Run a restore test", icon=":material/labs:", on_dismiss="rerun")
def _restore_test(backup_id: str) -> None:
    st.text(f"{backup_id} is restored to a throwaway server and compared with what the source held.")
    with st.form("restore-test", border=False):
        _reason_input("restore-test-reason")
        submitted = st.form_submit_button("Run it", on_click=_test, args=(backup_id,))
    clicks.close_when_done(submitted=submitted)


def _test(backup_id: str) -> None:
    command = partial(backups.run_restore_test, subject=backup_id, reason=_value("restore-test-reason"))
    clicks.run(("test", backup_id), Role.OPERATOR, command)


@st.dialog("Hold this backup", icon=":material/lock:", on_dismiss="rerun")
def _hold(backup_id: str) -> None:
    st.text(f"{backup_id} does not expire until you, or an admin, release it.")
    with st.form("hold", border=False):
        _reason_input("hold-reason")
        submitted = st.form_submit_button("Hold", on_click=_place_hold, args=(backup_id,))
    clicks.close_when_done(submitted=submitted)


def _place_hold(backup_id: str) -> None:
    reason = _value("hold-reason")
    clicks.run(("hold", backup_id), Role.OPERATOR, partial(backups.place_hold, backup_id=backup_id, reason=reason))


@st.dialog("Release a hold", icon=":material/lock_open:", on_dismiss="rerun")
def _release(backup_id: str, owner: str) -> None:
    st.text(f"{backup_id} may expire again when its time comes.")
    with st.form("release", border=False):
        _reason_input("release-reason")
        submitted = st.form_submit_button("Release", on_click=_release_hold, args=(backup_id, owner))
    clicks.close_when_done(submitted=submitted)


def _release_hold(backup_id: str, owner: str) -> None:
    command = partial(backups.release_hold, backup_id=backup_id, owner=owner, reason=_value("release-reason"))
    clicks.run(("release", backup_id, owner), Role.OPERATOR, command)


@st.dialog("Log a backup made elsewhere", icon=":material/edit_note:", on_dismiss="rerun")
def _log_backup() -> None:
    st.text("It is shown in the history, and never counted as protection: Goldcopy has not seen it.")
    now = utc_now()
    with st.form("log-backup", border=False):
        st.selectbox("Source", data.source_names(), key="log-source", accept_new_options=True, required=True)
        st.date_input("Data of (UTC day)", value=now.date(), max_value=now.date(), key="log-day")
        st.time_input("at (UTC)", value=time(now.hour, now.minute), key="log-time", required=True)
        st.text_input("Where it lies", key="log-place", max_chars=LONGEST_REASON, required=True)
        st.number_input(
            "Size in GB",
            min_value=0.0,
            max_value=backups.MOST_BYTES / _GIGABYTE,
            step=0.1,
            format="%.3f",
            key="log-size",
            required=True,
        )
        _reason_input("log-reason")
        submitted = st.form_submit_button("Log backup", on_click=_log)
    clicks.close_when_done(submitted=submitted)


def _log() -> None:
    state = st.session_state
    backup = ManualBackup(
        source=_value("log-source"),
        taken_at=datetime.combine(state["log-day"], state["log-time"], UTC),
        place=_value("log-place"),
        stored_bytes=round(float(state.get("log-size") or 0) * _GIGABYTE),
        reason=_value("log-reason"),
    )
    command = partial(backups.log_manual_backup, backup=backup)
    clicks.run(("log", str(backup)), Role.OPERATOR, command)


def _reason_input(key: str) -> None:
    st.text_input("Reason", key=key, max_chars=LONGEST_REASON, required=True, help="Kept in the audit trail.")


def _value(key: str) -> str:
    return str(st.session_state.get(key) or "")
