"""Say in one sentence why pg_dump ended badly, on which object, and what to do."""

import re
from collections.abc import Callable

from shared.errors import (
    GoldcopyError,
    ProgramFailed,
    SourceChanged,
    SourceLocked,
    SourceRefused,
    SourceUnreachable,
    SpaceExhausted,
)

_CHANGED = "Run the backup again; nothing was kept of this one."

_ERROR = re.compile(r"^pg_dump: error: (?:query failed: )?(?:ERROR:\s+)?([^\n]+)", re.MULTILINE)
_SERVER_ERROR = re.compile(r"Error message from server: ([^\n]+)")

_SERVERS_WORDS = re.compile(r"(terminating connection[^\n]*|the database system is [^\n]*)")
_AT_TABLE = re.compile(r'Dumping the contents of table "([^\n]*)" failed')


def _gone(match: re.Match[str]) -> GoldcopyError:
    """What the server said itself tells more than what its client noticed first."""
    said = (_SERVERS_WORDS.search(match.string) or match)[1].strip().rstrip(".")
    table = _AT_TABLE.search(match.string)
    where = f" of table {table[1]}" if table else ""
    return SourceUnreachable(
        f"the source went away during the dump{where}: {said}",
        hint="Check the server's log and the network, then run the backup again; nothing was kept of this one.",
    )


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], GoldcopyError]], ...] = (
    (
        # pg_dump waits for its locks under statement_timeout, which is 0 otherwise
        re.compile(
            r"canceling statement due to (?:lock|statement) timeout"
            r"(?:.*?LOCK TABLE (?:ONLY )?([^\n]{1,200}?) IN ACCESS SHARE)?",
            re.DOTALL,
        ),
        lambda match: SourceUnreachable(
            f"another session holds a lock on {match[1] or 'a table'} that keeps the dump from starting",
            hint="Find it in pg_stat_activity and pg_locks (often a migration or a VACUUM FULL), or raise `lock_wait`.",
        ),
    ),
    (
        re.compile(r"could not obtain lock on relation ([^\n]+)"),
        lambda match: SourceLocked(
            f"another session waits for {match[1].strip()} for itself, and parallel jobs cannot share it any more",
            hint="Run the backup again, or let it run with one job: `jobs = 1` of the source.",
        ),
    ),
    (
        re.compile(r'permission denied for (\w[\w ]*?) ("?[^\n]+)'),
        lambda match: SourceRefused(
            f"the dump role may not read {match[1]} {match[2].strip()}",
            hint="Run `goldcopy check`: it prints the GRANT that mends this; or exclude the object on purpose.",
        ),
    ),
    (
        re.compile(r'query would be affected by row-level security policy for table ("?[^\n]+)'),
        lambda match: SourceRefused(
            f"row security would hide rows of {match[1].strip()} from the dump role",
            hint="Give the role BYPASSRLS, or dump with a role that has it; `goldcopy check` prints the statement.",
        ),
    ),
    (
        re.compile(r"No space left on device"),
        lambda _match: SpaceExhausted(
            "the disk of the scratch folder ran full during the dump",
            hint="Free space there, or point `[scratch] folder` to a larger disk, and run the backup again.",
        ),
    ),
    (
        re.compile(r"server version: ([^;\n]+); pg_dump version: ([^\n]+)"),
        lambda match: ProgramFailed(
            f"pg_dump {match[2]} is older than the server {match[1]}",
            hint=f"Run `goldcopy tools add {match[1].split('.')[0]}`.",
        ),
    ),
    (
        re.compile(
            r"((?:relation|table|column|type|schema|function) [^\n]{1,200} does not exist|cache lookup failed[^\n]*"
            r"|could not open relation with OID \d+|could not find [^\n]+)"
        ),
        lambda match: SourceChanged(f"the database changed while the dump was starting: {match[1]}", hint=_CHANGED),
    ),
    (
        re.compile(
            r"(server closed the connection unexpectedly|terminating connection[^\n]*"
            r"|connection to server[^\n]*failed[^\n]*|could not receive data from server[^\n]*"
            r"|SSL SYSCALL error[^\n]*|no connection to the server|the database system is [^\n]*"
            r"|lost synchronization with server[^\n]*|PQgetCopyData\(\) failed[^\n]*)"
        ),
        _gone,
    ),
    (
        re.compile(
            r"(invalid snapshot identifier|could not import the requested snapshot|snapshot \"[^\"]+\" does not exist)"
        ),
        lambda _match: SourceUnreachable(
            "the session that holds the dump's snapshot was lost",
            hint="Use a direct or session-mode connection, not a transaction-mode pooler, and run the backup again.",
        ),
    ),
)


def explain_dump_failure(exit_code: int, stderr_tail: str) -> GoldcopyError:
    """Choose the error that fits what pg_dump printed; the first rule that fits the last lines wins."""
    errors = "\n".join(line for line in stderr_tail.splitlines() if _tells(line))
    for pattern, make in _RULES:
        if match := pattern.search(errors):
            return make(match)
    last = errors.splitlines()[-1].strip() if errors else f"exit status {exit_code}"
    if exit_code < 0:
        last = f"it was ended by signal {-exit_code}"
    elif said := _ERROR.search(errors):
        server = _SERVER_ERROR.search(errors)  # other lines after it repeat pg_dump's own query
        last = said[1].strip() + (f" {server[1].strip()}" if server else "")
    return ProgramFailed(
        f"pg_dump failed: {last[:400]}",
        hint="Nothing was kept of this backup; mend what the message says and run it again.",
    )


def _tells(line: str) -> bool:
    """Verbose lines name steps; only errors, warnings and their details tell why."""
    return not re.match(r"pg_dump: (?!error|warning|detail|hint)", line) or "error" in line
