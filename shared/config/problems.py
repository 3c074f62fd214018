"""Say in plain words what is wrong with a configuration file: which key, what is wrong, what to write instead."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

_EXAMPLES = {
    "recipients": 'recipients = ["age1..."]; `goldcopy init` makes a first one',
    "reason": 'reason = "why"',
    "repository": '[repository] with recipients = ["age1..."]; `goldcopy init` writes a first file',
}
_WORDS = {
    "string_type": 'must be text between quotes, such as {key} = "..."',
    "string_sub_type": 'must be text between quotes, such as {key} = "..."',
    "int_type": "must be a whole number, such as {key} = 2",
    "int_parsing": "must be a whole number, such as {key} = 2, without quotes",
    "int_from_float": "must be a whole number, such as {key} = 2",
    "float_type": "must be a number, such as {key} = 0.5",
    "float_parsing": "must be a number, such as {key} = 0.5, without quotes",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, without quotes",
    "bool_parsing": "must be true or false, without quotes",
    "list_type": 'must be a list, such as {key} = ["..."]',
    "tuple_type": 'must be a list, such as {key} = ["..."]',
    "dict_type": "must be a table, such as [{path}]",
    "model_type": "must be a table, such as [{path}]",
    "model_attributes_type": "must be a table, such as [{path}]",
    "time_delta_type": 'must be a duration between quotes, such as {key} = "24h"',
    "time_delta_parsing": 'must be a duration between quotes, such as {key} = "24h"',
    "datetime_type": "must be an instant, such as {key} = 2026-12-01T22:00:00Z",
    "datetime_parsing": "must be an instant, such as {key} = 2026-12-01T22:00:00Z",
    "datetime_from_date_parsing": "must be an instant, such as {key} = 2026-12-01T22:00:00Z",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "enum": "{given!r} is not known, it must be {expected}",
    "literal_error": "{given!r} is not known, it must be {expected}",
    "string_too_short": "must be at least {min_length} characters long",
}


def describe_problems(model: type[BaseModel], errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each problem, in the file's own words.

    Args:
        model: Of the whole file; knows which keys there are.
        errors: What pydantic found.
    """
    return [f"{_path(error['loc'])}: {_sentence(model, error)}" for error in errors]


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    location, kind = error["loc"], error["type"]
    key = next((str(part) for part in reversed(location) if isinstance(part, str)), "the file")
    if kind == "extra_forbidden":
        return _unknown(model, location)
    if kind in {"missing", "too_short"}:
        return f"this key is {'missing' if kind == 'missing' else 'empty'}; write {_example(key, location)}"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    words = _WORDS.get(kind)
    if words is None:
        return f"this value is not possible here: {error['msg'][:1].lower()}{error['msg'][1:]}"
    limits = {name: _printed(value) for name, value in error.get("ctx", {}).items()}
    return words.format_map(limits | {"key": key, "path": _path(location), "given": error["input"]})


def _example(key: str, location: Sequence[str | int]) -> str:
    """Return a line to write: for a url the name of a variable that fits whose url it is."""
    if key != "url" or len(location) != 3:
        return _EXAMPLES.get(key, f"{key} = ...")
    name = re.sub(r"\W", "_", str(location[1])).upper()
    return f'url = "env:{name}_{"DATABASE_URL" if location[0] == "sources" else "URL"}"'


def _printed(value: object) -> object:
    return f"{value.total_seconds():g} seconds" if isinstance(value, timedelta) else value


def _unknown(model: type[BaseModel], location: Sequence[str | int]) -> str:
    known = _keys(model, location[:-1])
    alike = get_close_matches(str(location[-1]), known, 1)
    if alike:
        return f"this key is not known; did you mean {alike[0]}?"
    return f"this key is not known; known here: {', '.join(known)}" if known else "this key is not known; remove it"


def _keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys of the table at a place in the file; empty where that cannot be told."""
    table: type[BaseModel] | None = model
    is_one_of_many = False
    for part in location:
        if is_one_of_many:  # a table in a list, or one of several by name: they are all alike
            is_one_of_many = False
            continue
        if table is None:
            return []
        fields = table.model_fields.items()
        annotation = next((field.annotation for name, field in fields if part in (name, field.alias)), None)
        is_one_of_many = get_origin(annotation) in {list, tuple, dict}
        table = _model_in(annotation)
    return [field.alias or name for name, field in table.model_fields.items()] if table else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for item in get_args(annotation) if (found := _model_in(item)) is not None), None)


def _path(location: Sequence[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "the file"
