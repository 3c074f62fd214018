"""Keep passwords out of whatever people read."""

import re

_SECRETS = (
    (
        re.compile(r"(?i)((?:pg)?password|passwd|sslpassword|secret)(\s*[=:]\s*)('(?:[^'\\]|\\.)*'|[^\s'\"]+)"),
        r"\1\2***",
    ),
    (re.compile(r"(?i)(\bpassword\s+)(E?'(?:[^']|'')*')"), r"\1'***'"),
    (re.compile(r"(?i)(\bpostgres(?:ql)?(?:\+\w+)?://[^\s:/@]*):\S*@"), r"\1:***@"),
    (re.compile(r"SCRAM-SHA-256\$[^\s'\"]+"), "SCRAM-SHA-256$***"),
)


def scrub(text: str, *secrets: str) -> str:
    """Replace whatever looks like a password, and the given secrets, by three stars."""
    for secret in secrets:
        if len(secret) >= 4:  # a shorter one would turn every message into stars and is no secret
            text = text.replace(secret, "***")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
