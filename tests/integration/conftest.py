"""Fixtures of the integration tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def prefect_backend() -> Iterator[None]:
    """One private Prefect API for all tests that need one; it takes ten seconds to start."""
    from tests.support.prefect_api import private_api

    with private_api():
        yield
