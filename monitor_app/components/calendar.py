"""The calendar: one cell a day in columns of weeks, as a real table that is read aloud and follows the theme."""

from collections.abc import Sequence
from datetime import date, timedelta

import streamlit as st

from monitor_app.components.strip import CELL_CLASSES, CELL_STYLE, GLYPHS
from monitor_app.components.text import html_text
from shared.domain.heartbeat import BAD_DAYS, DayState

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STYLE = f"""<style>
.gc-scroll{{overflow-x:auto}}
.gc-calendar{{border-collapse:separate;border-spacing:2px;font-size:.75rem}}
.gc-calendar th{{font-weight:400;text-align:left;padding:0 .3rem 0 0;white-space:nowrap}}
.gc-calendar thead th{{padding:0;max-width:1rem;overflow:visible}}
.gc-calendar td{{min-width:1rem;width:1rem;height:1rem;line-height:1rem}}
{CELL_STYLE.replace("CLASS", ".gc-calendar")}
</style>"""


def show_calendar(days: Sequence[date], states: Sequence[DayState], *, caption: str) -> None:
    """Show the calendar; `days` follow each other, oldest first."""
    st.html(calendar_html(days, states, caption=caption))


def calendar_html(days: Sequence[date], states: Sequence[DayState], *, caption: str) -> str:
    """Return the calendar as HTML; bad days are said aloud, the others counted."""
    state_of = dict(zip(days, states, strict=True))
    first = days[0] - timedelta(days=days[0].weekday())
    weeks = [first + timedelta(weeks=number) for number in range((days[-1] - first).days // 7 + 1)]
    body = "".join(_row(number, weeks, state_of) for number in range(7))
    return (
        f'{_STYLE}<div class="gc-scroll" role="region" tabindex="0" aria-label="{html_text(caption)}">'
        f'<table class="gc-calendar"><caption>{html_text(caption)}: {html_text(_summary(state_of))}</caption>'
        f'<thead aria-hidden="true"><tr><td></td>{_months(weeks)}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(weekday: int, weeks: Sequence[date], state_of: dict[date, DayState]) -> str:
    cells = "".join(_cell(week + timedelta(days=weekday), state_of) for week in weeks)
    bad = [week + timedelta(days=weekday) for week in weeks]
    named = ", ".join(f"{day:%d %b} {state_of[day]}" for day in bad if state_of.get(day) in BAD_DAYS)
    spoken = f'<span class="v">: {html_text(named or "none bad")}</span>'
    # Every other name is enough for the eye; all are there for the ear.
    shown = _DAYS[weekday] if weekday % 2 == 0 else f'<span class="v">{_DAYS[weekday]}</span>'
    return f'<tr><th scope="row">{shown}{spoken}</th>{cells}</tr>'


def _cell(day: date, state_of: dict[date, DayState]) -> str:
    state = state_of.get(day)
    if state is None:
        return '<td aria-hidden="true"></td>'
    return f'<td aria-hidden="true" class="{CELL_CLASSES[state]}" title="{day:%d %b %Y}: {state}">{GLYPHS[state]}</td>'


def _months(weeks: Sequence[date]) -> str:
    names = []
    for number, week in enumerate(weeks):
        begins = number == 0 or week.month != weeks[number - 1].month
        # A name takes three columns: the first month is left unnamed where the next one begins too soon.
        crowded = number == 0 and len(weeks) > 2 and any(item.month != week.month for item in weeks[1:3])
        names.append(f"<th>{week:%b}</th>" if begins and not crowded else "<th></th>")
    return "".join(names)


def _summary(state_of: dict[date, DayState]) -> str:
    bad = sum(state in BAD_DAYS for state in state_of.values())
    return f"{len(state_of)} days, {bad or 'none'} bad"
