"""The web server around the pages: Streamlit's app, own routes, security headers, allowed hosts."""

import sys
from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).parent


def serve(*, host: str, port: int) -> None:
    """Serve until stopped."""
    # Streamlit looks for its config.toml beside the program that was started, which would be bin/goldcopy.
    sys.argv[:] = [str(FOLDER / "__main__.py")]
    st.App(FOLDER / "app.py").run(
        config={
            "server.address": host,
            "server.port": port,
            "server.headless": True,
            "server.fileWatcherType": "none",
            "server.enableAgentApi": False,
            "browser.gatherUsageStats": False,
        }
    )
