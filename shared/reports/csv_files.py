"""Print a report as CSV, one file a table, so that no spreadsheet takes a name for a formula."""

import csv
import io
from collections.abc import Iterator, Sequence

from shared.reports.layout import Cell, Content, Table
from shared.reports.plain_text import visible

# Spreadsheets read what begins with these as a formula, the full-width forms included.
_FORMULA = tuple("=+-@|%") + tuple("＝＋－＠")


def csv_files(content: Content) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every file: what the report is about, then one for each table."""
    about = [("title", content.title), *content.facts, *(("note", note) for note in content.notes)]
    yield "about.csv", printed([("name", "value"), *about, ("disclaimer", content.disclaimer)])
    for table in content.tables:
        yield f"{table.name}.csv", _table(table)


def _table(table: Table) -> bytes:
    titles = tuple(column.title for column in table.columns)
    rows = [tuple(_value(cell) for cell in row) for row in table.rows]
    units = [f"_{column.unit}" if column.unit else "" for column in table.columns]
    return printed([[f"{title}{unit}" for title, unit in zip(_unique(titles), units, strict=True)], *rows])


def _unique(titles: tuple[str, ...]) -> tuple[str, ...]:
    """Name a column after the one before it where its own title comes twice, such as `Worst exposure: Limit`."""
    return tuple(
        f"{titles[place - 1]}: {title}" if titles.count(title) > 1 else title for place, title in enumerate(titles)
    )


def _value(cell: Cell) -> str | int | float:
    return cell.text if cell.value is None else cell.value


def printed(rows: Sequence[Sequence[str | int | float]]) -> bytes:
    """Return rows as a CSV file in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([harmless(value) if isinstance(value, str) else value for value in row])
    # The mark at the beginning tells Excel that it is UTF-8.
    return text.getvalue().encode("utf-8-sig")


def harmless(text: str) -> str:
    """Return text that a spreadsheet shows as it is; what could be a formula gets an apostrophe in front."""
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
