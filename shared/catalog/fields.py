"""Columns that the tables of the catalog are made of."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Integer
from sqlmodel import Field

from shared.catalog.columns import Instant, RowNumber, Text


def text_field(*, key: bool = False, references: str = "", index: bool = False) -> Any:
    """A text that is never NULL; `key` makes it (a part of) the primary key."""
    links = [ForeignKey(references)] if references else []
    default = None if key or references else ""
    return Field(
        sa_column=Column(Text(), *links, primary_key=key, index=index or None, default=default, nullable=False)
    )


def bytes_field() -> Any:
    """A number of bytes or rows."""
    return Field(sa_column=Column(BigInteger(), default=0, nullable=False))


def count_field() -> Any:
    """A small number."""
    return Field(sa_column=Column(Integer(), default=0, nullable=False))


def code_field() -> Any:
    """An exit code; NULL where nothing failed."""
    return Field(sa_column=Column(Integer(), nullable=True))


def seconds_field() -> Any:
    """A duration; NULL where it is not known."""
    return Field(sa_column=Column(Float(), nullable=True))


def instant_field(*, optional: bool = True, key: bool = False) -> Any:
    """An aware instant; NULL where it has not come; `key` makes it the primary key."""
    return Field(sa_column=Column(Instant(), primary_key=key, nullable=optional and not key))


def json_field(empty: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """A JSON list or object."""
    return Field(sa_column=Column(JSON(), default=empty, nullable=False))


def number_key() -> Any:
    """A primary key that the database counts up."""
    return Field(sa_column=Column(RowNumber, primary_key=True, autoincrement=True))


def ordinal_key() -> Any:
    """A place in a list, part of the primary key."""
    return Field(sa_column=Column(Integer(), primary_key=True, autoincrement=False))


def run_number_field() -> Any:
    """The run that did it; not a foreign key, for runs are not in the repository."""
    return Field(sa_column=Column(BigInteger(), index=True, nullable=True))


def real_field() -> Any:
    """A measured number of any unit; NULL where there is none."""
    return Field(sa_column=Column(Float(), nullable=True))
