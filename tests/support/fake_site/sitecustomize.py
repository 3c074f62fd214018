# ruff: noqa: INP001 - a folder for PYTHONPATH, not a package
"""Python imports this by itself when its folder is on PYTHONPATH: puts the fake workspace into child processes."""

import os

if os.environ.get("FAKE_WORKSPACE"):
    from tests.support.fake_workspace import install_as_wiring

    install_as_wiring()
