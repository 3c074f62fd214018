"""Where a sign-in may end: at a page of the app's own, and nowhere else."""

import pytest

from monitor_app.return_path import page_asked_for

PAGES = ("overview", "source", "history")
HOST = "backups.example.com:8501"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"https://{HOST}/source?source=shop&days=180", "/source?source=shop&days=180"),
        (f"https://{HOST}/history", "/history"),
        ("/source?source=a%20b%26c", "/source?source=a+b%26c"),
        (f"https://{HOST}/source?x=%0d%0aSet-Cookie:%20a=b", "/source?x=%0D%0ASet-Cookie%3A+a%3Db"),
    ],
)
def test_page_of_ours_is_taken(address: str, expected: str) -> None:
    assert page_asked_for(address, HOST, PAGES) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        f"https://{HOST}/",
        f"https://{HOST}/elsewhere",
        "https://evil.example/source",
        "//evil.example/source",
        "https://backups.example.com:8501@evil.example/source",
        "javascript:alert(1)",
        "\\\\evil.example/source",
        "/source/../auth/logout",
        "http://[broken/source",
        "/source?" + "x" * 2000,
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert page_asked_for(address, HOST, PAGES) == ""
