import pytest

from shared.postgres.process import installer_environment, minimal_environment
from shared.postgres.scrubbing import scrub


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter22",
        "PGPASSWORD=hunter22 rest",
        "password = 'hunter22 and more'",
        "Password: hunter22",
        "sslpassword=hunter22",
        "ALTER ROLE app PASSWORD 'hunter22'",
        "CREATE ROLE app LOGIN ENCRYPTED PASSWORD E'hunter22'",
        "postgresql://app:hunter22@h/shop",
        "could not parse postgres://app:p@hunter22@h",
        "postgresql+psycopg://app:hunter22@h/shop",
        "ALTER ROLE app PASSWORD 'SCRAM-SHA-256$4096:hunter22==$abc:def'",
        "stored SCRAM-SHA-256$4096:hunter22==$abc:def",
        "word hunter22 alone",
    ],
)
def test_whatever_looks_like_a_password_is_hidden(text: str) -> None:
    assert "hunter22" not in scrub(text, "hunter22")
    if "alone" not in text:
        assert "hunter22" not in scrub(text)


def test_ordinary_messages_stay_as_they_are() -> None:
    for text in (
        'pg_dump: error: password authentication failed for user "app"',
        'pg_restore: error: could not execute query: ERROR:  relation "public.password_resets" does not exist',
        "pg_dump: dumping contents of table public.secrets",
        "see https://www.postgresql.org/docs/",
    ):
        assert scrub(text) == text


def test_a_very_short_secret_does_not_eat_the_message() -> None:
    assert scrub("a table", "a") == "a table"


def test_the_minimal_environment_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    environment = minimal_environment(PGTZ="UTC")
    assert set(environment) <= {
        "PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "PGTZ",
    }  # fmt: skip
    assert environment["LC_ALL"] == "C"


def test_installers_get_index_and_proxy_settings_and_no_credentials_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.org/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    environment = installer_environment()
    assert environment["PIP_INDEX_URL"] == "https://index.example.org/simple"
    assert environment["https_proxy"] == "http://proxy.example.org:3128"
    assert "AWS_SECRET_ACCESS_KEY" not in environment
