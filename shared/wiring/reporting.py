"""Make reports of one configuration, and read the changes of a what-if as people write them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from socket import inet_aton
from urllib.parse import urlsplit

from shared.config.load import Config
from shared.domain.backup import BackupKind
from shared.domain.compliance_facts import RepositoryFact
from shared.domain.period import Period, month_before, parse_period
from shared.domain.source import KeepRule
from shared.domain.what_if import parse_keep_rule
from shared.errors import UsageProblem
from shared.operations.report import ReportRequest, ReportResult, make_report, save_report
from shared.wiring.parts import Parts

LAST_MONTH = "last-month"
# Names that this machine or its own network answers to.
_NAMES_OF_HERE = (".localhost", ".localdomain", ".local", ".internal", ".lan", ".home.arpa")


def write_report(parts: Parts, period: str, source: str | None, to: str | None, now: datetime) -> ReportResult:
    """Make a report and write it.

    Args:
        parts: Of the configuration.
        period: `2026-10`, `2026-Q4`, `2026`, `2026-10-01..2026-10-15` or `last-month`.
        source: Only this one.
        to: Folder; the configured one when None.
        now: Aware instant.

    Raises:
        UsageProblem: No such period or source.
    """
    made = make_report(parts.catalog, report_request(parts.config, read_period(period, now), source), now)
    folder = Path(to).expanduser().resolve() if to else parts.config.reports_folder
    return save_report(parts.catalog, made, folder, now)


def report_request(config: Config, period: Period, source: str | None) -> ReportRequest:
    """Return what a report of a configuration needs to know."""
    return ReportRequest(
        period=period,
        policies=config.sources,
        source=source,
        organisation=config.file.reports.organisation,
        repository=repository_fact(config),
    )


def read_period(text: str, now: datetime) -> Period:
    """Read a period, or `last-month`.

    Raises:
        UsageProblem: The text names none.
    """
    if text == LAST_MONTH:
        return month_before(now)
    try:
        return parse_period(text)
    except ValueError as error:
        raise UsageProblem(str(error), hint="The last whole month is called last-month.") from error


def read_changes(keep: Sequence[str]) -> Mapping[BackupKind, KeepRule]:
    """Read rules such as `daily=14d` or `weekly=age=28d,monthly=12`.

    Raises:
        UsageProblem: One of them says something else.
    """
    changes: dict[BackupKind, KeepRule] = {}
    for text in keep:
        kind, _, rule = text.partition("=")
        try:
            changes[BackupKind(kind.strip().replace("_", "-"))] = parse_keep_rule(rule)
        except ValueError as error:
            raise UsageProblem(
                f"{text!r} is not a rule: {error}",
                hint=f"Write KIND=RULE, with one of {', '.join(BackupKind)}, such as daily=14d.",
            ) from error
    return changes


def repository_fact(config: Config) -> RepositoryFact:
    """Say where backups are kept, as far as the configuration tells; an address is no secret, a user in it would be."""
    section = config.file.repository
    recipients = len(section.recipients)
    if not section.url.startswith("s3://"):
        place = section.url if section.url.startswith("file://") else "the configured repository"
        return RepositoryFact(place=place, is_elsewhere=None, recipients=recipients)
    endpoint = section.endpoint_url or _endpoint_of_environment(config.references.environment)
    host = urlsplit(endpoint).hostname if "://" in endpoint else None
    if endpoint and host is None:  # a reference, whose value may not be here
        return RepositoryFact(place=section.url, is_elsewhere=None, recipients=recipients)
    place = f"{section.url} at {host}" if host else section.url
    return RepositoryFact(place=place, is_elsewhere=True if _is_elsewhere(host) else None, recipients=recipients)


def _endpoint_of_environment(environment: Mapping[str, str]) -> str:
    """Return the endpoint that the S3 client takes from the environment where the configuration names none."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((environment[name] for name in names if environment.get(name)), "")


def _is_elsewhere(host: str | None) -> bool:
    """Say whether a store is certainly on another machine; None stands for Amazon's own."""
    if host is None:
        return True
    name = host.rstrip(".").lower()
    try:
        # Also `127.1` and `0x7f000001`, which resolvers take for addresses.
        address = ip_address(inet_aton(name)) if ":" not in name else ip_address(name)
    except (OSError, ValueError):
        return "." in name and not name.endswith(_NAMES_OF_HERE)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_global
