"""docs/health.md says what the code does."""

import re
from datetime import timedelta
from pathlib import Path

from shared.config.model import HealthSection, ObjectivesSection, ScheduleSection
from shared.domain.health_reason import COLOURS
from shared.units import parse_duration

PAGE = (Path(__file__).parents[2] / "docs/health.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_reason_is_listed_with_its_colours() -> None:
    listed = {code.strip("`"): colours.split(", ") for code, colours, _ in rows("Reasons")}
    assert listed == {code.value: [colour.value for colour in colours] for code, colours in COLOURS.items()}


def test_every_threshold_is_listed_with_its_default() -> None:
    sections = {"objectives": ObjectivesSection(), "schedule": ScheduleSection(), "health": HealthSection()}
    for key, default, _ in rows("Thresholds"):
        section, _, name = key.strip("`").partition(".")
        value = getattr(sections[section], name)
        shown = parse_duration(default) if isinstance(value, timedelta) else float(default)
        assert shown == value, key


def test_every_threshold_that_a_rule_names_is_listed() -> None:
    listed = {key.strip("`") for key, _, _ in rows("Thresholds")}
    named = set(re.findall(r"`((?:objectives|schedule|health)\.\w+)`", PAGE.split("## Thresholds")[0]))
    assert named <= listed
