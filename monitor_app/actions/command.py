"""How every command of the app is carried out: role, token, audit entry, effect; in this order.

The intent and its audit entry are one transaction. Then comes the effect, which may be repeated without harm (Prefect
knows the token, a hold that is in force stays one), then its result. So a command that was cut anywhere can be asked
for again with its token, and three quick clicks have one effect.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from monitor_app.site import Site
from shared.catalog.app_records import CommandRecord
from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.person import Person, Role
from shared.errors import GoldcopyError, NotAllowed, UsageProblem

_ONE_AT_A_TIME = Lock()
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command came to.

    Attributes:
        message: One sentence for whoever asked; may hold text from outside.
        result: The same for programs.
    """

    message: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for what.

    Attributes:
        user: Who asks.
        needs: The role that it takes.
        token: Fresh for every intent, the same for its repetitions.
        action: Name in the audit trail, such as `hold.place`.
        subject: What it is about.
        reason: Why, in the words of whoever asks.
        details: More for the audit trail.
    """

    user: Person
    needs: Role
    token: str
    action: str
    subject: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def carry_out(site: Site, request: Request, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Carry out a command once.

    Args:
        site: Where.
        request: Who asks for what.
        effect: Does it; called again where an earlier attempt did not come to its end.

    Returns:
        The result, of now or of the first time.

    Raises:
        NotAllowed: Whoever asks lacks the role; nothing was done.
        UsageProblem: The reason is too long, or the token was used for something else.
        GoldcopyError: It failed; the audit trail says so, and the same token may be used again.
    """
    check(request)
    with _ONE_AT_A_TIME, writing(site, request.user) as catalog:
        begun = catalog.begin_command(
            request.token,
            actor=request.user.name,
            action=request.action,
            object_name=request.subject,
            reason=request.reason,
            details=dict(request.details),
            now=utc_now(),
        )
        if begun.done_at is not None:
            return begun.result
        return _finish(catalog, begun, effect)


def check(request: Request) -> None:
    """Refuse who lacks the role, before anything is written.

    Raises:
        NotAllowed: They lack it.
        UsageProblem: The reason is too long.
    """
    if not request.user.role.may(request.needs):
        raise NotAllowed(
            f"{request.user.name} is {request.user.role} and may not do this",
            hint=f"It takes the role {request.needs}; ask an admin.",
        )
    if len(request.reason) > LONGEST_REASON:
        raise UsageProblem(f"the reason is longer than {LONGEST_REASON} characters", hint="Say it shorter.")


@contextmanager
def writing(site: Site, user: Person) -> Iterator[Catalog]:
    """Open the catalog for a change; only commands do, everything else reads."""
    with open_catalog(site.config.catalog_url, actor=user.name) as catalog:
        yield catalog


def required(text: str, what: str) -> str:
    """Return text without blanks around it.

    Raises:
        UsageProblem: There is none, or it holds what no database and no answer can.
    """
    if not text.strip():
        raise UsageProblem(f"{what} is missing", hint="Fill it in.")
    if not is_text(text):
        raise UsageProblem(f"{what} holds a character that is none", hint="Send valid Unicode, and no NUL.")
    return text.strip()


def is_text(text: str) -> bool:
    """Say whether UTF-8 and every database can hold a text: no lone surrogate, no NUL."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _finish(catalog: Catalog, begun: CommandRecord, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        result = effect()
    except GoldcopyError as error:
        catalog.fail_command(begun.token, error.message, utc_now())
        raise
    catalog.finish_command(begun.token, result, utc_now())
    return result
