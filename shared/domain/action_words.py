"""What stands in the audit trail, in words for people; the codes stay for programs."""

_WORDS = {
    "acknowledge.request": "asked to acknowledge",
    "anomaly.acknowledge": "acknowledged an anomaly",
    "backup.complete": "completed a backup",
    "backup.evidence": "read a backup's evidence again",
    "backup.expire": "let a backup expire",
    "backup.expired": "removed an expired backup",
    "backup.failed": "failed to make a backup",
    "backup.gone": "found a backup gone",
    "backup.log": "logged a backup made elsewhere",
    "backup.reconcile": "took up a backup from the repository",
    "backup.request": "asked for a backup",
    "catalog.rebuild": "rebuilt the catalog",
    "cleanup.refused": "refused to clean up",
    "hold.place": "held a backup",
    "hold.release": "released a hold",
    "hold.request": "asked for a hold",
    "incident.acknowledge": "took up an incident",
    "key.add": "made a key",
    "key.revoke": "ended a key",
    "object.damaged": "found an object damaged",
    "object.sound": "found an object sound again",
    "person.remove": "ended a person's access",
    "person.set": "gave a person access",
    "release.request": "asked to release a hold",
    "report.create": "made a report",
    "restore.approve": "approved a restore",
    "restore.failed": "restored, and the proof failed",
    "restore.not_measured": "restored, and nothing could be proven",
    "restore.passed": "restored, and it was proven",
    "restore.refuse": "refused a restore",
    "restore.request": "asked for a restore",
    "restore-test.failed": "tested a restore, and it failed",
    "restore-test.not_measured": "tested a restore, and nothing could be proven",
    "restore-test.passed": "tested a restore, and it passed",
    "restore-test.request": "asked for a restore test",
    "run.lost": "found a run dead",
    "verify.failed": "read stored bytes again, and found damage",
    "verify.not_measured": "read stored bytes again, without a result",
    "verify.passed": "read stored bytes again, unchanged",
}
_FAILED = ".failed"


def action_words(action: str) -> str:
    """Return what an entry of the audit trail says was done; a code that is not known stays as it is."""
    if action in _WORDS:
        return _WORDS[action]
    asked = action.removesuffix(_FAILED)
    return f"{_WORDS[asked]}; it could not be done" if asked != action and asked in _WORDS else action
