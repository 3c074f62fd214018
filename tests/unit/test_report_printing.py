"""A printed report: the same bytes for the same facts, whole in every form, and harmless whatever names hold."""

import csv
import hashlib
import io
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from shared.domain.compliance import ComplianceReport, judge_period
from shared.domain.compliance_facts import PastAction
from shared.reports.content import compose
from shared.reports.csv_files import csv_files, harmless
from shared.reports.html_page import html_page
from shared.reports.pdf_file import pdf_file
from shared.reports.printing import ReportFile, print_report, report_name, zipped
from tests.support.compliance_facts import OCTOBER, failure, incident, quiet_month, quiet_source, without

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "</para><font color=red>",
    "&lt;b&gt; \x1b[31m\u202egnp.exe\u200b",
    "名前 Žofia 😀 \ud800",
    "-2+3\r\nnext,line",
)


def at(day: int) -> datetime:
    return datetime(2026, 10, day, 2, tzinfo=UTC)


def troubled(text: str = "the disk is full") -> ComplianceReport:
    """A report in which a text from outside stands wherever one can."""
    record = without(quiet_source(), at(5), at(6))
    record = replace(record, attempts=(*record.attempts, failure(at(6), text)))
    action = PastAction(seq=1, at=at(3), actor=text, action="restore.passed", object=text, reason=text)
    known = incident(1, at(6), acknowledged_at=at(7), acknowledged_by=text, reason=text)
    tests = tuple(replace(test, findings=(text,)) for test in record.tests)
    facts = quiet_month(replace(record, tests=tests), actions=(action,), incidents=(known,), organisation=text)
    return judge_period(facts)


def files_of(report: ComplianceReport) -> dict[str, bytes]:
    return {item.name: item.data for item in print_report(report)}


def test_the_same_facts_give_the_same_bytes_in_another_process_too() -> None:
    report = troubled()
    program = (
        "from tests.unit.test_report_printing import troubled\n"
        "from shared.reports.printing import print_report\n"
        "print(''.join(item.sha256 for item in print_report(troubled())))"
    )
    # Other salts of hashes and another time zone: neither may show.
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=120
    )

    assert other.stdout.strip() == "".join(item.sha256 for item in print_report(report))
    assert zipped(print_report(report), "r") == zipped(print_report(troubled()), "r")


def test_other_facts_give_other_bytes_in_every_form() -> None:
    one, other = files_of(troubled()), files_of(troubled("another text"))

    assert one["report.html"] != other["report.html"]
    assert one["report.pdf"] != other["report.pdf"]
    assert one["csv/exceptions.csv"] != other["csv/exceptions.csv"]


def test_digests_cover_every_file() -> None:
    files = files_of(troubled())
    lines = [line.split("  ") for line in files.pop("SHA256SUMS").decode().splitlines()]
    listed = {name: digest for digest, name in lines}

    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_the_zip_holds_every_file_in_one_folder() -> None:
    files = print_report(troubled())
    with zipfile.ZipFile(io.BytesIO(zipped(files, "goldcopy-report-2026-10"))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(f"goldcopy-report-2026-10/{name}") for name in files_of(troubled())} == {
            item.name: item.data for item in files
        }


class Reader(HTMLParser):
    """Collects elements and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read_html(data: bytes) -> Reader:
    reader = Reader()
    reader.feed(data.decode())
    return reader


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_from_outside_stays_text_in_html(payload: str) -> None:
    usual, read = (read_html(html_page(compose(report))) for report in (troubled(), troubled(payload)))

    assert read.tags == usual.tags
    assert [name for name, _ in read.attributes] == [name for name, _ in usual.attributes]
    assert not re.search("[\x00-\x09\x0b-\x1f\u200b\u202e]", read.text)


def test_html_needs_nothing_from_anywhere() -> None:
    page = html_page(compose(troubled())).decode()

    assert "default-src 'none'" in page
    assert re.findall(r"\s(?:src|href|style)=|url\(|@import|<script|<link|<img", page) == []


def test_html_has_what_screen_readers_need() -> None:
    read = read_html(html_page(compose(troubled())))

    assert ("lang", "en") in read.attributes
    assert read.tags.count("h1") == 1
    assert read.tags.count("table") == read.tags.count("caption") == read.tags.count("thead")
    assert {"main", "header", "footer"} <= set(read.tags)
    headings = [int(tag[1]) for tag in read.tags if re.fullmatch("h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings))
    # An answer is never told by its colour alone.
    assert "✕ not met" in read.text
    assert "✓ met" in read.text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_spreadsheet_reads_text_from_outside_as_a_formula(payload: str) -> None:
    files = dict(csv_files(compose(troubled(payload))))
    for data in files.values():
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert len(set(rows[0])) == len(rows[0])
        for cell in (cell for row in rows for cell in row):
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))
            assert "\n" not in cell
    assert len(files["actions.csv"].decode("utf-8-sig").splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "shown"), [(" =1", "' =1"), ("＝1", "'＝1"), ("a=1", "a=1"), ("", ""), ("\t=1", "\\t=1"), ("–", "–")]
)
def test_only_what_could_be_a_formula_is_marked(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize("payload", PAYLOADS)
def test_pdf_is_made_whatever_text_comes(payload: str) -> None:
    data = pdf_file(compose(troubled(payload)), organisation=payload)

    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert b"/JavaScript" not in data


@pytest.mark.parametrize("payload", ["停" * 500, "\u202e" * 500, "\U0001f600" * 2000, "A" * 20_000, "a b " * 9000])
def test_pdf_is_made_however_long_a_text_becomes_in_print(payload: str) -> None:
    assert pdf_file(compose(troubled(payload)), organisation=payload[:100]).rstrip().endswith(b"%%EOF")


def test_pdf_embeds_its_fonts_and_names_no_clock() -> None:
    data = pdf_file(compose(troubled()))

    assert data.count(b"/FontFile2") == 2
    assert re.findall(rb"D:(\d{4})", data) == [b"2000", b"2000"]


def test_a_long_list_is_cut_for_people_and_whole_in_csv() -> None:
    action = PastAction(seq=1, at=at(3), actor="ada", action="hold.place", object="b", reason="r")
    report = judge_period(quiet_month(actions=tuple(replace(action, seq=number) for number in range(1, 701))))

    files = files_of(report)

    assert "200 more rows are in the CSV files." in files["report.html"].decode()
    assert len(files["csv/actions.csv"].decode("utf-8-sig").splitlines()) == 701


def test_names_of_reports_are_fit_for_files() -> None:
    report = judge_period(quiet_month())
    days = replace(OCTOBER, label="2026-10-01..2026-10-15")

    assert report_name(report) == "goldcopy-report-2026-10"
    assert report_name(replace(report, period=days), "app") == "goldcopy-report-2026-10-01-to-2026-10-15-app"


def test_names_and_digests_do_not_depend_on_order() -> None:
    assert ReportFile(name="a", data=b"x").sha256 == hashlib.sha256(b"x").hexdigest()
    one, other = quiet_source("a"), quiet_source("b")
    assert judge_period(quiet_month(one, other)).sources == judge_period(quiet_month(other, one)).sources
