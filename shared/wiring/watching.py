"""Put the watch together: what it judges by, whom it tells, and the monitor elsewhere that hears that it lives."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import entry_points
from secrets import token_hex
from typing import Any

from shared.config.load import Config
from shared.domain.health import Health
from shared.domain.health_reason import Reason
from shared.domain.incident import Incident
from shared.domain.proof import Finding, Severity
from shared.domain.reach import settle_reach
from shared.domain.schedule import Cron
from shared.domain.watch_texts import incident_line
from shared.errors import GoldcopyError
from shared.notices.dead_mans_switch import Ping
from shared.notices.delivery import deliver
from shared.operations.acknowledging import incident_document
from shared.operations.facts_reading import REPOSITORY
from shared.operations.lost_catalog import find_unknown_backups
from shared.operations.notice_delivery import ATTEMPT_SECONDS
from shared.operations.reach import probe_repository
from shared.operations.status import read_status
from shared.operations.watch import WatchPlace, WatchReport, run_watch
from shared.units import counted
from shared.wiring.channels import Ask, open_channels
from shared.wiring.parts import Parts
from shared.wiring.switch import Switch, dead_mans_switch

WATCHING_ENTRY_POINT = "goldcopy.watching"


def firing_reasons(config: Config) -> tuple[Reason, ...] | None:
    """Ask whoever fires the schedules whether it is there; flows register themselves for that.

    Returns:
        What is wrong; None where nobody could be asked.
    """
    asked: list[Callable[[Config], tuple[Reason, ...] | None]] = [
        found.load() for found in entry_points(group=WATCHING_ENTRY_POINT)
    ]
    answers = [answer for answer in (ask(config) for ask in asked) if answer is not None]
    return tuple(reason for answer in answers for reason in answer) if answers else None


def watch(parts: Parts, system_reasons: Sequence[Reason] | None, now: Callable[[], datetime]) -> WatchReport:
    """Look at everything once, tell people, and tell the monitor elsewhere that somebody looked.

    Args:
        parts: Of the configuration.
        system_reasons: What is wrong with whoever fires schedules; None where nobody asked.
        now: Clock, aware UTC.

    Raises:
        CatalogProblem: The catalog cannot be used; the monitor elsewhere is told.
    """
    switch = Switch(parts)
    try:
        place = replace(_place(parts, system_reasons), own_reasons=switch.begin())
        report = run_watch(place, now=now)
    except GoldcopyError as error:
        switch.fail(str(error))
        raise
    except BaseException as error:
        switch.fail(f"unexpected {type(error).__name__}")
        raise
    unheard = report.unheard
    words = [f"nobody could be told: {notice.title}" for notice in unheard]
    told = "\n".join(words) or counted(len(report.healths), "source")
    switch.end(Ping.FAIL if unheard else Ping.SUCCESS, told, now())
    return report


def check_dead_mans_switch(parts: Parts, ask: Ask) -> list[Finding]:
    """Ask whether its URL can be read, without pinging; say so where there is none."""
    if parts.config.file.watch.dead_mans_switch:
        ask("dead-mans-switch", "watch.dead_mans_switch", lambda: _switch_words(parts))
        return []
    return [
        Finding(
            check="dead-mans-switch",
            severity=Severity.WARNING,
            object="watch.dead_mans_switch",
            message="no dead man's switch is configured: when the watch itself dies, nobody hears anything any more",
            hint="Set watch.dead_mans_switch to the ping URL of a monitor elsewhere, such as healthchecks.io.",
        )
    ]


def _switch_words(parts: Parts) -> str:
    dead_mans_switch(parts)
    return "dead man's switch: configured; `goldcopy watch` pings it"


def incident_documents(parts: Parts, source: str | None, *, open_only: bool, now: datetime) -> list[dict[str, Any]]:
    """Return incidents in JSON's own types, newest first."""
    found: Sequence[Incident] = parts.catalog.incidents(source, open_only=open_only)
    return [incident_document(incident, incident_line(incident, now), now) for incident in found]


def _place(parts: Parts, system_reasons: Sequence[Reason] | None) -> WatchPlace:
    section = parts.config.file.watch
    return WatchPlace(
        catalog=parts.catalog,
        sources=parts.config.sources,
        channels=open_channels(parts.config),
        policy=section.policy(parts.config.file.escalation),
        read_healths=lambda at: _read_healths(parts, at),
        send=lambda channel, notice: deliver(channel, notice, timeout_seconds=ATTEMPT_SECONDS),
        system_reasons=None if system_reasons is None else tuple(system_reasons),
        app_url=parts.config.file.app.url or "",
        digest=Cron(section.digest, section.timezone) if section.digest else None,
        canary=Cron(section.canary, section.timezone) if section.canary else None,
        prices=parts.config.file.prices.prices(),
        holder=f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}",
    )


def _read_healths(parts: Parts, at: datetime) -> Sequence[Health]:
    """Ask the repository, remember what it answered, and judge every source."""
    timeout = parts.config.file.health.repository_timeout
    before = parts.catalog.reach(REPOSITORY)
    answer = probe_repository(lambda: parts.store, timeout, at, read_key=parts.fingerprint_key)
    stands, failures = settle_reach(before[0] if before else None, before[1] if before else 0, answer)
    parts.catalog.record_reach(REPOSITORY, stands, failures=failures)
    unknown = (
        find_unknown_backups(parts.catalog, parts.config.sources, lambda: parts.store, timeout)
        if answer.is_reachable
        else None
    )
    report = read_status(parts.catalog, parts.config.sources, at, repository=stands, unknown_backups=unknown)
    return report.healths
