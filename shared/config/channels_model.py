"""`[channels.NAME]`: ways to people, and what each of them wants to hear."""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.config.references import ReferenceReader
from shared.config.section import Section
from shared.domain.backup import SOURCE_NAME
from shared.domain.channel import EVERY_EVENT, Channel
from shared.domain.notice import NoticeEvent, NoticeSeverity
from shared.errors import ConfigInvalid


def _channel_name(value: str) -> str:
    if not SOURCE_NAME.fullmatch(value):
        raise ValueError("a name is made of a-z 0-9 . _ - and begins with a letter or digit, at most 63 long")
    return value


ChannelName = Annotated[str, AfterValidator(_channel_name)]


class ChannelSection(Section):
    """One way to people."""

    url: str = Field(min_length=1)
    events: tuple[NoticeEvent, ...] | None = None
    severity: NoticeSeverity = NoticeSeverity.INFO
    quiet_hours: bool = True
    enabled: bool = True

    def channel(self, name: str, references: ReferenceReader) -> Channel:
        """Return the channel as the domain knows it; where its URL cannot be read here, it says why."""
        try:
            url, problem = references.text(self.url, key=f"channels.{name}.url"), ""
        except ConfigInvalid as error:
            url, problem = "", error.message
        return Channel(
            name=name,
            url=url,
            events=EVERY_EVENT if self.events is None else frozenset(self.events),
            severity=self.severity,
            quiet_hours=self.quiet_hours,
            problem=problem,
        )
