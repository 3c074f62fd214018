"""What is special about a Supabase project's connection, and about data that its dump role cannot read.

Facts, as of 2026: hosted projects answer at `db.<ref>.supabase.co` and `<region>.pooler.supabase.com`; port 5432 is a
direct or a session-mode connection, 6543 is transaction mode, which preflight refuses for every kind of source; the
servers' certificates are signed by Supabase's own authority, so `require` is what works without its file.
"""

from shared.domain.manifest import Exclusion
from shared.domain.source import SourceKind

_HOSTED = (".supabase.co", ".supabase.com")
_NO_GRANTS = "Supabase grants the dump role no access to it"
_OWN_HISTORY = "Supabase's own migration history, which newer projects keep from the dump role"
_KEY_ELSEWHERE = "sealed with a key outside the database, and not readable by the dump role; keep its content elsewhere"
_UNREADABLE = (
    Exclusion(object="storage.buckets_vectors", reason=_NO_GRANTS),
    Exclusion(object="storage.vector_indexes", reason=_NO_GRANTS),
    Exclusion(object="auth.schema_migrations", reason=_OWN_HISTORY),
    Exclusion(object="storage.migrations", reason=_OWN_HISTORY),
    Exclusion(object="realtime.schema_migrations", reason=_OWN_HISTORY),
    Exclusion(object="vault.secrets", reason=_KEY_ELSEWHERE),
    Exclusion(object="pgsodium.key", reason=_KEY_ELSEWHERE),
)

HOSTED_EXTENSIONS = frozenset(
    {
        "http", "hypopg", "index_advisor", "pg_cron", "pg_graphql", "pg_hashids", "pg_jsonschema", "pg_net",
        "pg_repack", "pg_tle", "pgaudit", "pgjwt", "pgmq", "pgroonga", "pgsodium", "pgtap", "plpgsql_check", "plv8",
        "postgis", "rum", "supabase_vault", "timescaledb", "vector", "wrappers",
    }
)  # fmt: skip
"""Extensions of hosted projects that a plain Postgres does not bring: what needs them is not measured there."""


def is_supabase_host(host: str) -> bool:
    """Whether a host, or one of a comma-separated list, is Supabase's own."""
    return any(name.strip().lower().rstrip(".").endswith(_HOSTED) for name in host.split(","))


def connection_defaults(host: str) -> dict[str, str]:
    """Return libpq parameters that a project needs unless its URL says otherwise.

    Args:
        host: As in the URL; a self-hosted project, or one on this machine, may have no TLS.
    """
    # The pooler answers GSS negotiation in a way that libpq 15 and older take for an error.
    defaults = {"gssencmode": "disable"}
    return defaults | {"sslmode": "require"} if is_supabase_host(host) else defaults


def unreadable_known(kind: SourceKind) -> tuple[Exclusion, ...]:
    """Return the tables that a dump leaves out, and records, where they exist and the dump role cannot read them."""
    return _UNREADABLE if kind is SourceKind.SUPABASE else ()
