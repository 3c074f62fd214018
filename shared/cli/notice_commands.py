"""goldcopy notify-test."""

import click

from shared.cli.output import emit, json_option, printable
from shared.units import format_duration

_SIGNS = {"delivered": "✓", "retry": "!", "failed": "✕"}
_WORDS = {"delivered": "delivered", "retry": "not now", "failed": "FAILED"}


@click.command("notify-test")
@click.argument("channel", required=False)
@json_option
@click.pass_obj
def notify_test(config: str | None, channel: str | None, *, as_json: bool) -> int:
    """Send a test notice to CHANNEL, or to every channel, and say how each took it."""
    from shared.wiring.channels import run_notify_test

    document = run_notify_test(config, channel)
    lines = []
    for found in document["channels"]:
        sign, word = _SIGNS[found["outcome"]], _WORDS[found["outcome"]]
        error = f": {printable(found['error'])}" if found["error"] else ""
        lines.append(f"  {sign} {found['channel']}: {word} in {format_duration(found['duration_seconds'])}{error}")
    if document["ok"]:
        lines.append("every service took it; look whether it arrived where people read it")
    if not document["recorded"]:
        lines.append("  ! the attempts could not be recorded in the metadata store: goldcopy check")
    emit(document, lines, as_json=as_json)
    return 0 if document["ok"] else 1
