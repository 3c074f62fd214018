"""The controls that are asked once for everything: encryption, place, incidents, who did what, the audit trail."""

from datetime import timedelta

from shared.domain.action_words import action_words
from shared.domain.compliance_facts import PastAction, PastIncident, PeriodFacts
from shared.domain.control import (
    ISO_BACKUP,
    SOC_BACKUP,
    Control,
    ControlResult,
    Deviation,
    Judgement,
    Status,
    judged,
    over_whole,
    plural,
    unmeasured,
)
from shared.domain.period import Stretch, format_second, within
from shared.units import format_duration

_ALL = (ISO_BACKUP, SOC_BACKUP)
_RED = "red"
# What is wrong for less is still there when the watch looks again, by the shortest objective that is usual.
_BLIND = timedelta(hours=24)
# Deeds of people that need a reason, giving and taking access included.
_NEED_REASON = (
    "hold.",
    "release.",
    "restore.",
    "restore-test.request",
    "backup.request",
    "backup.log",
    "anomaly.acknowledge",
    "incident.acknowledge",
    "person.",
    "key.",
)
_ACCESS = ("person.", "key.")
# That a wish could not be fulfilled is no deed of whoever had it.
_NO_DEED = ".request.failed"

ENCRYPTED = Control(
    id="encrypted",
    title="Backups are encrypted before they are stored",
    supports=_ALL,
    limits="Follows from the repository's format, which holds nothing but objects encrypted with age; how private keys "
    "are kept is not known here.",
)
ELSEWHERE = Control(
    id="elsewhere",
    title="Backups are kept on another machine than the one that makes them",
    supports=_ALL,
    limits="One repository is known. Whether its provider, region or account is apart enough is for people to judge.",
)
STORE_PROTECTED = Control(
    id="store-protected",
    title="The store itself refuses to delete backups before their time",
    supports=_ALL,
    limits="Object lock, versioning and the rights of accounts are settings of the store; attach them from there.",
)
INCIDENTS = Control(
    id="incidents",
    title="Incidents were taken up by a person or ended",
    supports=(SOC_BACKUP,),
)
ACTIONS = Control(
    id="actions",
    title="What people did carries a name and a reason",
    supports=_ALL,
    limits="Names are those of the operating system or of the sign-in provider, as far as these can be trusted.",
)
TRAIL = Control(
    id="audit-trail",
    title="The audit trail is complete and unchanged",
    supports=_ALL,
    limits="Whether its newest entries were cut off shows only against a hash that was noted elsewhere, such as in an "
    "earlier report.",
)
ACCESS = Control(
    id="access-reviewed",
    title="Access was reviewed",
    supports=(SOC_BACKUP,),
    limits="Who has which role, and every change of it, is recorded; that somebody reviewed it is not: attach it.",
)


def judge_whole(facts: PeriodFacts) -> tuple[ControlResult, ...]:
    """Answer the controls that are not about single sources."""
    return (
        _encrypted(facts),
        _elsewhere(facts),
        over_whole(
            STORE_PROTECTED,
            unmeasured("", "the store's own protection is not read"),
        ),
        _incidents(facts),
        _actions(facts),
        _trail(facts),
        _access(facts),
    )


def _encrypted(facts: PeriodFacts) -> ControlResult:
    made = _backups_made(facts)
    if not facts.repository.recipients:
        return over_whole(ENCRYPTED, unmeasured("", "no recipient is known"))
    keys = plural(facts.repository.recipients, "public key")
    summary = f"{plural(made, 'backup')} of the period, each encrypted to {keys}."
    evidence = (("backups made", made), ("public keys", facts.repository.recipients))
    answer = judged(evidence, (), examined=made, nothing="no backup was made in the period")
    return over_whole(ENCRYPTED, answer, summary)


def _backups_made(facts: PeriodFacts) -> int:
    return sum(
        1
        for record in facts.sources
        for item in record.attempts
        if item.complete_at and facts.period.begins_at <= item.complete_at < facts.until
    )


def _elsewhere(facts: PeriodFacts) -> ControlResult:
    place = facts.repository.place
    if facts.repository.is_elsewhere is None:
        why = f"whether {place or 'the repository'} is on another machine is not known"
        return over_whole(ELSEWHERE, unmeasured("", why))
    kept = sum(
        1
        for record in facts.sources
        for item in record.attempts
        if item.complete_at
        and item.complete_at < facts.until
        and (item.gone_at is None or item.gone_at > facts.period.begins_at)
    )
    answer = judged((("backups kept", kept),), (), examined=kept, nothing="no backup was kept in the period")
    return over_whole(ELSEWHERE, answer, f"{plural(kept, 'backup')} of the period, kept at {place}.")


def _incidents(facts: PeriodFacts) -> ControlResult:
    if facts.watched_since is None or facts.watched_since >= facts.until:
        why = "nobody watched in the period, so no incident could be opened"
        return over_whole(INCIDENTS, unmeasured("", why))
    first = min((item.first_record_at for item in facts.sources if item.first_record_at), default=facts.until)
    blind = within(facts.unwatched, first, facts.until)
    blind_seconds = sum(stretch.duration.total_seconds() for stretch in blind)
    watched = sum(1 for item in facts.sources if item.first_record_at and item.first_record_at < facts.until)
    open_ones = [item for item in facts.incidents if not _is_handled(item, facts)]
    taken_up = [item for item in facts.incidents if item.acknowledged_at and item.acknowledged_at < facts.until]
    evidence = (
        ("sources watched", watched),
        ("incidents", len(facts.incidents)),
        ("taken up by a person", len(taken_up)),
        ("ended", sum(1 for item in facts.incidents if item.closed_at and item.closed_at < facts.until)),
        ("hours not watched", round(blind_seconds / 3600)),
    )
    found = [
        Deviation(
            source=item.source,
            object=item.id,
            at=item.opened_at,
            sentence=f"was open for {format_duration((facts.until - item.opened_at).total_seconds())} at the end, and "
            "nobody had taken it up",
        )
        for item in open_ones
    ]
    summary = f"{plural(len(facts.incidents), 'incident')}, {len(open_ones)} neither ended nor taken up"
    if taken_up:
        waits = sorted(item.acknowledged_at - item.opened_at for item in taken_up if item.acknowledged_at)
        median = max(waits[len(waits) // 2], timedelta(0))
        summary += f"; people took them up within {format_duration(median.total_seconds())} in the median"
    unseen = [_unseen(stretch) for stretch in blind if blind_seconds >= _BLIND.total_seconds()]
    if unseen and not found:
        return over_whole(INCIDENTS, Judgement(status=Status.NOT_MEASURED, evidence=evidence, deviations=tuple(unseen)))
    examined = watched + len(facts.incidents)
    answer = judged(evidence, [*found, *unseen], examined=examined, nothing="there was no source to watch")
    return over_whole(INCIDENTS, answer, f"{summary}.")


def _unseen(stretch: Stretch) -> Deviation:
    return Deviation(
        source="",
        at=stretch.begins_at,
        sentence=f"nobody watched from {format_second(stretch.begins_at)} to {format_second(stretch.ends_at)}: what "
        "was wrong only then is no incident",
        is_measured=False,
    )


def _is_handled(incident: PastIncident, facts: PeriodFacts) -> bool:
    """Only what was red wakes people; everything else may stay open."""
    known = incident.acknowledged_at is not None and incident.acknowledged_at < facts.until
    ended = incident.closed_at is not None and incident.closed_at < facts.until
    return known or ended or incident.worst != _RED


def _actions(facts: PeriodFacts) -> ControlResult:
    asked = [
        item for item in facts.actions if item.action.startswith(_NEED_REASON) and not item.action.endswith(_NO_DEED)
    ]
    bare = [item for item in asked if not item.reason.strip() or not item.actor.strip()]
    evidence = (("actions of people", len(asked)), ("with name and reason", len(asked) - len(bare)))
    found = [Deviation(source="", object=item.object, at=item.at, sentence=_lacking(item)) for item in bare]
    summary = f"{plural(len(asked), 'action')}, {len(asked) - len(bare)} with name and reason."
    nothing = "nobody did anything in the period that needs a reason"
    return over_whole(ACTIONS, judged(evidence, found, examined=len(asked), nothing=nothing), summary)


def _lacking(action: PastAction) -> str:
    actor = action.actor.strip() or "somebody without a name"
    return f"{actor}: {action_words(action.action)}{'' if action.reason.strip() else ', and gave no reason'}"


def _trail(facts: PeriodFacts) -> ControlResult:
    trail = facts.trail
    evidence = (("entries", trail.entry_count),)
    found = [Deviation(source="", sentence=trail.problem)] if trail.problem else []
    summary = f"{plural(trail.entry_count, 'entry', 'entries')} to the end of the period, each fits the one before."
    if found:
        summary = "The chain of the audit trail is broken."
    return over_whole(TRAIL, judged(evidence, found, examined=trail.entry_count, nothing="there is no entry"), summary)


def _access(facts: PeriodFacts) -> ControlResult:
    changes = sum(1 for item in facts.actions if item.action.startswith(_ACCESS))
    evidence = (("changes of access", changes),)
    why = "reviews of access are not recorded here"
    return over_whole(ACCESS, unmeasured("", why, evidence))
