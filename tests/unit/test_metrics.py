"""Metrics: what Prometheus' own parser reads is what was meant; the page and the alert rules name what there is."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shared.domain.health import SourceFacts, evaluate
from shared.domain.metrics_text import Metric, Sample, render_metrics
from shared.domain.objectives import SuccessRate, measure
from shared.domain.source import Source
from shared.domain.source_facts import OpenAnomaly, Reachability
from shared.operations.metrics import metrics_text
from shared.operations.status import SourceReport, StatusReport, unknown_status
from tests.support.health_facts import APP, NOW, good_facts, restore_point, restore_test

DOCS = Path(__file__).parents[2] / "docs"
GOLDEN = Path(__file__).parents[1] / "golden/metrics.txt"
Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def report_of(source: Source, facts: SourceFacts) -> SourceReport:
    success = (SuccessRate(ok=29, failed=1), SuccessRate(ok=89, failed=1))
    return SourceReport(
        source=source,
        health=evaluate(source, facts, NOW),
        standing=measure(source, facts, NOW, success=success),
        facts=facts,
        phases={"fetch": 20.0, "restore_data": 100.0},
    )


def status() -> StatusReport:
    odd = OpenAnomaly(rule="table-empty", sentence="public.orders is empty", found_at=NOW)
    tests = tuple(restore_test(NOW - timedelta(days=30 * number)) for number in range(1, 5))
    late = good_facts(newest=restore_point(NOW - timedelta(hours=50)), anomalies=(odd, odd), tests=tests)
    return StatusReport(
        at=NOW,
        sources=(
            report_of(APP, good_facts()),
            report_of(replace(APP, name="late"), late),
            report_of(replace(APP, name="new"), SourceFacts(read_at=NOW)),
        ),
    )


def parsed(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def numbers(text: str) -> Numbers:
    rows = [((name, tuple(sorted(labels.items()))), value) for name, labels, value in parsed(text)]
    assert len(rows) == len(dict(rows)), "a sample stands twice"
    return dict(rows)


def test_the_text_is_as_it_was() -> None:
    text = metrics_text(status(), version="1.2.3", repository=Reachability(is_reachable=True, asked_at=NOW))
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_parser_reads_what_was_meant() -> None:
    found = numbers(metrics_text(status(), version="1.2.3"))

    def of(name: str, **labels: str) -> float | None:
        return found.get((f"goldcopy_{name}", tuple(sorted(labels.items()))))

    assert of("catalog_readable") == 1
    assert of("sources", health="red") == 2
    assert of("source_exposure_seconds", source="app") == 4 * 3600
    assert of("source_exposure_seconds", source="new") is None
    assert of("source_health", source="late", health="red") == 1
    assert of("source_health", source="late", health="green") == 0
    assert of("source_reason", source="late", code="anomaly", colour="yellow") == 1
    assert of("source_objective_met", source="new", objective="rpo") == 0
    assert of("source_objective_met", source="new", objective="rto") is None
    assert of("source_backups", source="app", window="30d", outcome="failed") == 1
    assert of("source_last_recovery_phase_seconds", source="app", phase="fetch") == 20
    assert of("repository_reachable") is None


def test_an_unreadable_catalog_leaves_no_number_that_looks_good() -> None:
    from shared.errors import CatalogProblem

    report = unknown_status({"app": APP}, NOW, CatalogProblem("the catalog is away", hint="Look."))
    found = numbers(metrics_text(report, version="1"))
    assert found[("goldcopy_catalog_readable", ())] == 0
    assert found[("goldcopy_source_health", (("health", "unknown"), ("source", "app")))] == 1
    about_app = {name for name, labels in found if ("source", "app") in labels}
    assert about_app == {"goldcopy_source_health", "goldcopy_source_reason", "goldcopy_source_objective_seconds"}


@pytest.mark.parametrize("text", ['quote " backslash \\ newline \n end', "ünï\u2028code", "", '\\n"}', '{a="b"} 1'])
def test_any_text_survives_as_a_label(text: str) -> None:
    rendered = render_metrics([Metric(name="m", help=text, samples=(Sample(value=1.5, labels={"source": text}),))])
    assert len(rendered.split("\n")) == 4
    [family] = text_string_to_metric_families(rendered)
    assert family.samples[0].labels == {"source": text}


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (0.1, "0.1"), (1e300, "1e+300"), (float("inf"), "+Inf"), (True, "1")]
)
def test_numbers_are_written_as_prometheus_reads_them(value: float, text: str) -> None:
    assert render_metrics([Metric(name="m", help="h", samples=(Sample(value=value),))]).endswith(f"m {text}\n")


def test_a_metric_without_a_sample_is_left_out() -> None:
    assert render_metrics([Metric(name="m", help="h")]) == ""


def test_names_that_prometheus_does_not_take_are_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        Metric(name="goldcopy-health", help="h")
    with pytest.raises(ValueError, match="no name"):
        Metric(name="m", help="h", samples=(Sample(value=1, labels={"a-b": "c"}),))


def rendered_names() -> set[str]:
    text = metrics_text(status(), version="1", repository=Reachability(is_reachable=True, asked_at=NOW))
    return {name for name, _, _ in parsed(text)}


def test_every_metric_is_on_the_page_with_its_labels() -> None:
    rows = re.findall(r"^\| `(goldcopy_\w+)` \|([^|]*)\|", (DOCS / "metrics.md").read_text("utf-8"), re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    text = metrics_text(status(), version="1", repository=Reachability(is_reachable=True, asked_at=NOW))
    assert listed == {name: set(labels) for name, labels, _ in parsed(text)}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DOCS / "goldcopy.rules.yml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alert_rules_ask_for_what_there_is(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"goldcopy_\w+", rule["expr"]))
    assert asked
    assert asked <= rendered_names()
    found = {
        (name, key, value)
        for name, labels, _ in parsed(metrics_text(status(), version="1"))
        for key, value in labels.items()
    }
    for name, key, value in re.findall(r'(goldcopy_\w+)\{(\w+)="(\w+)"\}', rule["expr"]):
        assert (name, key, value) in found
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
