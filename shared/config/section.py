"""What every table of `goldcopy.toml` is made of: no unknown keys, durations and sizes as people write them."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.units import parse_bytes, parse_duration

LONGEST = timedelta(days=36500)
"""No duration is longer: instants so far away cannot be computed with."""


def _duration(value: object) -> object:
    try:
        return parse_duration(value) if isinstance(value, str) else value
    except OverflowError:
        raise ValueError(_too_long(value)) from None


def _bounded(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise ValueError(_too_long(f"{value.days}d"))
    return value


def _too_long(value: object) -> str:
    return f"{value!r} is too long; write at most {LONGEST.days}d, which is a hundred years"


def _bytes(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_bounded)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
