"""Backup history: which backups are there, and what does each one hold?"""

from datetime import timedelta
from functools import partial

import streamlit as st

from monitor_app import data, dialogs, downloads, site
from monitor_app.components import backup_view, finding, tables
from monitor_app.components.backups import (
    history_columns,
    history_finding,
    history_rows,
    manual_columns,
    manual_rows,
)
from monitor_app.components.choice import choose
from monitor_app.components.text import count, zone
from monitor_app.queries.backups import COUNT_LIMIT, PAGE_SIZE, BackupFilter, Result
from shared.catalog.records import BackupRow
from shared.clock import utc_now
from shared.domain.backup import BackupKind

SPAN_DAYS = 30
ANY = "any"


def main() -> None:
    """Show the page."""
    title = st.container()
    wanted = ask()
    if wanted is None:
        with title:
            finding.page_title("Backup history", "Nothing to show: the address names what is not there")
        return
    number = data.backup_count(wanted)
    with title:
        finding.page_title("Backup history", sentence(number, wanted))
        with st.container(horizontal=True):
            dialogs.back_up_now_button(tuple(sorted(site.current().config.sources)))
            dialogs.log_backup_button()
    if not number:
        nothing(wanted)
    page, place = tables.pager(number, PAGE_SIZE)
    found = data.backups(wanted, page)
    where = zone(st.context.timezone)
    if found:
        with place:
            tables.rows(history_rows(found, where), columns=history_columns(where), alt="Backups, newest first")
    look_into(found)
    made_elsewhere(wanted)


def ask() -> BackupFilter | None:
    """Read the filters; they stand in the URL. None where one of them does not exist."""
    sources = sorted({*data.source_names(), *site.current().config.sources})
    place = st.container()
    with st.container(horizontal=True):
        source = choose("Source", [ANY, *sources], what="source", key="source", problems=place)
        result = choose("Result", [item.value for item in Result], what="result", key="result", problems=place)
        kinds = [ANY, *(item.value for item in BackupKind)]
        kind = choose("Kind", kinds, what="kind", key="kind", problems=place)
        until = st.date_input("Began until (UTC)", value=None, key="until", bind="query-params")
    if not (source.exists and result.exists and kind.exists):
        return None
    return BackupFilter(
        source="" if source.name == ANY else source.name,
        result=Result(result.name or ANY),
        kind="" if kind.name == ANY else kind.name,
        until=until,
    )


def sentence(number: int, wanted: BackupFilter) -> str:
    """Say what the page found."""
    matching = f"{COUNT_LIMIT:,} or more" if number == COUNT_LIMIT else f"{number:,}"
    days = data.fleet_days((utc_now() - timedelta(days=SPAN_DAYS - 1)).date())
    return history_finding(matching, days, SPAN_DAYS, is_filtered=wanted != BackupFilter())


def nothing(wanted: BackupFilter) -> None:
    """Say why the list is empty."""
    if wanted != BackupFilter():
        finding.nothing_here("Nothing matches", "Clear a filter to see more.")
    elif data.source_names():
        finding.nothing_here(
            "No backup yet", "Nothing is protected until the first one:", "goldcopy backup --help", is_bad=True
        )
    else:
        finding.nothing_here("No source yet", "Name a database in goldcopy.toml, then:", "goldcopy check", is_bad=True)


def look_into(found: tuple[BackupRow, ...]) -> None:
    """Let one backup be chosen, and show it."""
    ids = [row.id for row in found]
    linked = st.query_params.get("backup", "")
    if linked and linked not in ids and data.backup(linked):
        ids.insert(0, linked)
    chosen = choose("Look into one backup", ids, what="backup", key="backup", index=None, placeholder="Choose a backup")
    detail = data.backup(chosen.name) if chosen.name and chosen.exists else None
    if detail is not None:
        backup_view.show_backup(
            detail,
            zone(st.context.timezone),
            manifest=downloads.manifest(detail.row.id),
            recovery_kit=downloads.recovery_kit(detail.row.id),
            more_buttons=partial(dialogs.backup_buttons, detail.row.id, detail.holds),
        )


def made_elsewhere(wanted: BackupFilter) -> None:
    """List backups that were made without Goldcopy."""
    found = data.manual_backups(wanted.source)
    if found:
        note = "As somebody told; Goldcopy has not seen them and counts none as protection."
        finding.section(f"{count(len(found), 'backup')} made elsewhere", note)
        where = zone(st.context.timezone)
        tables.rows(manual_rows(found, where), columns=manual_columns(where), alt="Backups made elsewhere")


main()
