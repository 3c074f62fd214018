r"""Print a report as PDF with embedded fonts; the same content gives the same bytes, whenever and wherever.

Of the fonts only what is used gets embedded. They hold Latin, Greek, Cyrillic and many signs; any other character is
printed as its number, such as `\u4e2d`, rather than as an empty box. HTML and CSV have the character itself.
"""

import io
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    LongTable,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)

from shared.domain.control import Status
from shared.reports.layout import Cell, Content, Section, Table
from shared.reports.plain_text import visible

# A page holds some thirty rows; nobody leafs through more, and each costs time.
ROWS_SHOWN = 100
CELL_LENGTH = 400
_FONTS = Path(__file__).with_name("fonts")
_REGULAR, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_PAGE = landscape(A4)
_MARGIN, _FOOTER = 14 * mm, 8 * mm
# A heading never stands alone at the foot of a page; with a table kept whole instead, pages would stay half empty.
_ROOM_BELOW_HEADING = 32 * mm
_WIDTH = _PAGE[0] - 2 * _MARGIN
_TEXT, _MUTED, _RULE, _LINE = (HexColor(code) for code in ("#16202e", "#4a5565", "#aab4c2", "#e3e7ec"))
_COLOURS = {Status.MET: "#1f5f99", Status.NOT_MET: "#7f1d1d", Status.NOT_MEASURED: "#4a5565"}
_GLYPHS = {Status.MET: "✓", Status.NOT_MET: "✕", Status.NOT_MEASURED: "?"}


def pdf_file(content: Content, *, organisation: str = "") -> bytes:
    """Return the whole document."""
    _register_fonts()
    target = io.BytesIO()
    document = BaseDocTemplate(
        target,
        pagesize=_PAGE,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=_plain(content.title),
        author=_plain(organisation or "Goldcopy"),
        subject="Backup compliance report",
        creator="Goldcopy",
        lang="en",
        invariant=1,  # no clock, no random id
    )
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, _PAGE[1] - 2 * _MARGIN, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate("page", [frame]))
    document.build(list(_flowables(content)), canvasmaker=partial(_NumberedCanvas, footer=_plain(content.title)))
    return target.getvalue()


class _NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Prints `page 2 of 7` on every page, which is known only at the end."""

    def __init__(self, *args: Any, footer: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._footer = footer
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        """Keep the page until the number of pages is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Print all pages with their numbers."""
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self.setFont(_REGULAR, 7)
            self.setFillColor(_MUTED)
            self.drawString(_MARGIN, _FOOTER, self._footer)
            self.drawRightString(_PAGE[0] - _MARGIN, _FOOTER, f"page {number} of {len(self._pages)}")
            super().showPage()
        super().save()


class _Heading(Paragraph):  # type: ignore[misc]  # reportlab has no types
    """A heading that stands in the document's outline too."""

    def __init__(self, text: str, style: ParagraphStyle, key: str) -> None:
        super().__init__(_markup(text), style)
        self._title, self._key = _plain(text), key

    def draw(self) -> None:
        """Draw it, and enter it into the outline."""
        self.canv.bookmarkPage(self._key)
        self.canv.addOutlineEntry(self._title, self._key, level=0, closed=False)
        super().draw()


def _style(name: str, size: float, **options: Any) -> ParagraphStyle:
    values: dict[str, Any] = {"fontName": _REGULAR, "fontSize": size, "leading": size * 1.35, "textColor": _TEXT}
    return ParagraphStyle(name, **(values | options))


_TITLE = _style("title", 17, fontName=_BOLD, spaceAfter=6)
_H2 = _style("h2", 12, fontName=_BOLD, spaceBefore=12, spaceAfter=4)
_H3 = _style("h3", 9, fontName=_BOLD, spaceBefore=8, spaceAfter=2)
_BODY = _style("body", 8.5, spaceAfter=2)
_QUIET = _style("quiet", 8.5, textColor=_MUTED, spaceAfter=2)
_NOTE = _style("note", 8.5, leftIndent=8, bulletIndent=0)
_HEAD = _style("head", 7.2, fontName=_BOLD)
_HEAD_RIGHT = _style("head-right", 7.2, fontName=_BOLD, alignment=TA_RIGHT)
_CELL = _style("cell", 7.2)
_CELL_RIGHT = _style("cell-right", 7.2, alignment=TA_RIGHT)


def _flowables(content: Content) -> Iterator[Flowable]:
    yield Paragraph("Backup compliance report", _QUIET)
    yield Paragraph(_markup(content.title), _TITLE)
    for name, value in content.facts:
        yield Paragraph(
            f'<font color="{_COLOURS[Status.NOT_MEASURED]}">{_markup(name)}:</font> {_markup(value)}', _BODY
        )
    if content.notes:
        yield Paragraph("Read this first", _H3)
        yield from (Paragraph(_markup(note), _NOTE, bulletText="•") for note in content.notes)
    yield Spacer(1, 4)
    yield Paragraph(_markup(content.disclaimer), _QUIET)
    for number, section in enumerate(content.sections):
        yield CondPageBreak(_ROOM_BELOW_HEADING)
        yield _Heading(section.title, _H2, f"section-{number}")
        yield from _section(section)


def _section(section: Section) -> Iterator[Flowable]:
    sentences = [_markup(sentence) for sentence in section.sentences]
    if section.status and sentences:
        mark = f"{_GLYPHS[section.status]} {section.status}"
        sentences[0] = f'<font name="{_BOLD}" color="{_COLOURS[section.status]}">{mark}</font> · {sentences[0]}'
    yield from (Paragraph(sentence, _BODY) for sentence in sentences)
    if section.table:
        yield from _table(section.table)
    for part in section.parts:
        yield CondPageBreak(_ROOM_BELOW_HEADING)
        yield Paragraph(_markup(part.title), _H3)
        yield from _section(part)


def _table(table: Table) -> Iterator[Flowable]:
    if not table.rows:
        yield Paragraph(_markup(table.nothing), _BODY)
        return
    whole = sum(column.weight for column in table.columns)
    widths = [_WIDTH * column.weight / whole for column in table.columns]
    head = [Paragraph(_markup(item.title), _HEAD_RIGHT if item.is_number else _HEAD) for item in table.columns]
    rows = [
        [_cell(cell, is_number=item.is_number) for cell, item in zip(row, table.columns, strict=True)]
        for row in table.rows[:ROWS_SHOWN]
    ]
    yield LongTable([head, *rows], colWidths=widths, repeatRows=1, style=_TABLE_STYLE, spaceBefore=3, spaceAfter=4)
    if len(table.rows) > ROWS_SHOWN:
        yield Paragraph(f"{len(table.rows) - ROWS_SHOWN:,} more rows are in the CSV files.", _BODY)


_TABLE_STYLE = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 7),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ("LINEBELOW", (0, 0), (-1, 0), 1, _RULE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, _LINE),
    ]
)


def _cell(cell: Cell, *, is_number: bool) -> Paragraph:
    shown = _plain(cell.text)
    # A row cannot go on over the page, so no cell may become higher than one; HTML and CSV hold the whole.
    text = escape(shown if len(shown) <= CELL_LENGTH else f"{shown[: CELL_LENGTH - 1]}…")
    if cell.status:
        return Paragraph(f'<font name="{_BOLD}" color="{_COLOURS[cell.status]}">{text}</font>', _CELL)
    return Paragraph(text, _CELL_RIGHT if is_number else _CELL)


def _markup(text: str) -> str:
    """Return text for a Paragraph, which reads XML."""
    return escape(_plain(text))


def _plain(text: str) -> str:
    known = _known_characters()
    return "".join(char if char in known else char.encode("unicode_escape").decode() for char in visible(text))


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[str]:
    """Return the characters that both fonts can print."""
    _register_fonts()
    faces = [pdfmetrics.getFont(name).face.charToGlyph for name in (_REGULAR, _BOLD)]
    return frozenset(chr(code) for code in set(faces[0]) & set(faces[1]))


@lru_cache(maxsize=1)
def _register_fonts() -> None:
    for name in (_REGULAR, _BOLD):
        pdfmetrics.registerFont(TTFont(name, str(_FONTS / f"{name}.ttf")))
