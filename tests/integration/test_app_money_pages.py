"""The pages Storage and cost and Reports: numbers of the command line, files that are those of `goldcopy report`."""

from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from monitor_app import data, downloads, site
from monitor_app.components.text import scale_of
from monitor_app.navigation import PAGES
from shared.catalog.engine import Catalog
from shared.clock import utc_now
from shared.config.load import Config, load_config
from shared.domain.period import month_of
from shared.operations.report import make_report, save_report
from shared.wiring.reporting import report_request

APP = Path(site.__file__).with_name("app.py")
PRICES = '\n[prices]\ncurrency = "EUR"\nstorage_per_gb_month = 0.5\nbudget_per_month = 1\n'


@pytest.fixture(autouse=True)
def shown(app_config: Config) -> Iterator[None]:
    """The app shows the test's own catalog."""
    data.forget()
    site.use(app_config)
    yield
    site.current().close()
    data.forget()


def run(name: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(APP), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    page = next(item for item in PAGES if item.file == name)
    test.switch_page(str(page.path.relative_to(APP.parent))).run()
    assert not test.exception
    return test


def words(test: AppTest) -> str:
    kinds = ("title", "header", "caption", "markdown", "info", "table")
    return "\n".join(str(item.value) for kind in kinds for item in test.get(kind) if isinstance(item, Element))


def test_without_prices_no_money_is_shown(story: Catalog) -> None:
    test = run("storage")

    assert "stored" in test.title[0].value
    assert "What it costs is not known" in words(test)
    assert "EUR" not in words(test)


def test_with_prices_a_month_has_its_bill_and_the_budget_its_place(app_config: Config, story: Catalog) -> None:
    path = Path(app_config.path)
    path.write_text(path.read_text() + PRICES)
    site.use(load_config(str(path)))

    test = run("storage")

    bill = {row["For"]: row["Amount"] for row in test.dataframe[-1].value.to_dict("records")}
    assert bill["Storage"].endswith(" EUR")
    assert bill["Bytes read"] == "no price is set"
    assert "2.0 GB" in unescape(words(test)), "the budget of 1 EUR buys 2 GB"


def test_sizes_on_the_page_are_those_of_the_catalog(story: Catalog) -> None:
    test = run("storage")

    stored = story.stored_by_source()
    scale, unit = scale_of(max(stored.values()))
    shown = {row["Source"]: row[f"Stored {unit}"] for row in test.dataframe[0].value.to_dict("records")}
    assert shown == {name: size / scale for name, size in stored.items()}


def test_another_retention_can_be_tried_and_changes_nothing(app_config: Config, story: Catalog) -> None:
    before = Path(app_config.path).read_bytes(), len(story.backups())
    test = run("storage", source="shop")

    test.text_input(key="DAILY").set_value("3d")
    next(button for button in test.button if button.label == "Compare").click()
    test.run()

    assert not test.exception
    assert "fewer in the long run" in words(test)
    assert (Path(app_config.path).read_bytes(), len(story.backups())) == before


def test_a_rule_that_cannot_be_read_is_told_in_a_sentence(story: Catalog) -> None:
    test = run("storage", source="shop")

    test.text_input(key="DAILY").set_value("![x](http://evil)")
    next(button for button in test.button if button.label == "Compare").click()
    test.run()

    assert not test.exception
    assert any("is not a rule" in str(item.proto.title) for item in test.error)


def test_no_report_is_made_before_somebody_asks(story: Catalog) -> None:
    test = run("reports")

    assert test.title[0].value == "No report was written yet"
    assert not test.dataframe


def test_a_report_is_shown_with_every_control_and_its_files(app_config: Config, story: Catalog) -> None:
    period = month_of(utc_now()).label

    test = run("reports", period=period)
    before = test.title[0].value
    next(button for button in test.button if button.label == "Make the report").click()
    test.run()

    controls, exceptions = test.dataframe[0].value, test.dataframe[1].value
    assert len(controls) == 16
    assert test.title[0].value == before, "the title is about what was written"
    assert test.header[0].value.endswith("not measured")
    assert (controls["Exceptions"].sum(), controls["Not measured"].sum()) == (
        (exceptions["Kind"] == "exception").sum(),
        (exceptions["Kind"] == "not measured").sum(),
    )
    st.cache_data.clear()
    made = data.report(period, "")
    assert downloads.report_file(period, "", "report.pdf")() == next(
        item.data for item in made.files if item.name == "report.pdf"
    )
    assert downloads.report_archive(period, "")().startswith(b"PK")
    request = report_request(app_config, month_of(utc_now()), None)
    written = make_report(story, request, made.report.until)
    assert written.report == made.report, "the page and the command line say the same"


def test_reports_that_were_written_are_listed_with_their_digest(
    app_config: Config, story: Catalog, tmp_path: Path
) -> None:
    now = utc_now()
    made = make_report(story, report_request(app_config, month_of(now - timedelta(days=31)), None), now)
    save_report(story, made, tmp_path, now)

    test = run("reports")

    (row,) = test.dataframe[0].value.to_dict("records")
    assert row["Report"] == made.name
    assert row["SHA-256 of SHA256SUMS"] == made.files[-1].sha256
    assert str(test.title[0].value).startswith("Newest written report")
