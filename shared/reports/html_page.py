"""Print a report as one HTML page that needs nothing else: no script, no font, no image, no request to anywhere."""

import html
from collections.abc import Iterator

from shared.domain.control import Status
from shared.reports.layout import Cell, Content, Section, Table
from shared.reports.plain_text import visible

ROWS_SHOWN = 500
_CLASS = {Status.MET: "met", Status.NOT_MET: "unmet", Status.NOT_MEASURED: "unknown"}
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; color: #16202e; background: #fff;
  max-width: 72rem; margin: 2rem auto; padding: 0 1.25rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .25rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; border-bottom: 2px solid #d5dbe3; padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .35rem 0; max-width: 60rem; }
.kind { color: #4a5565; margin: 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.25rem; margin: 1rem 0; }
dt { color: #4a5565; } dd { margin: 0; overflow-wrap: anywhere; }
.notes { border-left: 4px solid #d97706; padding: .25rem .9rem; background: #fff8ee; margin: 1rem 0; }
.notes ul { margin: .25rem 0; padding-left: 1.1rem; }
.disclaimer { color: #4a5565; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; font-size: .87rem; }
caption { text-align: left; color: #4a5565; padding: .2rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid #e3e7ec;
  overflow-wrap: anywhere; }
thead th { border-bottom: 2px solid #aab4c2; white-space: nowrap; overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.met { color: #1f5f99; font-weight: 600; white-space: nowrap; }
.unmet { color: #7f1d1d; font-weight: 700; white-space: nowrap; }
.unknown { color: #4a5565; font-weight: 600; white-space: nowrap; }
@media screen and (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  .scroll table { min-width: 46rem; } }
footer { color: #4a5565; margin-top: 3rem; border-top: 1px solid #d5dbe3; padding-top: .5rem; font-size: .85rem; }
@page { size: A4 landscape; margin: 14mm; }
@media print { body { max-width: none; margin: 0; padding: 0; font-size: 11px; } .scroll { overflow: visible; }
  thead { display: table-header-group; } tr, h2, h3, dl, .notes { break-inside: avoid; }
  h2, h3 { break-after: avoid; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(content: Content) -> bytes:
    """Return the whole page."""
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in content.facts)
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(content.title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<header>",
        '<p class="kind">Backup compliance report</p>',
        f"<h1>{_text(content.title)}</h1>",
        f"<dl>{facts}</dl>",
        *_notes(content.notes),
        f'<p class="disclaimer">{_text(content.disclaimer)}</p>',
        "</header>",
        "<main>",
        *(line for section in content.sections for line in _section(section, 2)),
        "</main>",
        "<footer>Made by Goldcopy from recorded facts. SHA256SUMS beside this file holds its digest.</footer>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode("utf-8")


def _text(value: str) -> str:
    return html.escape(visible(value), quote=True)


def _notes(notes: tuple[str, ...]) -> Iterator[str]:
    if notes:
        listed = "".join(f"<li>{_text(note)}</li>" for note in notes)
        yield f'<div class="notes"><p><strong>Read this first</strong></p><ul>{listed}</ul></div>'


def _section(section: Section, level: int) -> Iterator[str]:
    yield "<section>"
    yield f"<h{level}>{_text(section.title)}</h{level}>"
    sentences = [_text(sentence) for sentence in section.sentences]
    if section.status and sentences:
        glyph = {Status.MET: "✓", Status.NOT_MET: "✕", Status.NOT_MEASURED: "?"}[section.status]
        sentences[0] = f'<span class="{_CLASS[section.status]}">{glyph} {section.status}</span> · {sentences[0]}'
    yield from (f"<p>{sentence}</p>" for sentence in sentences)
    if section.table:
        yield from _table(section.table)
    for part in section.parts:
        yield from _section(part, level + 1)
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield f"<p>{_text(table.nothing)}</p>"
        return
    numbers = [' class="number"' if column.is_number else "" for column in table.columns]
    heads = zip(table.columns, numbers, strict=True)
    titles = "".join(f'<th scope="col"{number}>{_text(column.title)}</th>' for column, number in heads)
    # Focusable, so that a keyboard can scroll a wide table on a narrow screen.
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(table.caption)}">'
    yield f"<table><caption>{_text(table.caption)}</caption><thead><tr>{titles}</tr></thead><tbody>"
    for row in table.rows[:ROWS_SHOWN]:
        yield f"<tr>{''.join(_cell(cell, number) for cell, number in zip(row, numbers, strict=True))}</tr>"
    yield "</tbody></table></div>"
    if len(table.rows) > ROWS_SHOWN:
        yield f"<p>{len(table.rows) - ROWS_SHOWN:,} more rows are in the CSV files.</p>"


def _cell(cell: Cell, number: str) -> str:
    if cell.status:
        return f'<td><span class="{_CLASS[cell.status]}">{_text(cell.text)}</span></td>'
    return f"<td{number}>{_text(cell.text)}</td>"
