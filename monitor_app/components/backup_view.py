"""One backup on the page: what it holds, what it left out on purpose, what proves it, what may be taken away."""

from collections.abc import Callable
from datetime import tzinfo

import streamlit as st

from monitor_app import downloads
from monitor_app.components import finding, tables
from monitor_app.components.backups import backup_facts, hold_words, restore_test_facts, result_words
from monitor_app.components.text import count, esc, free
from monitor_app.queries.backup_detail import TABLE_LIMIT, BackupDetail
from shared.catalog.records import RestoreTestRow
from shared.domain.backup import BackupStatus

ReadBytes = Callable[[], bytes]


def show_backup(
    detail: BackupDetail,
    where: tzinfo,
    *,
    manifest: ReadBytes,
    recovery_kit: ReadBytes,
    more_buttons: Callable[[], None],
) -> None:
    """Show one backup.

    Args:
        detail: What is known of it.
        where: The viewer's time zone.
        manifest: Read when somebody asks for the file.
        recovery_kit: The same.
        more_buttons: Puts the buttons of whoever looks beside those of the files.
    """
    row = detail.row
    finding.section(f"{row.id}: {result_words(row)[2:]}")
    if row.error_message:
        st.error(free(row.error_message), title="Why it failed", icon=":material/error:")
    for warning in (*row.warnings, *([row.anomaly] if row.anomaly else [])):
        st.warning(free(warning), icon=":material/warning:")
    for hold in detail.holds:
        st.markdown(f":material/lock: {esc(hold_words(hold, where))}")
    tables.facts(backup_facts(row, where), alt=f"Facts of backup {row.id}")
    if row.status is BackupStatus.COMPLETE:
        with st.container(horizontal=True):
            _downloads(row.id, manifest, recovery_kit)
            more_buttons()
    _left_out(detail)
    _tables(detail)
    finding.section(_tests_sentence(detail.tests), "A restore test restores to a throwaway server and compares.")
    for number, test in enumerate(detail.tests):
        show_test(test, where, is_open=number == 0)


def show_test(test: RestoreTestRow, where: tzinfo, *, is_open: bool) -> None:
    """Show one restore test as evidence, findings row by row."""
    facts = restore_test_facts(test, where)
    with st.expander(esc(f"{facts['Began']}: {facts['Outcome']}"), expanded=is_open, key=f"test-{test.id}"):
        tables.facts(facts, alt=f"Restore test {test.id}")
        found = [
            {"Check": item.check, "Severity": item.severity.value, "Object": item.object}
            | {"Expected and found": item.message, "Do": item.hint}
            for item in test.findings
        ]
        found += [
            {
                "Check": gap.check,
                "Severity": "not measured",
                "Object": gap.object,
                "Expected and found": gap.reason,
                "Do": "",
            }
            for gap in test.not_measured
        ]
        if found:
            tables.rows(found, alt=f"Findings of restore test {test.id}", key=f"findings-{test.id}")


def _downloads(backup_id: str, manifest: ReadBytes, recovery_kit: ReadBytes) -> None:
    downloads.button(
        "Manifest", manifest, f"{backup_id}.manifest.json", "application/json", icon=":material/description:"
    )
    downloads.button(
        "Recovery kit",
        recovery_kit,
        f"{backup_id}.recovery-kit.zip",
        "application/zip",
        icon=":material/healing:",
        note="recover.sh, its instructions and the list of files: with a copy of the repository and the key it "
        "restores this backup without Goldcopy. Holds no data.",
    )


def _left_out(detail: BackupDetail) -> None:
    excluded = detail.row.excluded
    if not excluded:
        return
    finding.section(f"{count(len(excluded), 'thing')} left out on purpose")
    tables.rows([{"Left out": item.object, "Why": item.reason} for item in excluded], alt="Left out on purpose")


def _tables(detail: BackupDetail) -> None:
    row = detail.row
    if not detail.tables:
        return
    note = f"The largest {TABLE_LIMIT}." if row.table_count > TABLE_LIMIT else ""
    finding.section(f"{count(row.table_count, 'table')}, {count(row.row_count, 'row')}", note)
    shown = [
        {"Table": f"{table.schema}.{table.name}", "Rows": table.rows, "Text MB": table.plain_bytes / 1e6}
        for table in detail.tables
    ]
    columns = {
        "Rows": st.column_config.NumberColumn(format="localized"),
        "Text MB": st.column_config.NumberColumn(format="%.2f"),
    }
    tables.rows(shown, alt="Tables of this backup, largest first", columns=columns, tallest=10)


def _tests_sentence(tests: tuple[RestoreTestRow, ...]) -> str:
    if not tests:
        return "Never restored: nothing proves this backup yet"
    return f"{count(len(tests), 'restore test')}, the last one {restore_outcome(tests[0])}"


def restore_outcome(test: RestoreTestRow) -> str:
    """Say how a restore test ended, in a word or two."""
    return test.outcome.value.replace("_", " ") if test.outcome else "still running"
