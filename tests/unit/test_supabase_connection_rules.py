"""Which hosts are Supabase's own, and what a connection to them needs."""

import pytest

from shared.domain.source import SourceKind
from shared.supabase.rules import connection_defaults, is_supabase_host, unreadable_known


@pytest.mark.parametrize(
    ("host", "is_hosted"),
    [
        ("db.abcdefghijklmnopqrst.supabase.co", True),
        ("aws-0-eu-central-1.pooler.supabase.com", True),
        ("DB.ABC.Supabase.CO.", True),
        ("10.0.0.1,db.abc.supabase.co", True),
        ("localhost", False),
        ("", False),
        ("supabase.co.example.org", False),
        ("notsupabase.co", False),
    ],
)
def test_hosted_projects_are_known_by_host(host: str, is_hosted: bool) -> None:
    assert is_supabase_host(host) is is_hosted


def test_hosted_projects_get_tls_and_self_hosted_ones_are_left_to_their_url() -> None:
    assert connection_defaults("db.abc.supabase.co") == {"gssencmode": "disable", "sslmode": "require"}
    assert connection_defaults("localhost") == {"gssencmode": "disable"}


def test_known_unreadable_tables_are_a_matter_of_supabase_sources() -> None:
    assert unreadable_known(SourceKind.POSTGRES) == ()
    names = {item.object for item in unreadable_known(SourceKind.SUPABASE)}
    assert {"storage.buckets_vectors", "storage.vector_indexes", "vault.secrets"} <= names
