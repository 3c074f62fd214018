"""Prometheus' text format, version 0.0.4: names, labels, numbers, and what has to be escaped."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number with its labels, whose values may hold any text."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A gauge: a value that may go up and down.

    Attributes:
        name: With its unit at the end, such as `_seconds` or `_bytes`.
        help: One sentence.
        samples: Different labels each; what nobody knows has no sample.

    Raises:
        ValueError: A name that Prometheus does not take.
    """

    name: str
    help: str
    samples: tuple[Sample, ...] = ()

    def __post_init__(self) -> None:
        names = {label for sample in self.samples for label in sample.labels}
        if not _METRIC_NAME.fullmatch(self.name) or any(not _LABEL_NAME.fullmatch(label) for label in names):
            raise ValueError(f"{self.name} with labels {sorted(names)} is no name for Prometheus")


def render_metrics(metrics: Iterable[Metric]) -> str:
    """Return the text of metrics; those without a sample are left out."""
    return "".join(f"{line}\n" for metric in metrics if metric.samples for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {_escaped(metric.help)}"
    yield f"# TYPE {metric.name} gauge"
    for sample in metric.samples:
        labels = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in sample.labels.items())
        yield f"{metric.name}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}"


def _escaped(text: str, *, quote: bool = False) -> str:
    # UTF-8 cannot hold lone surrogates, and a scrape must not fail for a strange name.
    text = text.encode("utf-8", "backslashreplace").decode().replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
