"""Read what pg_restore prints: progress, and messages judged by rules.

The exit status of pg_restore says nothing in either direction: it is 0 after a restore that left policies out, and 1
after one whose only complaint was a setting the server does not know. So every error is judged by the rules below; one
that no rule knows fails. Row data that a server puts into its messages (`DETAIL: Key (id)=(7)`, `CONTEXT: COPY t,
line 1: "..."`) is dropped here and reaches no finding.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a message means for the restore."""

    FATAL = "fatal"
    """The restore could not go on: the server or the disk, not the backup."""
    EXPECTED = "expected"
    NOT_MEASURED = "not_measured"
    """The server cannot hold the object, so nothing is known about it."""
    UNKNOWN = "unknown"
    """No rule knows it: the restore failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreMessage:
    """One error or warning of pg_restore.

    Attributes:
        text: The message without row data, one line.
        object: What it is about, such as `TABLE DATA public orders`; may be empty.
        verdict: What it means.
        reason: Why, for every verdict but unknown.
    """

    text: str
    object: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreItem:
    """One step of pg_restore that began or ended.

    Attributes:
        dump_id: Its number in the table of contents.
        label: The entry as pg_restore prints it, such as `TABLE DATA orders`.
        state: `launching` and `finished` of an entry that a parallel job works on, `processing` of one that is done
            before the next line.
    """

    dump_id: int
    label: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    pattern: re.Pattern[str]
    verdict: Verdict
    reason: str


RULES = (
    _Rule(
        pattern=re.compile(r'unrecognized configuration parameter "(transaction_timeout|idle_session_timeout)"'),
        verdict=Verdict.EXPECTED,
        reason="newer pg_dump and pg_restore set it; this server does not know it, and a restore does not need it",
    ),
    _Rule(
        pattern=re.compile(r'schema "public" already exists'),
        verdict=Verdict.EXPECTED,
        reason="every new database has it; its owner, rights and comment are compared afterwards",
    ),
    _Rule(
        pattern=re.compile(r"^errors ignored on restore: \d+$"),
        verdict=Verdict.EXPECTED,
        reason="a summary; each of these errors is judged by itself",
    ),
    _Rule(
        pattern=re.compile(r'extension "[^"]+" is not available|could not open extension control file'),
        verdict=Verdict.NOT_MEASURED,
        reason="the server lacks this extension",
    ),
    _Rule(
        pattern=re.compile(r'extension "[^"]+" has no installation script'),
        verdict=Verdict.NOT_MEASURED,
        reason="the server lacks this version of the extension",
    ),
    _Rule(
        pattern=re.compile(r"compression method lz4 not supported|unsupported LZ4|ICU is not supported in this build"),
        verdict=Verdict.NOT_MEASURED,
        reason="the server was built without it",
    ),
    _Rule(
        pattern=re.compile(
            r"No space left on device|out of shared memory|out of memory|too many connections|too many clients"
            r"|could not (?:extend|write to) file|the database system is (?:shutting down|starting up|in recovery)"
        ),
        verdict=Verdict.FATAL,
        reason="the server ran out of room or was not ready",
    ),
    _Rule(
        pattern=re.compile(
            r"server closed the connection|terminating connection|connection to server|no connection to the server"
            r"|could not (?:send|receive) data|SSL SYSCALL|lost synchronization|a worker process died unexpectedly"
            r"|connection not open|canceling statement due to"
        ),
        verdict=Verdict.FATAL,
        reason="the connection to the server was lost or the statement was ended from outside",
    ),
    _Rule(
        pattern=re.compile(r"unsupported version \(|aborting because of server version mismatch"),
        verdict=Verdict.FATAL,
        reason="this pg_restore is too old for the dump",
    ),
)
"""The first rule that fits decides; each carries its reason."""

_UNQUALIFIED = re.compile(r'\b(?:function|relation|type|operator|collation) "?[^".\s]+"?(?:\(.*)? does not exist')
_REFUSED_ROW = re.compile(r"violates check constraint|value for domain .* violates")

_NO_RIGHT = re.compile(r"permission denied for (?:database|schema)\b|permission denied to create")
_THERE_ALREADY = re.compile(r"\balready exists")

_PREFIX = re.compile(r"pg_restore: (?:\[[^\]]*\] )?")
_TOC_ENTRY = re.compile(r"from TOC entry \d+; \d+ \d+ (.*)")
_ITEM = re.compile(r"(launching|finished|processing) item (\d+) (.*)")
_COPY_FAILED = re.compile(r'COPY failed for table "(.*?)": ')
_ERROR = re.compile(r"(error|warning|fatal): ")
_QUOTED_VALUE = re.compile(r'\b(value|string|token|key|date/time field value|time zone|label)\s+"(?:[^"]|"")*"')
# What Postgres and pg_restore say of themselves: words that no row can bring in.
_SHAPES = re.compile(
    r"does not exist|already exists|permission denied|must be (owner|superuser|member)|could not|cannot|can not|"
    r"violates [\w -]+ constraint|null value in column|is of type|is not |is no |are not |unrecognized|syntax error|"
    r"invalid |out of (range|memory|shared memory)|not been populated|No space left|server closed|connection|"
    r"terminat|cancel|unsupported|duplicate key|too (long|many|large)|division by zero|requires|ambiguous|"
    r"pg_restore|errors ignored|exit status|signal|started|stopped|crash|shut|recovery|disk|file|locale|encoding|"
    r"encrypt|deadlock|lock|limit|exceed|depends|missing|failed|unknown|unexpected|conflict|recursi|infinite"
)
_VALUE = re.compile(r':\s*"(?:[^"]|"")*"')
_COPY_PLACE = re.compile(r"^(?:CONTEXT:\s+)?(COPY .*?, line \d+(?:, column [^:]+)?)")


class MessageReader:
    """Turns the lines of `pg_restore --verbose` into items and messages; feed it every line in order."""

    def __init__(self) -> None:
        self._messages: list[RestoreMessage] = []
        self._toc_entry = ""
        self._open: tuple[str, str] | None = None
        self._has_ignored = False
        self._error_count = 0

    def feed(self, line: str) -> RestoreItem | None:
        """Take one line; return an item when the line tells of one."""
        prefix = _PREFIX.match(line)
        if not prefix:
            self._continue(line)
            return None
        self._close()
        text = line[prefix.end() :]
        if entry := _TOC_ENTRY.fullmatch(text):
            self._toc_entry = entry[1]
        elif error := _ERROR.match(text):
            self._open = (error[1], text[error.end() :])
        return _item(text)

    def messages(self, exit_code: int) -> tuple[RestoreMessage, ...]:
        """Return all messages, with what the exit status and pg_restore's own count add to them."""
        self._close()
        messages = list(self._messages)
        if self._has_ignored and not self._error_count:
            messages.append(_unknown("pg_restore says that it ignored errors, and printed none"))
        if exit_code != 0 and not any(message.verdict is not Verdict.EXPECTED for message in messages):
            expected_errors = exit_code == 1 and self._error_count > 0
            if not expected_errors:
                messages.append(_unknown(f"pg_restore ended with {_status(exit_code)} and gave no reason"))
        return tuple(messages)

    def _continue(self, line: str) -> None:
        if self._open and (place := _COPY_PLACE.match(line)):
            level, text = self._open
            self._open = (level, f"{text} ({place[1]})")

    def _close(self) -> None:
        if self._open is None:
            return
        level, text = self._open
        self._open = None
        if text.startswith("errors ignored on restore: "):
            self._has_ignored = True  # its number is no count: a job that met one error counts all its later entries
        elif level != "warning":
            self._error_count += 1
        table = _COPY_FAILED.search(text)
        self._messages.append(judge_message(text, f"TABLE DATA {table[1]}" if table else self._toc_entry))


def hint_for(message: RestoreMessage, *, is_scratch: bool) -> str:
    """Say what to do about a message that no rule excuses; on a scratch server it is never the server's fault."""
    if not is_scratch and (hint := _destination_hint(message)):
        return hint
    if _UNQUALIFIED.search(message.text):
        return (
            "A restore runs with an empty search_path: a function in the object's definition names something without "
            "its schema. Write the schema before the name there, or give the function SET search_path; then back up."
        )
    if _REFUSED_ROW.search(message.text):
        return (
            "Rows that are at the source do not fit its own CHECK when they are loaded: it reads another table, or was "
            "changed later. Use a trigger or a foreign key instead, or correct the rows; then back up."
        )
    return "It is not restored as it was; mend it at the source, or restore an older backup."


def _destination_hint(message: RestoreMessage) -> str:
    if _THERE_ALREADY.search(message.text):
        return "The destination holds it already: restore into a new, empty database, or drop it there first."
    # A materialized view is filled as its owner, whose rights are those of the backup.
    if _NO_RIGHT.search(message.text) and not message.object.startswith("MATERIALIZED VIEW DATA"):
        return "The role lacks this right at the destination. Grant it there, or connect as the database's owner."
    return ""


def judge_message(text: str, about: str) -> RestoreMessage:
    """Judge one message by the rules, and take row data out of it."""
    for rule in RULES:
        if rule.pattern.search(text):
            return RestoreMessage(text=without_data(text), object=about, verdict=rule.verdict, reason=rule.reason)
    return RestoreMessage(text=without_data(text), object=about, verdict=Verdict.UNKNOWN)


def without_data(text: str) -> str:
    """Take row data out of a server's message.

    Quoted values after a colon go (`invalid input syntax for type integer: "secret"`), names stay.
    """
    if named := _COPY_FAILED.search(text):
        return text[: named.end()] + _masked(text[named.end() :])
    return _masked(text)


def _masked(text: str) -> str:
    """Keep the shape of a message of Postgres' own; one that the source's code made up may quote anything."""
    masked = _QUOTED_VALUE.sub(r"\1 (a value)", _VALUE.sub(": (a value)", text))
    return (
        masked
        if _SHAPES.search(masked)
        else "a message that may hold data, and is not shown; restore by hand to see it"
    )


def _item(text: str) -> RestoreItem | None:
    match = _ITEM.fullmatch(text)
    return RestoreItem(dump_id=int(match[2]), label=match[3], state=match[1]) if match else None


def _status(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"


def _unknown(text: str) -> RestoreMessage:
    return RestoreMessage(text=text, object="", verdict=Verdict.UNKNOWN)
