"""A control that auditors ask for, and the answer to it: met, not met, or not measured; never a guess."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ISO_BACKUP = "ISO 27001:2022 A.8.13"
SOC_BACKUP = "SOC 2 A1.2"
SOC_RECOVERY = "SOC 2 A1.3"


class Status(StrEnum):
    """The answer to a control."""

    MET = "met"
    NOT_MET = "not met"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What is asked for.

    Attributes:
        id: Stable name.
        title: What has to be true, as a statement.
        supports: Requirements of standards whose audit the evidence supports. None of them is fulfilled by it alone.
        limits: What the evidence does not show; empty where that is plain.
    """

    id: str
    title: str
    supports: tuple[str, ...]
    limits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One thing that was not as it should be, or that could not be measured.

    Attributes:
        source: Empty where it is about the whole.
        object: What it is about, such as a backup id; may be empty.
        at: When it began, if it has an instant.
        sentence: What, with numbers.
        is_measured: False where it only says why nothing could be measured.
    """

    source: str
    sentence: str
    object: str = ""
    at: datetime | None = None
    is_measured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer for one source, or for the whole.

    Attributes:
        evidence: What was counted, by name; equal names are added up over sources.
    """

    status: Status
    evidence: tuple[tuple[str, int], ...] = ()
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """A control with its answer over everything that was judged.

    Attributes:
        summary: The answer in one sentence.
        met, not_met, not_measured: Sources by answer; all 0 where the control is about the whole.
        evidence: What was counted.
        deviations: Every exception, by instant; first those that were measured.
    """

    control: Control
    status: Status
    summary: str
    met: int = 0
    not_met: int = 0
    not_measured: int = 0
    evidence: tuple[tuple[str, int], ...] = ()
    deviations: tuple[Deviation, ...] = ()

    @property
    def exceptions(self) -> int:
        """How many deviations were measured; the others say why something could not be."""
        return sum(1 for item in self.deviations if item.is_measured)


def deviations_sentence(exceptions: int, deviations: int) -> str:
    """Count what a list of deviations holds: `2 exceptions`, `No exception, 3 not measured`."""
    rest = deviations - exceptions
    said = plural(exceptions, "exception") if exceptions else "No exception"
    return f"{said}, {rest:,} not measured" if rest else said


def unmeasured(source: str, why: str, evidence: tuple[tuple[str, int], ...] = ()) -> Judgement:
    """Return an answer that says why there is none."""
    deviation = Deviation(source=source, sentence=why, is_measured=False)
    return Judgement(status=Status.NOT_MEASURED, evidence=evidence, deviations=(deviation,))


def judged(
    evidence: tuple[tuple[str, int], ...],
    deviations: Sequence[Deviation],
    *,
    examined: int,
    nothing: str,
    source: str = "",
) -> Judgement:
    """Return the answer that follows from what was found: met when something was examined and nothing deviates.

    Args:
        evidence: What was counted.
        deviations: What was not as it should be.
        examined: How many things a pass would rest on; without any there is none.
        nothing: Why nothing is measured where nothing was examined.
        source: Empty where it is about the whole.
    """
    if not deviations and not examined:
        return unmeasured(source, nothing, evidence)
    return Judgement(
        status=Status.NOT_MET if deviations else Status.MET, evidence=evidence, deviations=tuple(deviations)
    )


def over_sources(control: Control, judgements: Sequence[Judgement]) -> ControlResult:
    """Add up the answers of all sources: one that is not met decides, else one that is not measured."""
    counts = {status: sum(1 for item in judgements if item.status is status) for status in Status}
    return ControlResult(
        control=control,
        status=_overall(counts),
        summary=_summary(counts, len(judgements)),
        met=counts[Status.MET],
        not_met=counts[Status.NOT_MET],
        not_measured=counts[Status.NOT_MEASURED],
        evidence=_added(judgements),
        deviations=in_order(deviation for item in judgements for deviation in item.deviations),
    )


def over_whole(control: Control, judgement: Judgement, summary: str = "") -> ControlResult:
    """Return the answer of a control that is not about single sources; one that is not measured says why itself."""
    if judgement.status is Status.NOT_MEASURED:
        summary = f"Not measured: {'; '.join(item.sentence for item in judgement.deviations)}."
    return ControlResult(
        control=control,
        status=judgement.status,
        summary=summary,
        evidence=judgement.evidence,
        deviations=in_order(judgement.deviations),
    )


def in_order(deviations: Iterable[Deviation]) -> tuple[Deviation, ...]:
    """Sort exceptions: measured ones first, then by instant, source and object."""
    return tuple(
        sorted(
            deviations,
            key=lambda item: (
                not item.is_measured,
                item.at.timestamp() if item.at else 0.0,
                item.source,
                item.object,
                item.sentence,
            ),
        )
    )


def plural(count: int, one: str, many: str = "") -> str:
    """Print a number with its noun: `1 backup`, `1,204 backups`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _overall(counts: dict[Status, int]) -> Status:
    if counts[Status.NOT_MET]:
        return Status.NOT_MET
    return Status.MET if counts[Status.MET] and not counts[Status.NOT_MEASURED] else Status.NOT_MEASURED


def _summary(counts: dict[Status, int], total: int) -> str:
    if not total:
        return "No source was judged."
    parts = [f"Met for {counts[Status.MET]:,} of {plural(total, 'source')}"]
    if counts[Status.NOT_MET]:
        parts.append(f"not met for {counts[Status.NOT_MET]:,}")
    if counts[Status.NOT_MEASURED]:
        parts.append(f"not measured for {counts[Status.NOT_MEASURED]:,}")
    return ", ".join(parts) + "."


def _added(judgements: Sequence[Judgement]) -> tuple[tuple[str, int], ...]:
    totals: dict[str, int] = {}
    for judgement in judgements:
        for name, count in judgement.evidence:
            totals[name] = totals.get(name, 0) + count
    return tuple(totals.items())
