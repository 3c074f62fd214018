"""Storage and cost: what does it cost, and where is it going?"""

import streamlit as st

from monitor_app import data, site
from monitor_app.components import finding, storage_view, tables
from monitor_app.components.charts import show
from monitor_app.components.storage_chart import volume_figure
from monitor_app.components.text import esc
from monitor_app.components.theme import palette
from shared.domain.what_if import format_keep_rule, parse_keep_rule
from shared.operations.storage import StorageView

EVERY = "all"
PRICES_EXAMPLE = '[prices]\ncurrency = "EUR"\nstorage_per_gb_month = 0.006\negress_per_gb = 0.01'


def main() -> None:
    """Show the page."""
    title = st.container()
    source = st.selectbox("Source", [EVERY, *data.source_names()], key="source", bind="query-params")
    chosen = "" if source in {EVERY, None} else str(source)
    view = data.storage(chosen)
    with title:
        finding.page_title("Storage and cost", storage_view.storage_sentence(view))
    if not view.stored_bytes:
        finding.nothing_here("Nothing is stored yet", "Take a first backup:", "goldcopy backup --help")
        return
    tables.facts(storage_view.storage_facts(view), alt="Size, growth and cost")
    show_volume(view)
    show_parts(view)
    show_bill(view)
    if chosen in site.current().config.sources:
        show_what_if(chosen)
    else:
        st.caption(esc("Choose a source to see what another retention would keep and cost."))


def show_volume(view: StorageView) -> None:
    """Show the past and the forecast."""
    reason = view.forecast.reason
    note = "Dotted: the forecast, with an interval that holds the truth four times out of five."
    finding.section("No forecast yet" if reason else "Stored over time", reason or note)
    alt = f"Stored bytes over {len(view.history)} days. {storage_view.storage_sentence(view)}"
    show(volume_figure(view.history, view.forecast.points, view.limit_bytes, palette()), alt=alt, key="volume")


def show_parts(view: StorageView) -> None:
    """Show who needs what."""
    if view.source:
        finding.section(
            "What needs it", "An object counts once; what several kinds need would stay without one of them."
        )
        tables.rows(storage_view.kind_rows(view), alt="Stored bytes by what needs them")
        return
    finding.section("The largest sources", "Sources never share objects, so their sizes add up to the whole.")
    columns = storage_view.source_columns(view)
    tables.rows(storage_view.source_rows(view), alt="Sources by stored bytes", columns=columns, tallest=12)


def show_bill(view: StorageView) -> None:
    """Show a month's bill, or how to get one."""
    if view.cost.total is None:
        finding.section("What it costs is not known")
        finding.nothing_here("No price is configured", "Write into goldcopy.toml what your store charges, such as:")
        st.code(PRICES_EXAMPLE, language=None)  # the colours of TOML have too little contrast
        return
    finding.section(
        "A month of 30 days", "At the configured prices; listings, deletions and real restores are left out."
    )
    tables.rows(storage_view.bill_rows(view), alt="What a month costs")


def show_what_if(source: str) -> None:
    """Let another retention be tried; nothing is changed."""
    finding.section(
        "What if retention were different?", "Nothing is changed here: goldcopy.toml is where policy stands."
    )
    rules = site.current().config.source(source).retention
    with st.form("what_if", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        given = {kind: st.text_input(kind.value, format_keep_rule(rule), key=kind.name) for kind, rule in rules.items()}
        st.form_submit_button("Compare", help="A rule is 14d, or age=14d,weekly=4,monthly=12")
    changed = tuple(f"{kind}={text}" for kind, text in given.items() if text != format_keep_rule(rules[kind]))
    if not changed:
        st.caption(esc("Change a rule and compare: 14d, or age=14d,weekly=4,monthly=12."))
        return
    for kind, text in given.items():
        try:
            parse_keep_rule(text)
        except ValueError as error:
            hint = "Write 14d to keep by age, or age=14d,weekly=4,monthly=12."
            st.error(esc(hint), title=esc(f"{text!r} is not a rule for {kind} backups: {error}"))
            return
    found = data.comparison(source, changed)
    st.markdown(f"**{esc(storage_view.comparison_sentence(found))}**")
    if reason := storage_view.damage_sentence(found):
        st.warning(esc(reason))
    tables.rows(storage_view.comparison_rows(found), alt="Both policies side by side")
    if expiring := storage_view.expiry_rows(found):
        tables.rows(expiring, alt="What the next cleanup would expire", tallest=8)


main()
