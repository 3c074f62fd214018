"""Fixtures that every test may use, and the order of the files."""

import os

import pytest
from hypothesis import settings

# Chance finds new mistakes at a developer's desk; what judges a change answers the same for the same change.
settings.register_profile("same", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("same")

pytest_plugins = [
    "tests.support.catalogs",
    "tests.support.certificates",
    "tests.support.postgres_servers",
    "tests.support.s3_server",
    "tests.support.site",
    "tests.support.browser",
    "tests.support.app_catalog",  # uses others of these: stands behind them
    "tests.support.app_findings",
]
_ORDER = ("tests/e2e/test_up.py", "tests/e2e/", "tests/integration/", "tests/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that of two processes side by side none waits long for the other.

    Within each group the order stays the one that chance gave.
    """
    items.sort(key=lambda item: next(rank for rank, name in enumerate(_ORDER) if item.nodeid.startswith(name)))
