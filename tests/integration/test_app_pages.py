"""Every page in every state: empty, new, with a story, stale, catalog gone; and for every role."""

from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from monitor_app import auth, data, site
from monitor_app.navigation import PAGES, Page
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.config.load import Config
from shared.domain.person import Person, Role
from tests.support.app_catalog import PAYLOADS, fill
from tests.support.catalogs import complete, make_manifest, make_table

APP = Path(site.__file__).with_name("app.py")
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file)


@pytest.fixture(autouse=True)
def shown(app_config: Config) -> Iterator[None]:
    """The app shows the test's own catalog."""
    data.forget()
    site.use(app_config)
    yield
    site.current().close()
    data.forget()


def run(page: Page, **query: str) -> AppTest:
    """Run the app on a page."""
    test = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    if page is not PAGES[0]:
        test.switch_page(str(page.path.relative_to(APP.parent))).run()
    return test


def words(test: AppTest) -> str:
    """All that stands on the page."""
    kinds = ("title", "header", "caption", "markdown", "error", "warning", "info", "text", "table")
    return "\n".join(value for kind in kinds for value in values(test, kind))


def values(test: AppTest, kind: str) -> list[str]:
    """The texts of all elements of one kind."""
    return [str(item.value) for item in test.get(kind) if isinstance(item, Element)]


@EVERY_PAGE
def test_page_with_an_empty_catalog_says_what_to_do(page: Page) -> None:
    test = run(page)
    assert not test.exception
    assert test.title
    assert not test.error


@EVERY_PAGE
def test_page_of_sources_that_have_no_backup_yet_is_no_success(page: Page, app_config: Config) -> None:
    with open_catalog(app_config.catalog_url) as catalog:
        catalog.register_source("shop", "postgres", utc_now())
    test = run(page)
    assert not test.exception
    assert not test.success


@EVERY_PAGE
def test_page_with_a_story_has_a_finding_for_its_title(page: Page, story: Catalog) -> None:
    test = run(page)
    assert not test.exception
    assert not test.error or page.file not in {"history", "audit"}
    assert test.title[0].value.strip()


@EVERY_PAGE
def test_stale_page_says_so_on_top(page: Page, app_config: Config) -> None:
    with open_catalog(app_config.catalog_url) as catalog:
        fill(catalog, utc_now() - timedelta(days=2), days=5)
    test = run(page)
    assert any("These facts are old" in str(item.proto.title) for item in test.warning)


@EVERY_PAGE
@pytest.mark.parametrize("how", ["gone", "damaged", "newer"])
def test_page_without_a_catalog_shows_no_number_and_no_stack_trace(
    page: Page, app_config: Config, story: Catalog, how: str
) -> None:
    path = Path(app_config.catalog_url.removeprefix("sqlite:///"))
    run(page)  # it was well a moment ago, and everything is cached
    story.close()
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.unlink()
    if how == "damaged":
        path.write_bytes(b"this is no database" * 1000)
    if how == "newer":
        with open_catalog(app_config.catalog_url) as catalog, catalog._database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    test = run(page)
    assert [item.value for item in test.title] == ["Not known: the catalog cannot be read"]
    assert test.error
    assert not test.exception
    assert "Traceback" not in words(test)
    assert not test.dataframe


CHANGES_SOMETHING = {
    "source": {"Back up now"},
    "history": {"Back up now", "Log a backup made elsewhere"},
    "requests": {"Ask for a restore"},
}


@EVERY_PAGE
@pytest.mark.parametrize("role", list(Role))
def test_only_those_who_may_are_offered_what_changes_something(
    page: Page, role: Role, story: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: Person(name="someone@example.com", role=role))
    test = run(page)
    assert not test.exception
    harmless = {"Sign out", "Make the report"}
    offered = {str(button.label) for button in test.button} - harmless
    assert offered == (set() if role is Role.VIEWER else CHANGES_SOMETHING.get(page.file, set()))


@EVERY_PAGE
def test_page_asks_the_catalog_little_and_never_for_all_backups(page: Page, story: Catalog) -> None:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT") and "sqlite_" not in statement:
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        run(page)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked
    assert [sql for sql in asked if "FROM backup" in sql and "LIMIT" not in sql and "WHERE" not in sql] == []
    assert len(asked) <= 35  # the first page and the one that was switched to, all caches empty


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_from_outside_stays_text_on_the_page_of_a_backup(payload: str, app_config: Config) -> None:
    with open_catalog(app_config.catalog_url) as catalog:
        manifest = make_manifest(
            at=utc_now() - timedelta(hours=2), reason=payload, warnings=(payload,), tables=(make_table(payload),)
        )
        complete(catalog, manifest)
        catalog.place_hold(manifest.backup_id, owner=payload, reason=payload, now=utc_now())
    history = next(page for page in PAGES if page.file == "history")
    test = run(history, backup=manifest.backup_id)
    if history is not PAGES[0]:
        test.selectbox(key="backup").select(manifest.backup_id).run()
    assert not test.exception
    for kind in ("title", "header", "caption", "markdown", "error", "warning", "info", "table"):
        for value in values(test, kind):
            for raw in ("![x](", "[click me](", "<script", "<img", "://outside", ":red-badge["):
                assert raw not in value or value.startswith("`` ")


@pytest.mark.parametrize("result", ["proven", "not proven", "failed", "held", "running", "damaged", "expired"])
def test_history_filters_by_result(result: str, story: Catalog) -> None:
    history = next(page for page in PAGES if page.file == "history")
    test = run(history)
    test.selectbox(key="result").select(result).run()
    assert not test.exception
    assert str(test.title[0].value).endswith("match the filter")


def test_the_title_of_the_audit_page_counts_what_stands_in_its_table(story: Catalog) -> None:
    audit = next(page for page in PAGES if page.file == "audit")
    test = run(audit)
    before = len(story.audit_entries())
    assert test.title[0].value.startswith(f"{before} recorded actions")
    story.append_audit(actor="ada", action="hold.place", object_name="b1", details={"due_at": None}, now=utc_now())
    data.audit_entries.clear()
    data.audit_count.clear()

    test = run(audit)

    newest = story.newest_audit_entries(1)[0]
    assert newest.seq == before + 1
    assert unescape(str(test.title[0].value)) == f"{newest.seq:,} recorded actions, chain intact"
    assert test.code[0].value == newest.hash
    row = test.dataframe[0].value.to_dict("records")[0]
    assert (row["No."], row["Did"], row["Details"], row["Code"]) == (
        newest.seq,
        "held a backup",
        "due at: none",
        "hold.place",
    )


def test_altered_trail_is_the_title_of_the_audit_page(story: Catalog) -> None:
    with story._database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_entry_no_update")
        for row in connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {row[0]}")
        connection.exec_driver_sql("UPDATE audit_entry SET actor = 'nobody' WHERE seq = 7")
    audit = next(page for page in PAGES if page.file == "audit")
    test = run(audit)
    assert "altered" in str(test.title[0].value)
    assert "entry 7 was changed" in str(test.title[0].value)


def test_mistake_in_a_page_is_told_without_a_stack_trace(monkeypatch: pytest.MonkeyPatch, story: Catalog) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("monitor_app.data.source_names", broken)
    history = next(page for page in PAGES if page.file == "history")
    test = run(history)
    assert any("a mistake in Goldcopy" in str(item.proto.title).replace("&#", "") for item in test.error)
    assert "secret words" not in words(test)
