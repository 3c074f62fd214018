"""What Prefect's server does by itself: end zombie runs, and fire a schedule that was missed."""

from datetime import timedelta
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

# Three heartbeats of 30 s (PREFECT_FLOWS_HEARTBEAT_FREQUENCY); a worker with the default of 180 s would need 540.
ZOMBIE_AFTER = timedelta(seconds=90)
# A day and two hours without a good daily backup.
MISSED_AFTER = timedelta(hours=26)


def zombie_automation() -> AutomationCore:
    """End runs that stopped giving signs of life: their host is gone, and nobody else would ever close them.

    It also fires for runs that ended well just before; its action is then refused, harmlessly. So never hang a message
    to people on it.
    """
    return AutomationCore(
        name="goldcopy: crash zombie runs",
        description="A run without heartbeat for 90 s lost its process; closing it frees its slots.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": "prefect.tag.goldcopy", "prefect.resource.role": "tag"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=ZOMBIE_AFTER,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat for 90 s: its process is gone")],
    )


def missed_run_automation(daily_id: UUID) -> AutomationCore:
    """Start the daily backup when none came to an end by itself for 26 hours."""
    return AutomationCore(
        name="goldcopy: start a missed daily backup",
        description="No daily backup ran to its end for 26 hours (worker away, schedule paused, run lost): starts one.",
        trigger=EventTrigger(
            # A run that failed was not missed; one that crashed or was cancelled was.
            expect={"prefect.flow-run.Completed", "prefect.flow-run.Failed"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": f"prefect.deployment.{daily_id}"},
            posture=Posture.Proactive,
            threshold=1,
            within=MISSED_AFTER,
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=daily_id,
                parameters={"kind": "daily", "reason": "no daily backup ran for 26 hours"},
            )
        ],
    )


def install_automations() -> list[str]:
    """Create or renew the automations; one that is as it should be is left alone, its clock keeps running.

    Returns:
        Names of those that were created or changed.
    """
    with get_client(sync_client=True) as client:
        daily = client.read_deployment_by_name("backup/daily")
        return [
            wanted.name for wanted in (zombie_automation(), missed_run_automation(daily.id)) if _upsert(client, wanted)
        ]


def _upsert(client: SyncPrefectClient, wanted: AutomationCore) -> bool:
    existing: list[Automation] = client.read_automations_by_name(wanted.name)
    if len(existing) == 1 and _meaning(existing[0]) == _meaning(wanted):
        return False
    for old in existing:
        client.delete_automation(old.id)
    client.create_automation(wanted)
    return True


def _meaning(automation: AutomationCore) -> dict[str, object]:
    return AutomationCore.model_validate(automation.model_dump()).model_dump(
        mode="json", include={"name", "description", "trigger", "actions"}
    )
