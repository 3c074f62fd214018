"""The app's script: page settings, sign-in, menu, how old the facts are; then the chosen page."""

from pathlib import Path

import streamlit as st

from monitor_app import navigation

ICON = str(Path(__file__).with_name("icon.png"))


def main() -> None:
    """Show the page that was asked for."""
    st.set_page_config(page_title="Goldcopy", page_icon=ICON, layout="wide")
    menu = [
        st.Page(page.path, title=page.title, icon=page.icon, url_path=page.address, help=page.question)
        for page in navigation.PAGES
    ]
    st.navigation(menu).run()


main()
