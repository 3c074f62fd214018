"""Render results for Prefect's run pages: pure functions from documents to markdown and table rows.

Everything that comes from outside (names of tables, messages of servers) is escaped, and nothing grows beyond what
Prefect's API accepts.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import GoldcopyError
from shared.units import format_bytes, format_duration

Document = Mapping[str, object]
Row = dict[str, str]

# Prefect's API takes artifacts of up to 1 MiB; the rest is room for the envelope.
LIMIT_BYTES = 900_000
TEXT_LIMIT = 500
KEY_LIMIT = 100
CUT_SHORT = "\n\n*The rest is left out here; the catalog has it whole.*\n"
UNEXPECTED_HINT = "Read the run's log, and report this if it is not clear from there."

_NOT_IN_KEY = re.compile(r"[^a-z0-9]+")
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+!|~&$:@]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step gave for one subject: a document, or the error that ended it.

    Attributes:
        subject: What it was done to, such as a source's name.
        document: What the operation said, empty after an error.
        error: Why there is no result, or None.
    """

    subject: str
    document: Document = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def is_good(self) -> bool:
        """Whether it ran and found nothing bad; what could not be measured is not good."""
        verdict = self.document.get("outcome", self.document.get("status", "passed"))
        return self.error is None and str(verdict) in ("passed", "complete")


def artifact_key(*words: str) -> str:
    """Make an artifact key, which may hold only a-z, 0-9 and dashes."""
    return _NOT_IN_KEY.sub("-", "-".join(words).lower()).strip("-")[:KEY_LIMIT].rstrip("-") or "result"


def plain(value: object) -> str:
    """Return one line of text without control characters, of bounded length."""
    text = _CONTROL.sub(" ", str(value)).strip()
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"


def escape(value: object) -> str:
    """Return text from outside so that markdown shows it and never acts on it."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", plain(value))


def show(name: str, value: object) -> str:
    """Print a field of a document for people; its unit is in its name."""
    if value is None or value == "":
        return "–"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name.endswith("_bytes"):
            return format_bytes(int(value))
        if name.endswith("_seconds"):
            return format_duration(float(value))
        return f"{value:,}"
    if isinstance(value, list | tuple | set | frozenset | dict):
        return str(len(value))
    return escape(value)


def report(title: str, results: Sequence[StepResult], columns: Mapping[str, str]) -> str:
    """Write the markdown of a run: one table with a row per subject, then what went wrong and what to do.

    Args:
        title: Heading.
        results: One per subject, in any order.
        columns: Field of the document -> heading, in order.
    """
    good = sum(result.is_good for result in results)
    lines = [f"# {escape(title)}", "", f"**{good} of {len(results)} good.**" if results else "**Nothing was due.**", ""]
    lines += _problems(results)
    lines += _table(results, columns)
    return bounded_markdown("\n".join(lines) + "\n")


def _problems(results: Iterable[StepResult]) -> list[str]:
    lines = [line for result in results if not result.is_good for line in _problem(result)]
    return ["## What is wrong", "", *lines, ""] if lines else []


def _problem(result: StepResult) -> list[str]:
    subject = f"- **{escape(result.subject)}**"
    if isinstance(result.error, GoldcopyError):
        return [f"{subject}: {escape(result.error.message)}", f"  <br>→ {escape(result.error.hint)}"]
    if result.error is not None:
        # The class only: the text of an unforeseen error may hold anything, a password included.
        return [f"{subject}: unexpected {escape(type(result.error).__name__)}", f"  <br>→ {escape(UNEXPECTED_HINT)}"]
    return [f"{subject}: {escape(str(verdict_of(result)).replace('_', ' '))}; see the table of findings"]


def verdict_of(result: StepResult) -> object:
    """Return one word for the row: the outcome, the status, or `error`."""
    if result.error is not None:
        return "error"
    return result.document.get("outcome", result.document.get("status", "done"))


def _table(results: Sequence[StepResult], columns: Mapping[str, str]) -> list[str]:
    if not results:
        return []
    shown = [name for name in columns if any(name in result.document for result in results)]
    heads = ["", "Result", *(columns[name] for name in shown)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for result in results:
        mark = "✅" if result.is_good else "❌"
        verdict = escape(str(verdict_of(result)).replace("_", " "))
        cells = [
            escape(result.subject),
            f"{mark} {verdict}",
            *(show(name, result.document.get(name)) for name in shown),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def findings(results: Iterable[StepResult]) -> list[Row]:
    """List every finding, and everything that could not be measured, as rows of a table artifact."""
    rows: list[Row] = []
    for result in results:
        document, subject = result.document, result.subject
        rows += [_row(subject, str(item.get("severity", "")), item, "message") for item in _items(document, "findings")]
        rows += [_row(subject, "not measured", item, "reason") for item in _items(document, "not_measured")]
    return bounded_rows(rows)


def _items(document: Document, name: str) -> list[Mapping[str, object]]:
    value = document.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _row(subject: str, severity: str, item: Mapping[str, object], message: str) -> Row:
    """Make a row; Prefect renders every cell as markdown, so every cell is escaped."""
    return {
        "subject": escape(subject),
        "severity": escape(severity),
        "check": escape(item.get("check", "")),
        "object": escape(item.get("object", "")),
        "message": escape(item.get(message, "")),
        "hint": escape(item.get("hint", "")),
    }


def bounded_rows(rows: Sequence[Row], limit_bytes: int = LIMIT_BYTES) -> list[Row]:
    """Keep as many leading rows as fit; a last row says how many are left out."""
    kept: list[Row] = []
    size = 0
    for row in rows:
        size += len(json.dumps(row)) + 2
        if size > limit_bytes:
            return [*kept, {**dict.fromkeys(row, ""), "message": f"{len(rows) - len(kept)} more are left out here"}]
        kept.append(row)
    return kept


def bounded_markdown(text: str, limit_bytes: int = LIMIT_BYTES) -> str:
    """Cut at the end of a line when the text, as JSON, is longer than the API takes."""
    if len(json.dumps(text)) <= limit_bytes:
        return text
    lines: list[str] = []
    size = len(json.dumps(CUT_SHORT))
    for line in text.splitlines(keepends=True):
        size += len(json.dumps(line)) - 2
        if size > limit_bytes:
            break
        lines.append(line)
    return "".join(lines) + CUT_SHORT
