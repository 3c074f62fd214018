"""The configured channels: opened, checked and tried."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from shared.catalog.engine import Catalog
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.channel import Channel
from shared.domain.notice import NoticeEvent
from shared.domain.proof import Finding, Severity
from shared.domain.routing import unheard_events
from shared.errors import CatalogProblem, ConfigInvalid, UsageProblem
from shared.operations.channel_trial import Trial, try_channels
from shared.wiring.parts import Parts

Ask = Callable[[str, str, Callable[[], str]], bool]


def open_channels(config: Config) -> dict[str, Channel]:
    """Return the channels that are in use, by name; one whose URL cannot be read here says so when it is sent to."""
    return {
        name: section.channel(name, config.references)
        for name, section in config.file.channels.items()
        if section.enabled
    }


def check_channels(config: Config, ask: Ask) -> Iterator[Finding]:
    """Ask of every channel whether its URL can be used, without sending anything; yield what is unwise."""
    for name, channel in open_channels(config).items():
        warnings: list[str] = []
        ask("channels", f"channels.{name}", partial(_usable, channel, warnings))
        for warning in warnings:
            yield _finding(f"channels.{name}.url", warning, "docs/notices.md shows how each service is written.")
    if any(section.enabled for section in config.file.channels.values()):
        yield from _unheard(config)
    else:
        yield _finding(
            "channels",
            "no [channels.NAME] is configured: nobody hears of a failed backup",
            "Add [channels.NAME] with its url (docs/notices.md) and prove it with `goldcopy notify-test`.",
        )


def run_notify_test(config_path: str | None, name: str | None) -> dict[str, Any]:
    """Send a test notice to one channel or to all of them.

    Args:
        config_path: Configuration file, or None for the usual one.
        name: Which channel; None for all.

    Returns:
        `ok`, `channels` with an outcome for each, and `recorded`.

    Raises:
        UsageProblem: There is no such channel, or none at all.
    """
    from shared.notices.delivery import deliver

    config = load_config(config_path)
    channels = _chosen(config, name)
    recorder = _Recorder(config)
    with closing(recorder):
        trials = try_channels(channels, deliver, recorder.record, at=utc_now(), by=recorder.actor)
    return {
        "ok": all(trial.is_delivered for trial in trials),
        "channels": [trial.document() for trial in trials],
        "recorded": recorder.is_complete,
    }


class _Recorder:
    """Keeps attempts; a catalog that is down must not keep anybody from trying whether notices arrive."""

    def __init__(self, config: Config) -> None:
        self.is_complete = True
        self._catalog: Catalog | None = None
        try:
            self._catalog = Parts(config).catalog
        except CatalogProblem:
            self.is_complete = False

    @property
    def actor(self) -> str:
        """Who acts, as far as that is known."""
        return self._catalog.actor if self._catalog else "somebody at the command line"

    def record(self, trial: Trial) -> None:
        """Keep one attempt."""
        if self._catalog is None:
            return
        try:
            self._catalog.record_trial(
                trial.channel,
                trial.notice_key,
                outcome=trial.result.state.value,
                error=trial.result.error,
                at=utc_now(),
                seconds=trial.duration_seconds,
            )
        except CatalogProblem:
            self.is_complete = False

    def close(self) -> None:
        """Close what was opened."""
        if self._catalog:
            self._catalog.close()


def _chosen(config: Config, name: str | None) -> list[Channel]:
    channels = open_channels(config)
    if not config.file.channels:
        raise UsageProblem("no channel is configured", hint="Add [channels.NAME] with its url (docs/notices.md).")
    if name is None:
        if not channels:
            raise UsageProblem("every channel is switched off", hint="Set enabled = true, or name one of them.")
        return list(channels.values())
    if name not in config.file.channels:
        known = ", ".join(sorted(config.file.channels))
        raise UsageProblem(f"there is no channel {name!r}", hint=f"Known channels: {known}.")
    return [config.file.channels[name].channel(name, config.references)]


def _unheard(config: Config) -> Iterator[Finding]:
    """Name what is critical and no channel would get; that nobody hears of red is no matter of taste."""
    escalation = config.file.watch.policy(config.file.escalation).escalation
    for event in unheard_events(open_channels(config).values(), escalation):
        is_red = event is NoticeEvent.HEALTH_CHANGED
        what = "a source that turns red" if is_red else f"{event.value} (critical)"
        finding = _finding(
            "channels",
            f"nobody would hear of {what}: no channel in use gets it",
            "Let the events and severity of a channel include it, or name a channel in use in [escalation].",
        )
        yield replace(finding, severity=Severity.ERROR) if is_red else finding


def _finding(key: str, message: str, hint: str) -> Finding:
    about = f"{key}: " if key != "channels" else ""
    return Finding(check="channels", severity=Severity.WARNING, object=key, message=f"{about}{message}", hint=hint)


def _usable(channel: Channel, warnings: list[str]) -> str:
    from shared.notices.address import AddressInvalid, label_of, open_service, warnings_about

    if channel.problem:
        raise ConfigInvalid(channel.problem, hint="Set it where `goldcopy watch` runs.")
    try:
        service = open_service(channel.url, timeout_seconds=1)
    except AddressInvalid as error:
        raise ConfigInvalid(
            f"channels.{channel.name}.url: {error}", hint="Correct it; docs/notices.md shows how each is written."
        ) from None
    warnings += warnings_about(service)
    return f"channel {channel.name}: {label_of(service)}"
