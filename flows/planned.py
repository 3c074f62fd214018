"""A deployment as it should be, and as Prefect has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Marks deployments of sources with a schedule of their own, so that no other is removed.
OWN_TAG = "goldcopy-own-schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A deployment as it should be.

    Attributes:
        name: `flow/deployment`.
        entrypoint: Module path of the flow.
        cron: When it fires, or None for one that only a person starts.
        timezone: Of the cron expression.
        parameters: Of every run.
        definition: The entry of prefect.yaml it comes from.
    """

    name: str
    entrypoint: str
    cron: str | None
    timezone: str
    parameters: Mapping[str, object]
    definition: Mapping[str, Any] = field(repr=False)

    @property
    def is_own(self) -> bool:
        """Whether it belongs to one source with a schedule of its own."""
        return "source" in self.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment as Prefect has it; `crons` are the active schedules, each as (cron, time zone)."""

    name: str
    crons: tuple[tuple[str, str], ...]
    is_own: bool = False
    is_paused: bool = False
