"""Look at one backup with all rules that a backup can be judged by."""

from shared.domain.anomaly import Anomaly, AnomalyPolicy, History, Rule, Subject
from shared.domain.anomaly_numbers import detect_numeric, unjudged_rules
from shared.domain.anomaly_schema import detect_drift
from shared.domain.anomaly_tables import detect_tables
from shared.domain.proof import NotMeasured

_DEFAULT = AnomalyPolicy()


def detect(history: History, subject: Subject, policy: AnomalyPolicy = _DEFAULT) -> tuple[Anomaly, ...]:
    """Say what is odd about a backup.

    Args:
        history: What the source was before; a backup never judges itself.
        subject: The backup.
        policy: How strictly to look.

    Returns:
        Every anomaly that the backup shows, those that began earlier and last included.
    """
    return (
        *detect_tables(history, subject, policy),
        *detect_drift(history, subject, policy),
        *detect_numeric(history, subject, policy),
    )


def unmeasured_rules(
    history: History, subject: Subject, policy: AnomalyPolicy = _DEFAULT, *, schema_gap: str = ""
) -> tuple[NotMeasured, ...]:
    """Name the rules that had nothing to judge by, each with the reason.

    Args:
        history: As for `detect`.
        subject: As for `detect`.
        policy: As for `detect`.
        schema_gap: Why the schema could not be compared, where it could not.
    """
    source = subject.source
    gaps = [
        NotMeasured(check=rule.value, object=source, reason=f"{count} of {policy.minimum_points} backups to judge by")
        for rule, count in unjudged_rules(history, subject, policy)
    ]
    if not any(tables.at < subject.point.at for tables in history.tables):
        rules = (Rule.TABLE_EMPTY, Rule.TABLE_SHRUNK, Rule.TABLE_GROWN, Rule.TABLE_DROPPED, Rule.TABLE_NEW)
        reason = "no earlier backup whose tables are known"
        gaps += [NotMeasured(check=rule.value, object=source, reason=reason) for rule in rules]
    if schema_gap:
        gaps.append(NotMeasured(check=Rule.SCHEMA_CHANGED.value, object=source, reason=schema_gap))
    return tuple(gaps)
