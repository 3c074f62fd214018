"""Are we safe, one source, findings, recovery, requests: what they say in each state, and what people can do there."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from monitor_app import auth, data, site
from monitor_app.actions import findings, requests
from monitor_app.site import Site
from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.restore_requests import RequestState, RestoreRequest
from shared.cli.main import cli
from shared.clock import utc_now
from shared.config.load import Config
from shared.domain.person import Person, Role
from shared.errors import BackupUnknown, NotAllowed, UsageProblem
from tests.support.app_catalog import PAYLOADS, write_app_config
from tests.support.app_findings import find_something_odd, look_once, request_of
from tests.support.catalogs import complete, make_manifest, make_table

APP = Path(site.__file__).with_name("app.py")
OLGA = Person(name="olga@example.com", role=Role.OPERATOR)
VERA = Person(name="vera@example.com", role=Role.VIEWER)
TEXTS = ("title", "header", "caption", "markdown", "error", "warning", "info", "success", "text", "table")
SAFE_PAGES = ("overview", "source", "findings", "recovery", "requests")


@pytest.fixture(autouse=True)
def shown(app_config: Config) -> Iterator[Site]:
    """The app shows the test's own catalog."""
    data.forget()
    yield site.use(app_config)
    site.current().close()
    data.forget()


def run(page: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(APP), default_timeout=60).run()
    for name, value in query.items():
        test.query_params[name] = value
    if page != "overview":
        test.switch_page(f"app_pages/{page}.py").run()
    assert not test.exception
    return test


def words(test: AppTest) -> str:
    """All that stands on the page, titles of boxes included, without the entities that keep text harmless."""
    found: list[str] = []
    for kind in TEXTS:
        for item in test.get(kind):
            proto = getattr(item, "proto", None)
            found += [str(getattr(item, "value", "")), str(getattr(proto, "title", ""))]
    return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), "\n".join(found)).replace("\u2060", "")


def numbers(test: AppTest) -> dict[str, str]:
    return {str(metric.label): str(metric.value) for metric in test.metric}


def test_first_page_answers_in_its_title_and_names_the_worst(watched: Catalog) -> None:
    test = run("overview")
    said = words(test)
    assert test.title[0].value.startswith("Not safe")
    assert "2 of 4 sources are past their recovery point objective" in said
    assert "Worst: warehouse" in said
    assert "4 sources need someone" in said
    assert "nobody has taken it yet" in said
    assert "goldcopy backup warehouse" in said
    assert numbers(test)["Within objective"] == "2 of 4"
    assert not test.get("plotly_chart")
    assert not test.dataframe


def test_first_page_shows_no_chart_and_a_strip_that_names_every_source(watched: Catalog) -> None:
    test = run("overview")
    strips = [str(item.proto.body) for item in test.get("html")]
    assert len(strips) == 1
    for name in ("audit-log", "billing", "shop", "warehouse"):
        assert f">{name}<" in strips[0]


def test_without_a_source_the_first_page_says_how_to_begin(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    config = write_app_config(folder, sources=())
    open_catalog(config.catalog_url).close()
    site.use(config)
    for page in ("overview", "source", "recovery"):
        said = words(run(page))
        assert "Register a database to start" in said
        assert "goldcopy check" in said


def test_new_sources_are_told_when_protection_begins_and_nothing_is_a_success(shown: Site) -> None:
    test = run("overview")
    said = words(test)
    assert "Not safe yet: 4 sources without a first backup" in said
    assert "nothing is protected" in said
    assert not test.success
    assert not test.error
    assert "never backed up, nothing is protected" in words(run("source", source="shop"))


def test_one_source_shows_exposure_sizes_days_runs_and_evidence(watched: Catalog) -> None:
    test = run("source", source="billing")
    said = words(test)
    assert said.startswith("billing is not safe: the restore test of")
    assert "Next backup expected" in said
    assert "The last restore test failed" in said
    charts = [json.loads(item.proto.spec) for item in test.get("plotly_chart")]
    assert len(charts) == 3
    assert all(item.proto.alt for item in test.get("plotly_chart"))
    for chart in charts:
        for trace in chart["data"]:
            assert trace["type"] == "scatter"
            assert len(trace.get("x", [])) <= 2000
    rows = [str(cell) for frame in test.dataframe for cell in frame.value.to_numpy().ravel()]
    assert any("restored table has 120,771 rows, the source had 120,900" in cell for cell in rows)


@pytest.mark.parametrize("page", SAFE_PAGES)
def test_a_viewer_is_offered_nothing_that_changes_anything(
    page: str, watched: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: VERA)
    assert {button.label for button in run(page).button} - {"Sign out"} == set()


@pytest.mark.parametrize(
    ("page", "offered"),
    [
        ("source", {"Back up now", "Run a restore test", "Hold"}),
        ("findings", {"Acknowledge"}),
        ("requests", {"Ask for a restore"}),
    ],
)
def test_an_operator_is_offered_what_fits_the_page(
    page: str, offered: set[str], watched: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: OLGA)
    test = run(page, source="shop") if page == "source" else run(page)
    assert offered <= {button.label for button in test.button}


def test_findings_are_open_taken_or_over_and_each_is_told_once(watched: Catalog, shown: Site) -> None:
    test = run("findings")
    said = words(test)
    assert test.title[0].value.startswith("6 open")
    assert "The dump's size is 3 B" in said
    assert said.count("failed at") == 1
    incident = next(item for item in watched.incidents(open_only=True) if item.source == "audit-log")
    findings.acknowledge_incident(shown, OLGA, "token", incident_id=incident.id, reason="disk is being replaced")
    data.forget()
    assert run("findings").title[0].value.startswith("5 open")
    assert "taken by olga@example.com" in words(run("overview"))
    taken = run("findings", state="acknowledged")
    assert "disk is being replaced" in words(taken)


def test_requests_are_listed_with_their_state(watched: Catalog) -> None:
    test = run("requests")
    assert "1 waits to be carried out" in words(test)
    assert "approv" not in words(test)
    shown = test.dataframe[0].value
    assert list(shown["State"]) == ["○ waits"]
    assert list(shown.columns)[:3] == ["Asked", "State", "Asked by"]
    asked = watched.restore_requests(limit=1)[0]
    command = f"goldcopy restore {asked.backup_id} --to DESTINATION --table public.orders"
    assert command in [str(item.value) for item in test.code]


@pytest.mark.parametrize(("state", "word"), [(RequestState.DONE, "✓ done"), (RequestState.REFUSED, "✕ withdrawn")])
def test_whoever_carried_a_request_out_or_withdraws_it_closes_it_once(
    state: RequestState, word: str, watched: Catalog, shown: Site
) -> None:
    number = watched.restore_requests(limit=1)[0].id
    with pytest.raises(NotAllowed):
        requests.close_request(shown, VERA, "t1", number=number, state=state, reason="it is back")
    with pytest.raises(UsageProblem, match="reason is missing"):
        requests.close_request(shown, OLGA, "t2", number=number, state=state, reason=" ")
    for _ in range(3):
        requests.close_request(shown, OLGA, "t3", number=number, state=state, reason="it is back")
    found = watched.restore_requests(limit=1)[0]
    assert (found.state, found.decided_by, found.decision_reason) == (state, OLGA.name, "it is back")
    with pytest.raises(UsageProblem, match="is not open"):
        requests.close_request(shown, OLGA, "t4", number=number, state=state, reason="again")
    actions = [entry.action for entry in watched.newest_audit_entries(100)]
    assert actions.count("restore.request-close") == 2  # the second one was refused, and says so
    data.forget()
    test = run("requests")
    assert list(test.dataframe[0].value["State"]) == [word]
    assert not test.code
    assert "Nobody waits for a restore" in words(test)


def test_recovery_says_who_is_not_shown_to_restore(watched: Catalog) -> None:
    test = run("recovery")
    said = words(test)
    assert "of 4 sources have passed no restore test" in said
    assert re.search("1 of [23] restore tests in the last 30 days failed", said)  # the third is about 30 days old
    assert "2 of 4" in said


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_hostile_text_stays_text_on_every_page(number: int, app_config: Config, shown: Site) -> None:
    payload, now = PAYLOADS[number], utc_now()
    with open_catalog(app_config.catalog_url, actor=payload) as catalog:
        at = now - timedelta(hours=2)
        complete(catalog, make_manifest(at=at, source="shop", reason=payload, tables=(make_table(payload),)))
        find_something_odd(catalog, now, sentence=payload, name=payload)
        look_once(catalog, app_config, now)
        incident = next(item for item in catalog.incidents(open_only=True) if item.source == "shop")
        catalog.acknowledge([incident.id], by=payload, reason=payload, now=now)
        catalog.request_restore("token", request_of(catalog, text=payload), actor=payload, now=now)
    for page in SAFE_PAGES:
        test = run(page, state="acknowledged") if page == "findings" else run(page)
        for kind in TEXTS:
            for item in test.get(kind):
                value = str(getattr(item, "value", ""))
                for raw in ("![x](", "[click me](", "<script", "<img", "://outside", ":red-badge[SAFE"):
                    assert raw not in value or "`` " in value
        for html in test.get("html"):
            assert "<img" not in html.proto.body
            assert "<script" not in html.proto.body


def test_command_line_metrics_and_page_tell_the_same_numbers(watched: Catalog, app_config: Config) -> None:
    base = ["--config", str(app_config.path)]
    told = json.loads(CliRunner().invoke(cli, [*base, "status", "--json"], standalone_mode=False).output)
    metrics = CliRunner().invoke(cli, [*base, "metrics"], standalone_mode=False).output
    test = run("overview")
    page = data.fleet().status.document()
    for one, other in zip(told["sources"], page["sources"], strict=True):
        for key, value in one.items():
            if key in {"exposure_seconds", "proven_exposure_seconds"}:
                assert (value is None) == (other[key] is None)
                assert value is None or abs(value - other[key]) < 120
            elif key != "reasons":
                assert value == other[key], key
        assert [reason["code"] for reason in one["reasons"]] == [reason["code"] for reason in other["reasons"]]
    within = sum(item["rpo_met"] is True for item in told["sources"])
    assert numbers(test)["Within objective"] == f"{within} of {len(told['sources'])}"
    proven = sum(item["proven_met"] is True for item in told["sources"])
    assert numbers(test)["Proven in time"] == f"{proven} of {len(told['sources'])}"
    needing = sum(item["health"] != "green" for item in told["sources"])
    assert f"{needing} sources need someone" in words(test)
    for item in told["sources"]:
        line = re.search(
            rf'^goldcopy_source_exposure_seconds{{source="{item["source"]}"}} (\S+)$', metrics, re.MULTILINE
        )
        assert (line is None) == (item["exposure_seconds"] is None)
        if line is not None:
            assert abs(float(line[1]) - item["exposure_seconds"]) < 120


def test_only_who_may_takes_a_finding_and_says_why(watched: Catalog, shown: Site) -> None:
    incident = watched.incidents(open_only=True)[0]
    with pytest.raises(NotAllowed):
        findings.acknowledge_incident(shown, VERA, "t1", incident_id=incident.id, reason="mine")
    with pytest.raises(UsageProblem, match="reason is missing"):
        findings.acknowledge_incident(shown, OLGA, "t2", incident_id=incident.id, reason=" ")
    with pytest.raises(UsageProblem, match="no open incident"):
        findings.acknowledge_incident(shown, OLGA, "t3", incident_id="nothing#1", reason="mine")
    for _ in range(3):
        findings.acknowledge_incident(shown, OLGA, "t4", incident_id=incident.id, reason="mine")
    actions = [entry.action for entry in watched.newest_audit_entries(100)]
    assert actions.count("incident.acknowledge") == 1


def test_an_anomaly_is_acknowledged_once_and_colours_nothing_any_more(watched: Catalog, shown: Site) -> None:
    number = watched.open_anomalies("shop")[0].id
    for _ in range(3):
        findings.acknowledge_anomaly(shown, OLGA, "token", number=number, reason="a big import")
    assert watched.open_anomalies("shop") == ()
    data.forget()
    assert "2 sources need someone" not in words(run("overview"))


def test_only_who_may_asks_for_a_restore_of_what_can_be_restored(watched: Catalog, shown: Site) -> None:
    request = request_of(watched)
    with pytest.raises(NotAllowed):
        requests.ask_for_restore(shown, VERA, "t1", request)
    for _ in range(3):
        requests.ask_for_restore(shown, OLGA, "t2", request)
    assert len(watched.restore_requests(limit=10)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reason": " "}, "reason is missing"),
        ({"destination": ""}, "destination is missing"),
        ({"destination": "postgresql://u:secret@db/app"}, "holds a password"),
        ({"destination": "host=db password=secret"}, "holds a password"),
        ({"destination": "x" * 201}, "longer than"),
        ({"tables": ("orders",)}, "not the name of a table"),
        ({"tables": ("a.b",) * 101}, "more than 100 tables"),
        ({"source": "billing"}, "not a backup of billing"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    change: dict[str, object], message: str, watched: Catalog, shown: Site
) -> None:
    asked = request_of(watched)
    values = {name: getattr(asked, name) for name in ("source", "backup_id", "tables", "destination", "reason")}
    with pytest.raises(UsageProblem, match=message):
        requests.ask_for_restore(shown, OLGA, "token", RestoreRequest(**(values | change)))
    with pytest.raises(BackupUnknown):
        requests.ask_for_restore(shown, OLGA, "token", RestoreRequest(**(values | {"backup_id": "nothing"})))
    assert len(watched.restore_requests(limit=10)) == 1
