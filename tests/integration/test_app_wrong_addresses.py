"""A wrong name in the address of a page: it is said, and nothing of another source is shown."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from monitor_app import data, site
from monitor_app.navigation import FOLDER
from shared.catalog.engine import Catalog
from shared.config.load import Config

APP = Path(site.__file__).with_name("app.py")
PAYLOAD = "![x](http://outside.example/pixel.png)"


@pytest.fixture(autouse=True)
def shown(app_config: Config) -> Iterator[None]:
    """The app shows the test's own catalog."""
    data.forget()
    site.use(app_config)
    yield
    site.current().close()
    data.forget()


def run(page: str, **query: str) -> AppTest:
    """Run the app, and go to a page with something in its address."""
    test = AppTest.from_file(str(APP), default_timeout=60).run()
    for name, value in query.items():
        test.query_params[name] = value
    test.switch_page(str(FOLDER.relative_to(APP.parent) / f"{page}.py")).run()
    assert not test.exception
    return test


def problems(test: AppTest) -> list[str]:
    """Titles of the error boxes, entities resolved."""
    return [
        re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), str(item.proto.title)).replace("\u2060", "")
        for item in test.error
    ]


def drawn(test: AppTest) -> int:
    """How many facts there are: charts, tables, bordered findings with their badges."""
    return sum(len(test.get(kind)) for kind in ("plotly_chart", "arrow_data_frame", "table", "html", "badge", "header"))


@pytest.mark.parametrize(
    ("page", "key", "problem"),
    [
        ("source", "source", "There is no source nosuch"),
        ("findings", "source", "There is no source nosuch"),
        ("history", "source", "There is no source nosuch"),
        ("history", "backup", "There is no backup nosuch"),
        ("history", "result", "There is no result nosuch"),
        ("history", "kind", "There is no kind nosuch"),
    ],
)
def test_a_wrong_name_is_said_and_no_fact_of_another_is_shown(
    watched: Catalog, page: str, key: str, problem: str
) -> None:
    test = run(page, **{key: "nosuch"})
    assert problems(test) == [problem]
    assert test.selectbox(key=key).value == "nosuch"
    assert len(test.selectbox(key=key).options) > 1
    if key != "backup":
        assert drawn(test) == 0
        assert not test.dataframe
    assert not any(name in str(test.title[0].value) for name in ("shop", "audit", "billing", "warehouse"))
    again = test.run()
    assert problems(again) == [problem]


@pytest.mark.parametrize("page", ["source", "findings", "history"])
def test_whoever_chooses_another_one_sees_it(watched: Catalog, page: str) -> None:
    test = run(page, source="nosuch")
    test.selectbox(key="source").select("billing").run()
    assert problems(test) == []
    assert test.selectbox(key="source").value == "billing"


def test_a_source_in_good_order_has_no_findings_and_is_no_mistake(watched: Catalog) -> None:
    test = run("findings", source="warehouse", state="resolved")
    assert problems(test) == []
    assert test.selectbox(key="source").value == "warehouse"


@pytest.mark.parametrize("page", ["source", "findings", "history"])
def test_what_stands_in_the_address_stays_text(watched: Catalog, page: str) -> None:
    test = run(page, source=PAYLOAD)
    assert problems(test) == [f"There is no source {PAYLOAD}"]
    assert all("![x](" not in str(item.proto.title) for item in test.error)
