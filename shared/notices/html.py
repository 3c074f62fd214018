"""A notice as HTML for mail: one narrow column, styles inside the tags, no picture, no script, nothing fetched."""

from collections.abc import Iterator
from html import escape

from shared.domain.notice import Notice
from shared.notices.plain import MAIL_FINDINGS
from shared.notices.wording import Tone, commands, labels_of, not_shown, tidy, tone_of

_FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px"
_MUTED = "color:#59636e"
_WORDS = {Tone.GOOD: "Good", Tone.INFO: "Information", Tone.WARNING: "Warning", Tone.CRITICAL: "Critical"}


def html_mail(notice: Notice) -> str:
    """Return the HTML part of a mail."""
    notice = tidy(notice)
    tone = tone_of(notice)
    rows = "\n".join(_rows(notice, tone))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(notice.title)}</title>
</head>
<body style="margin:0;padding:16px;background:#f6f8fa">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:640px;margin:0 auto;\
background:#ffffff;border:1px solid #d1d9e0;border-top:4px solid {tone.hex_colour};{_FONT};font-size:15px;\
line-height:1.5;color:#1f2328">
{rows}
</table>
</body>
</html>
"""


def _rows(notice: Notice, tone: Tone) -> Iterator[str]:
    about = f"{_WORDS[tone]} · {escape(notice.source)}" if notice.source else _WORDS[tone]
    yield _row(
        f'<div style="font-size:13px;font-weight:600;color:{tone.hex_colour}">{about}</div>'
        f'<h1 style="margin:2px 0 0;font-size:19px;line-height:1.35">{escape(notice.title)}</h1>',
        "20px 24px 4px",
    )
    labels = labels_of(notice)
    if notice.impact:
        yield _row(f"<strong>{labels.impact}:</strong> {_sentence(notice.impact)}")
    if notice.action:
        yield _row(
            f'<div style="padding:10px 14px;background:#f6f8fa;border-left:3px solid {tone.hex_colour}">'
            f"<strong>{labels.action}:</strong> {_sentence(notice.action)}</div>"
        )
    if notice.findings:
        yield _row(_findings(labels.findings, notice.findings))
    if notice.facts:
        yield _row(_facts(notice.facts))
    if notice.links:
        yield _row(
            " &nbsp; ".join(
                f'<a href="{escape(url)}" style="color:#0969da">{escape(label)}</a>' for label, url in notice.links
            )
        )
    yield _row(f'<div style="font-size:12px;{_MUTED}">Goldcopy</div>', "8px 24px 16px")


def _row(content: str, padding: str = "8px 24px") -> str:
    return f'<tr><td style="padding:{padding};overflow-wrap:anywhere">{content}</td></tr>'


def _findings(label: str, findings: tuple[str, ...]) -> str:
    shown = "".join(f'<li style="margin:2px 0">{_sentence(finding)}</li>' for finding in findings[:MAIL_FINDINGS])
    hidden = len(findings) - MAIL_FINDINGS
    rest = f'<div style="{_MUTED}">{not_shown(hidden)}</div>' if hidden > 0 else ""
    return f'<strong>{label}</strong><ul style="margin:4px 0;padding-left:20px">{shown}</ul>{rest}'


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    cell = "padding:3px 16px 3px 0;vertical-align:top"
    rows = "".join(
        f'<tr><td style="{cell};{_MUTED};white-space:nowrap">{escape(label)}</td>'
        f'<td style="{cell};overflow-wrap:anywhere">{_sentence(value)}</td></tr>'
        for label, value in facts
    )
    return f'<table cellpadding="0" cellspacing="0" style="font-size:14px">{rows}</table>'


def _sentence(text: str) -> str:
    return "".join(
        f'<code style="{_MONO};background:#eff1f3;padding:1px 4px">{escape(piece)}</code>'
        if is_command
        else escape(piece)
        for piece, is_command in commands(text)
    )
