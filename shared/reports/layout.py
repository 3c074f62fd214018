"""What a report is made of, so that HTML, PDF and CSV print the same: headings, sentences and tables."""

from dataclasses import dataclass
from typing import NamedTuple

from shared.domain.control import Status


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: For people.
        value: For CSV; the text where it is None.
        status: Colours the cell, where it tells an answer.
    """

    text: str
    value: str | int | float | None = None
    status: Status | None = None


class Column(NamedTuple):
    """One column; `weight` is its share of the width, numbers stand at the right; `unit` is that of the CSV."""

    title: str
    weight: float = 1.0
    is_number: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: Of its CSV file, without ending.
        caption: What it shows.
        columns: At least one.
        rows: As many cells each as there are columns.
        nothing: What is said where there is no row.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    nothing: str = "None."


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report: a heading, some sentences, a table, and parts of its own."""

    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    status: Status | None = None
    parts: tuple["Section", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The whole report.

    Attributes:
        title: What it found, in one sentence.
        facts: Name and value of what it is about.
        notes: What a reader must know first.
        disclaimer: What it does not claim.
        sections: In reading order.
        tables: What CSV holds: every row, also those that the sections leave out for length.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    disclaimer: str
    sections: tuple[Section, ...]
    tables: tuple[Table, ...]
