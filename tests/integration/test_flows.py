"""The flows on a real Prefect API, with a fake workspace: fan-out, retries, idempotence, artifacts, plain failures."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

import flows.support
from flows import backup, cleanup, report, restore, restore_testing, verify
from shared.domain.backup import BackupKind
from shared.errors import GoldcopyError, SourceUnreachable
from tests.support.fake_workspace import FakeWorkspace, told
from tests.support.prefect_api import artifacts_of, logs_of, newest_run, task_runs_of

pytestmark = pytest.mark.usefixtures("prefect_backend")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (backup.back_up, backup.choose_sources, restore_testing.restore_test):
        monkeypatch.setattr(step, "retry_delay_seconds", 0.05)
        monkeypatch.setattr(step, "retry_jitter_factor", None)


@pytest.fixture
def workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("flows.support.open_workspace", lambda _config: FakeWorkspace(tmp_path))
    for module in (backup, cleanup, report, restore, restore_testing, verify):
        monkeypatch.setattr(module, "open_workspace", lambda: FakeWorkspace(tmp_path))
    return tmp_path


def test_backup_of_one_source_leaves_a_result_and_finished_progress(workspaces: Path) -> None:
    fake = told(workspaces, app={"seconds": 1.3})
    backup.backup("app", BackupKind.MANUAL, "before the migration")
    run = newest_run("backup")
    artifacts = artifacts_of(run.id)
    assert run.state_name == "Completed"
    assert fake.calls("back_up")[0]["reason"] == "before the migration"
    assert fake.calls("back_up")[0]["reference"] == f"run:{run.id}"
    assert "12.3 MB" in str(artifacts["backup-manual"].data)
    assert artifacts["backup-app-progress"].data == 100.0
    assert {task.name for task in task_runs_of(run.id)} >= {"back up app"}


def test_one_failing_source_stops_no_other_and_is_named(workspaces: Path) -> None:
    fake = told(workspaces, app={}, broken={"error": "SourceRefused"}, shop={})
    with pytest.raises(GoldcopyError, match=r"1 of 3 failed \(broken\)"):
        backup.backup(None, BackupKind.DAILY)
    run = newest_run("backup")
    assert {call["subject"] for call in fake.calls("backup_done")} == {"app", "shop"}
    assert len([call for call in fake.calls("back_up") if call["subject"] == "broken"]) == 1, "refused: never retried"
    assert run.state_name == "Failed"
    assert "Start its server" in str(artifacts_of(run.id)["backup-daily"].data)


def test_failure_reads_as_message_and_hint_without_a_stack_trace(workspaces: Path) -> None:
    told(workspaces, app={"error": "SourceRefused"})
    with pytest.raises(GoldcopyError):
        backup.backup("app")
    run = newest_run("backup")
    assert run.state is not None
    assert "app could not be reached. Start its server." in str(run.state.message)
    logs = logs_of(run.id, until="Flow run encountered an exception")
    assert "app could not be reached. Start its server." in logs
    assert "Traceback" not in logs


def test_report_of_the_last_month_is_written_and_shown(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    report.report()
    run = newest_run("report")
    assert run.state_name == "Completed"
    assert [(call["period"], call["subject"]) for call in fake.calls("report")] == [("last-month", None)]
    assert "1 of 1 control met" in str(artifacts_of(run.id)["report"].data)


def test_retryable_error_is_tried_again_until_it_works(workspaces: Path) -> None:
    fake = told(workspaces, app={"error": "SourceUnreachable", "times": 2})
    backup.backup("app")
    assert len(fake.calls("back_up")) == 3


def test_retryable_error_ends_as_itself_when_tries_are_used_up(workspaces: Path) -> None:
    fake = told(workspaces, app={"error": "SourceUnreachable"})
    with pytest.raises(SourceUnreachable):
        backup.backup("app")
    assert len(fake.calls("back_up")) == 1 + flows.support.RETRIES


def test_no_more_sources_at_once_than_configured(workspaces: Path) -> None:
    fake = told(workspaces, **{name: {"seconds": 1.0} for name in ("a", "b", "c", "d")})
    backup.backup(None, BackupKind.DAILY)
    spans = [
        (start["at"], next(end["at"] for end in fake.calls("backup_done") if end["subject"] == start["subject"]))
        for start in fake.calls("back_up")
    ]
    most = max(sum(other[0] <= start < other[1] for other in spans) for start, _end in spans)
    assert most <= 2


def test_nothing_due_is_a_good_run(workspaces: Path) -> None:
    told(workspaces)
    backup.backup(None, BackupKind.WEEKLY)
    assert "Nothing was due" in str(artifacts_of(newest_run("backup").id)["backup-weekly"].data)


def test_restore_test_follows_the_backup_where_configured(workspaces: Path) -> None:
    fake = told(workspaces, app={"test_after": True}, shop={})
    backup.backup(None, BackupKind.DAILY)
    assert [call["subject"] for call in fake.calls("run_restore_test")] == ["20261121T020000Z-app-7f3a"]


def test_same_firing_has_the_same_reference_and_another_has_not(workspaces: Path) -> None:
    deployment, at = uuid4(), datetime(2026, 11, 21, 2, tzinfo=UTC)
    references = [
        _reference_of(FlowRun(flow_id=uuid4(), deployment_id=deployment, auto_scheduled=True, expected_start_time=at))
        for _ in "12"
    ]
    other = _reference_of(
        FlowRun(flow_id=uuid4(), deployment_id=deployment, auto_scheduled=True, expected_start_time=at.replace(day=22))
    )
    assert references == [f"schedule:{deployment}:2026-11-21T02:00:00Z"] * 2
    assert other != references[0]


def _reference_of(run: FlowRun) -> str:
    with FlowRunContext.model_construct(flow_run=run):  # type: ignore[call-arg]
        return flows.support.run_reference()


def test_damaged_backup_fails_the_run_and_lists_escaped_findings(workspaces: Path) -> None:
    fake = told(workspaces, app={"outcome": "failed"}, shop={})
    with pytest.raises(GoldcopyError, match=r"1 of 2 failed \(app\): the outcome is failed"):
        restore_testing.restore_testing(None, restore_testing.Pick.OLDEST)
    rows = json.loads(str(artifacts_of(newest_run("restore-testing").id)["restore-tests-findings"].data))
    assert rows[0]["severity"] == "error"
    assert "[x]" not in rows[0]["object"]
    assert {call["pick"] for call in fake.calls("run_restore_test")} == {"oldest"}


def test_unmeasured_outcome_is_never_green(workspaces: Path) -> None:
    told(workspaces, app={"outcome": "not_measured"})
    with pytest.raises(GoldcopyError, match="not measured"):
        restore_testing.restore_testing("app")
    assert newest_run("restore-testing").state_name == "Failed"


def test_cleanup_verify_and_restore_pass_their_parameters_on(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    cleanup.cleanup("app", dry_run=True)
    verify.verify(["x"])
    restore.restore("20261121T020000Z-app-7f3a", "env:TARGET", "drill", ["public.orders"])
    assert fake.calls("clean_up")[0]["dry_run"] is True
    assert fake.calls("verify")[0]["backup_ids"] == ["x"]
    assert fake.calls("restore")[0]["tables"] == ["public.orders"]


def test_restore_refuses_a_url_as_parameter(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    with pytest.raises(Exception, match="should match pattern"):
        restore.restore("x", "postgresql://postgres:secret@db/app", "drill")
    assert not fake.calls("restore")


def test_slots_are_free_after_success_and_failure(workspaces: Path) -> None:
    told(workspaces, app={}, broken={"error": "SourceRefused"})
    with pytest.raises(GoldcopyError):
        backup.backup(None, BackupKind.DAILY)
    with get_client(sync_client=True) as client:
        limits = {limit.name: limit for limit in client.read_global_concurrency_limits(limit=50, offset=0)}
    assert {
        limits[name].active_slots for name in ("goldcopy-backups", "goldcopy-source-app", "goldcopy-source-broken")
    } == {0}
    assert limits["goldcopy-source-app"].limit == 1
    assert limits["goldcopy-backups"].limit == 2


def test_crash_hook_takes_the_names_prefect_calls_it_by_and_reconciles(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    for flow in (backup.backup, cleanup.cleanup, restore.restore, restore_testing.restore_testing, verify.verify):
        for hook in (*(flow.on_crashed_hooks or []), *(flow.on_cancellation_hooks or [])):
            hook(flow=flow, flow_run=None, state=None)
    assert len(fake.calls("reconcile")) == 10
