"""Commands about findings: somebody takes an incident, or says why something unusual is no trouble."""

from monitor_app.actions.command import Done, Request, carry_out, required, writing
from monitor_app.site import Site
from shared.clock import utc_now
from shared.domain.person import Person, Role
from shared.errors import UsageProblem


def acknowledge_incident(site: Site, user: Person, token: str, *, incident_id: str, reason: str) -> Done:
    """Take an open incident: reminders and escalation stop.

    Raises:
        UsageProblem: No reason, or no such open incident.
        NotAllowed: It takes an operator.
    """
    why = required(reason, "the reason")

    def acknowledge() -> dict[str, str]:
        with writing(site, user) as catalog:
            if not catalog.acknowledge([incident_id], by=user.name, reason=why, now=utc_now()):
                raise UsageProblem(f"there is no open incident {incident_id}", hint="It may be over: look again.")
        return {"incident": incident_id}

    result = carry_out(site, _request(user, token, incident_id, why), acknowledge)
    return Done(message=f"{user.name} has {incident_id} now; reminders and escalation stop.", result=result)


def acknowledge_anomaly(site: Site, user: Person, token: str, *, number: int, reason: str) -> Done:
    """Say why something unusual is no trouble; it does not colour its source any more.

    Raises:
        UsageProblem: No reason, or no such anomaly.
        NotAllowed: It takes an operator.
    """
    why = required(reason, "the reason")

    def acknowledge() -> dict[str, str]:
        with writing(site, user) as catalog:
            row = catalog.acknowledge_anomaly(number, by=user.name, reason=why, now=utc_now())
        return {"source": row.source, "rule": row.rule.value}

    result = carry_out(site, _request(user, token, f"anomaly {number}", why), acknowledge)
    return Done(message=f"Noted: {result['rule']} of {result['source']} is no trouble.", result=result)


def _request(user: Person, token: str, subject: str, reason: str) -> Request:
    return Request(
        user=user, needs=Role.OPERATOR, token=token, action="acknowledge.request", subject=subject, reason=reason
    )
