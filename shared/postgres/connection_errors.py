"""Say why a connection failed: what, to which database, and what to do next; never with a secret in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from shared.errors import SourceProblem, SourceRefused, SourceUnreachable
from shared.postgres.scrubbing import scrub


@dataclass(frozen=True, slots=True)
class _Case:
    """A way for a connection to fail, known by libpq's, the server's or a pooler's words."""

    pattern: re.Pattern[str]
    kind: type[SourceProblem]
    what: str
    hint: str


def _case(pattern: str, kind: type[SourceProblem], what: str, hint: str) -> _Case:
    return _Case(re.compile(pattern, re.IGNORECASE), kind, what, hint)


# In order: the first that fits. Names of the classes follow the question "may it pass without a person?".
_CASES = (
    _case(
        r"EMAXCONNSESSION|max clients reached|no more connections allowed",
        SourceUnreachable,
        "the pooler has no free connection",
        "Wait, lower `jobs` of the source, or use the direct connection instead of the session pooler.",
    ),
    _case(
        r"too many (clients|connections)|remaining connection slots|connection limit exceeded",
        SourceUnreachable,
        "the server has no free connection",
        "Wait, lower `jobs` of the source, or raise max_connections or the role's connection limit.",
    ),
    _case(
        r"is starting up|in recovery mode|not yet accepting connections|is not accepting connections|shutting down",
        SourceUnreachable,
        "the server is starting or shutting down",
        "Wait until it accepts connections, then try again.",
    ),
    _case(
        r"no password supplied",
        SourceRefused,
        "the server asks for a password and none was given",
        "Put the password into the URL behind `env:` or `file:`, or into PGPASSWORD.",
    ),
    _case(
        r"password authentication failed|wrong password|SCRAM exchange|SASL authentication failed|bad_password",
        SourceRefused,
        "the server refused the password",
        "Mend the password (and check the role) first: repeated failures can get this address banned. "
        "After a password reset a pooler may take minutes to know the new one.",
    ),
    _case(
        r'role "[^"]*" does not exist|tenant or user not found|ENOTFOUND|no such user',
        SourceRefused,
        "the server does not know the role",
        "Check the user name; through Supabase's pooler it is postgres.PROJECT_REF.",
    ),
    _case(
        r'role "[^"]*" is not permitted to log in',
        SourceRefused,
        "the role may not log in",
        "Use a role with LOGIN.",
    ),
    _case(
        r'database "[^"]*" does not exist|no such database',
        SourceRefused,
        "the server has no such database",
        "Check the name behind the last slash of the URL.",
    ),
    _case(
        r"permission denied for database|CONNECT privilege",
        SourceRefused,
        "the role may not connect to the database",
        "GRANT CONNECT ON DATABASE to the role.",
    ),
    _case(
        r"no pg_hba\.conf entry.*(no encryption|SSL off)|SSL connection is required|requires? SSL|must use SSL|"
        r"connection is insecure",
        SourceRefused,
        "the server wants an encrypted connection",
        "Add sslmode=require (or verify-full with sslrootcert) to the URL.",
    ),
    _case(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects|address not in tenant allow_list|not allowed to connect",
        SourceRefused,
        "the server's access rules refuse this machine or role",
        "Allow this machine's address, database and role in pg_hba.conf or the network restrictions.",
    ),
    _case(
        r"server does not support SSL",
        SourceRefused,
        "the server does not offer the encrypted connection that sslmode asks for",
        "Switch TLS on at the server; lower sslmode only on a network you trust.",
    ),
    _case(
        r"certificate|root\.crt|SSL error|tlsv1|ssl handshake|SSL SYSCALL",
        SourceRefused,
        "the encrypted connection could not be established",
        "Check sslmode, sslrootcert and the name on the server's certificate.",
    ),
    _case(
        r"could not translate host name|name or service not known|nodename nor servname|failed to resolve host|"
        r"temporary failure in name resolution|no address associated",
        SourceUnreachable,
        "the host name is not known",
        "Check the name, the network and DNS; Supabase's direct hosts have IPv6 addresses only, and a paused project "
        "has none.",
    ),
    _case(
        r"connection refused|no such file or directory|is the server running",
        SourceUnreachable,
        "nothing accepts connections there",
        "Check that the server runs, and host and port.",
    ),
    _case(
        r"timeout expired|timed out|connection timeout",
        SourceUnreachable,
        "the server did not answer in time",
        "Check host, port, firewall and network restrictions; `connect_timeout` in the URL sets the time.",
    ),
    _case(
        r"network is unreachable|no route to host|host is unreachable|cannot assign requested address",
        SourceUnreachable,
        "there is no way to the host from this network",
        "Check the network; Supabase's direct hosts need IPv6, its session pooler works with IPv4.",
    ),
    _case(
        r"permission denied.*socket|socket.*permission denied|permission denied",
        SourceRefused,
        "this user may not use the server's socket",
        "Check the permissions of the socket's folder, and who runs Goldcopy.",
    ),
    _case(
        r"server closed the connection|connection reset|EOF detected|broken pipe|terminating connection|"
        r"consuming input failed|connection is (lost|closed|bad)|could not receive data|unexpected response",
        SourceUnreachable,
        "the connection was cut",
        "Look at the server's log and the network, then try again.",
    ),
)


def explain_connection_failure(
    error: psycopg.Error, label: str, parameters: Mapping[str, str] | None = None
) -> SourceProblem:
    """Turn psycopg's error into ours.

    Args:
        error: What psycopg raised, while connecting or later.
        label: The address for people.
        parameters: The address's parameters; the password among them is kept out of the message.

    Returns:
        `SourceUnreachable` when it may pass by itself, else `SourceRefused`.
    """
    secrets = [value for name, value in (parameters or {}).items() if "password" in name]
    said = scrub(str(error), *secrets)
    for case in _CASES:
        if case.pattern.search(said):
            return case.kind(f"cannot connect to {label}: {case.what}", hint=case.hint)
    kind = SourceUnreachable if isinstance(error, psycopg.OperationalError) else SourceRefused
    return kind(f"cannot connect to {label}: {_last_line(said)}", hint="See the server's log for its side of it.")


def explain_broken_connection(
    error: psycopg.Error, label: str, parameters: Mapping[str, str] | None = None
) -> SourceProblem:
    """Turn psycopg's error of a session that worked so far into ours.

    Returns:
        `SourceUnreachable` when the server or the line went away, else `SourceRefused`.
    """
    secrets = [value for name, value in (parameters or {}).items() if "password" in name]
    said = _last_line(scrub(str(error), *secrets))
    if isinstance(error, psycopg.OperationalError):
        return SourceUnreachable(
            f"{label} went away in the middle: {said}",
            hint="Check the server's log and the network, and run it again; nothing was kept of this run.",
        )
    return SourceRefused(f"{label} refused to be read: {said}", hint="Run `goldcopy check`; see the server's log.")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    return lines[-1][:300] if lines else "no message"
