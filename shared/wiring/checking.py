"""goldcopy check: everything that a backup or a restore will need, asked before it is needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from secrets import token_hex
from typing import Any

from shared.config.load import Config
from shared.config.plain_secrets import find_plain_secrets
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.errors import (
    ConfigInvalid,
    GoldcopyError,
    ProgramMissing,
    SourceUnreachable,
    StoreProblem,
    StoreRefused,
    StoreUnreachable,
    UsageProblem,
)
from shared.operations.progress import OnProgress
from shared.operations.source_identity import look_at_identity, moved_hint
from shared.postgres.checks import load_checks
from shared.postgres.facts import Connection
from shared.postgres.preflight import check_source
from shared.postgres.tools import choose_client, choose_server, find_unusable
from shared.supabase.rules import unreadable_known
from shared.units import counted
from shared.wiring.channels import check_channels
from shared.wiring.parts import Parts
from shared.wiring.promises import check_promises
from shared.wiring.watching import check_dead_mans_switch

SCHEDULES_ENTRY_POINT = "goldcopy.schedules"
_PASSING = (SourceUnreachable, StoreUnreachable)


class _Report:
    """Collects what was found."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.findings: list[Finding] = []
        self.not_measured: list[NotMeasured] = []
        self.is_misconfigured = False

    def ask(self, check: str, subject: str, question: Callable[[], str]) -> bool:
        """Ask one question; its answer is what passed, an error is a finding, silence is not measured."""
        try:
            self.passed.append(question())
        except _PASSING as error:
            self.not_measured.append(NotMeasured(check=check, object=subject, reason=str(error)))
        except GoldcopyError as error:
            self.is_misconfigured |= isinstance(error, UsageProblem)
            # What keeps several questions from an answer, such as a repository that is gone, is said once.
            if all(finding.message != error.message for finding in self.findings):
                self.findings.append(
                    Finding(
                        check=check, severity=Severity.ERROR, object=subject, message=error.message, hint=error.hint
                    )
                )
        else:
            return True
        return False

    def document(self) -> dict[str, Any]:
        """Return all of it in JSON's own types."""
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        # The same mistake ends with the same code, whichever command meets it.
        bad = (2 if self.is_misconfigured else 1) if errors else 0
        exit_code = bad or (3 if self.not_measured else 0)
        return {
            "ok": exit_code == 0,
            "exit_code": exit_code,
            "findings": [finding.document() for finding in self.findings],
            "not_measured": [item.document() for item in self.not_measured],
            "passed": self.passed,
        }


def check_everything(parts: Parts, sources: Sequence[str], now: datetime, on_progress: OnProgress) -> dict[str, Any]:
    """Ask everything; one thing that fails does not keep the others from being asked."""
    report = _Report()
    on_progress("check keys and repository", 0, None)
    report.ask("catalog", parts.config.file.catalog.url.partition(":")[0], lambda: f"catalog: {parts.catalog.label}")
    if report.ask("repository", "repository", lambda: _repository(parts, now)):
        report.ask("repository", "repository", lambda: _write_read_delete(parts))
    report.ask("identity", "repository.identity", lambda: _identity(parts))
    report.findings += _plain_secrets(parts.config)
    report.findings += _unusable_tools(parts)
    report.findings += check_channels(parts.config, report.ask)
    report.findings += check_dead_mans_switch(parts, report.ask)
    on_progress("check schedules", 0, None)
    _check_schedules(parts, report)
    report.findings += check_promises(parts, sources, now)
    if not sources:
        report.findings.append(
            Finding(
                check="sources",
                severity=Severity.ERROR,
                object=str(parts.config.path),
                message="no source is configured: nothing is protected",
                hint="Add [sources.NAME] with its url.",
            )
        )
    for number, name in enumerate(sources):
        on_progress("check sources", number, len(sources))
        _check_source(parts, name, report)
    return report.document()


def _check_schedules(parts: Parts, report: _Report) -> None:
    """Ask whoever fires the schedules whether it does as configured; flows register themselves for that."""
    for found in entry_points(group=SCHEDULES_ENTRY_POINT):
        compare: Callable[[Config], list[str]] = found.load()
        try:
            differences = compare(parts.config)
        except ProgramMissing as error:
            differences = [f"nothing fires backups from here: {error.message}"]
        except GoldcopyError as error:
            report.not_measured.append(NotMeasured(check="schedules", object=found.name, reason=str(error)))
            continue
        report.findings += [
            Finding(
                check="schedules",
                severity=Severity.WARNING,
                object=found.name,
                message=difference,
                hint="Run `goldcopy up`, or `prefect deploy --all` and `goldcopy deploy` (docs/deploying.md).",
            )
            for difference in differences
        ]
        if not differences:
            report.passed.append("schedules: deployments agree with the configuration")


def _check_source(parts: Parts, name: str, report: _Report) -> None:
    checks_path = parts.config.checks_path(name)
    if checks_path is not None:
        report.ask("checks", name, lambda: _checks(name, checks_path))
    report.ask("source", name, lambda: _source(parts, name, report))


def _checks(name: str, path: Path) -> str:
    load_checks(path)
    return f"{name}: checks in {path}"


def _source(parts: Parts, name: str, report: _Report) -> str:
    source, address = parts.config.source(name), parts.address(name)
    with address.connect(read_only=True) as connection:
        major = connection.info.server_version // 10000
        report.findings += _moved(parts, name, connection)
    client = choose_client(parts.toolsets, major)
    preflight = check_source(address, source, client_major=client.major, unreadable_known=unreadable_known(source.kind))
    report.findings += preflight.findings
    report.ask("restore-test", name, lambda: _scratch(parts, name, major))
    taken = f"pg_dump {client.version} from {client.origin}"
    why = (
        "the server's own major" if client.major == major else f"no tools of major {major} here, this is the next newer"
    )
    return f"{name}: {address.label}, server {major}; {taken} ({why})"


def _moved(parts: Parts, name: str, connection: Connection) -> Iterator[Finding]:
    """Say when the url leads elsewhere than at the last backup; without a repository there was none."""
    with suppress(StoreProblem, ConfigInvalid):
        move = look_at_identity(connection, parts.repository().newest_manifests(name, 1))
        if move.warning:
            refused = move.is_refused
            yield Finding(
                check="source-moved",
                severity=Severity.ERROR if refused else Severity.WARNING,
                object=name,
                message=move.warning,
                hint=moved_hint(name) if refused else "Correct the url, unless this is meant.",
            )


def _scratch(parts: Parts, name: str, major: int) -> str:
    configured = parts.scratch_address()
    if configured is not None:
        return f"{name}: restore tests run on {configured.label}"
    server, _missing = choose_server(parts.toolsets, major, needs_icu=False, extensions=())
    return f"{name}: restore tests run on a throwaway server {server.version} from {server.origin}"


def _repository(parts: Parts, now: datetime) -> str:
    repository = parts.repository_for_writing(now)
    return f"repository: {repository.url}, sealed to {counted(len(repository.description.recipients), 'recipient')}"


def _write_read_delete(parts: Parts) -> str:
    """Every right that backups and cleanup need, tried on an object of no meaning."""
    key = f"sources/goldcopy-check/objects/00/{token_hex(32)}.{token_hex(4)}"
    content = b"goldcopy check"
    parts.store.put(key, content)
    try:
        if parts.store.get(key) != content:
            raise StoreRefused("the repository returns other bytes than were written", hint="Do not use this store.")
    finally:
        parts.store.delete(key)
    return "repository: write, read and delete work"


def _identity(parts: Parts) -> str:
    if not parts.config.file.repository.identity:
        return "identity: none here; this machine can back up, and cannot restore or test restores"
    parts.check_identity()
    return "identity: opens the repository"


def _plain_secrets(config: Config) -> Iterator[Finding]:
    for key in find_plain_secrets(config.file):
        yield Finding(
            check="plain-secret",
            severity=Severity.WARNING,
            object=key,
            message=f"{key} holds a secret in {config.path}, which many read and keep in version control",
            hint=f'Move the value out and write {key.rpartition(".")[2]} = "env:NAME" or "file:PATH"; then change it.',
        )


def _unusable_tools(parts: Parts) -> Iterator[Finding]:
    for toolset in find_unusable(parts.config.tools_folder):
        yield Finding(
            check="tools",
            severity=Severity.WARNING,
            object=str(toolset.folder),
            message=f"client tools in {toolset.folder} do not work: {toolset.reason}",
            hint="Mend or remove them; others are used meanwhile.",
        )
