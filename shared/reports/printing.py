"""Print a report in every form, with the digests of all files; the same report gives the same bytes."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.compliance import ComplianceReport
from shared.reports.content import compose
from shared.reports.csv_files import csv_files
from shared.reports.html_page import html_page

DIGESTS = "SHA256SUMS"
# The first instant that a zip can hold: a real one would differ every time.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """One file of a printed report; `name` is a path below the report's folder, with forward slashes."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Its digest, hex."""
        return hashlib.sha256(self.data).hexdigest()


def report_name(report: ComplianceReport, source: str | None = None) -> str:
    """Return the name of a report's folder: `goldcopy-report-2026-10`."""
    period = report.period.label.replace("..", "-to-")
    return "-".join(["goldcopy-report", period, *([source] if source else [])])


def print_report(report: ComplianceReport) -> tuple[ReportFile, ...]:
    """Return every file: report.html, report.pdf, csv/..., and SHA256SUMS, which `sha256sum -c` reads."""
    from shared.reports.pdf_file import pdf_file  # a fifth of a second, which only reports shall cost

    content = compose(report)
    files = [
        ReportFile(name="report.html", data=html_page(content)),
        ReportFile(name="report.pdf", data=pdf_file(content, organisation=report.organisation)),
        *(ReportFile(name=f"csv/{name}", data=data) for name, data in csv_files(content)),
    ]
    listed = "".join(f"{item.sha256}  {item.name}\n" for item in sorted(files, key=lambda item: item.name))
    return (*files, ReportFile(name=DIGESTS, data=listed.encode("ascii")))


def zipped(files: Sequence[ReportFile], folder: str) -> bytes:
    """Return all files as one zip; stored and not compressed, for compressors differ between versions."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for item in sorted(files, key=lambda item: item.name):
            entry = zipfile.ZipInfo(f"{folder}/{item.name}", date_time=_ZIP_EPOCH)
            entry.create_system = 3  # Unix, also where it is made elsewhere
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, item.data)
    return target.getvalue()
