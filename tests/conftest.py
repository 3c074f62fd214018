"""Fixtures that every test may use."""

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
