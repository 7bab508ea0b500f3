"""Says what pydantic found in the words of somebody who edits a conf file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cspd.config.problems import KeyPath, Problem

_Say = Callable[[Mapping[str, Any]], tuple[str, str]]

_TYPES = {
    "string_type": "text in quotes",
    "string_sub_type": "text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": 'a list, for example ["one", "two"]',
    "tuple_type": 'a list, for example ["one", "two"]',
    "set_type": 'a list, for example ["one", "two"]',
    "frozen_set_type": 'a list, for example ["one", "two"]',
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "mapping_type": "a table",
}

_SENTENCES: dict[str, _Say] = {
    "missing": lambda context: ("is missing", "It has no default; set it"),
    "literal_error": lambda context: ("has a value that is not allowed", f"Use {context['expected']}"),
    "enum": lambda context: ("has a value that is not allowed", f"Use {context['expected']}"),
    "greater_than": lambda context: ("is too small", f"Use more than {context['gt']}"),
    "greater_than_equal": lambda context: ("is too small", f"Use {context['ge']} or more"),
    "less_than": lambda context: ("is too large", f"Use less than {context['lt']}"),
    "less_than_equal": lambda context: ("is too large", f"Use {context['le']} or less"),
    "string_pattern_mismatch": lambda context: (
        "is not written as it has to be",
        f"It has to match {context['pattern']}",
    ),
    "string_too_short": lambda context: ("is too short", f"Use at least {context['min_length']} characters"),
    "string_too_long": lambda context: ("is too long", f"Use at most {context['max_length']} characters"),
    "too_short": lambda context: ("has too few items", f"Give at least {context['min_length']}"),
    "too_long": lambda context: ("has too many items", f"Give at most {context['max_length']}"),
    "value_error": lambda context: ("is not accepted", f"Wanted: {context['error']}"),
    "assertion_error": lambda context: ("is not accepted", f"Wanted: {context['error']}"),
}


def problems_of(
    error: ValidationError, model: Any, *, at: KeyPath, locate: Callable[[KeyPath, str, str], Problem]
) -> Sequence[Problem]:
    """One problem for each finding of pydantic; ``locate`` adds file and line to a key and what is to be said of it.

    A value is never repeated: it may be a secret that somebody wrote where a reference to one belongs.
    """
    details = error.errors(include_url=False)
    return [_problem(each, model, at=at, locate=locate) for each in details if not _is_echo(each, details)]


def _is_echo(detail: ErrorDetails, all_details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic does not count items that have problems of their own."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in all_details
    )


def _problem(
    detail: ErrorDetails, model: Any, *, at: KeyPath, locate: Callable[[KeyPath, str, str], Problem]
) -> Problem:
    inner = _without_markers(detail["loc"], model)
    key = at + inner
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return locate(key, "is not a known key", nearest_name(str(inner[-1]), field_names(model, inner[:-1])))
    if context.get("class_name") == "SecretReference":
        return locate(
            key,
            "is a secret and must not stand in a conf file",
            'Refer to it by { file = "..." }, { env = "..." } or { store = "..." }',
        )
    if kind in _TYPES:
        return locate(key, "has a value of the wrong type", f"Write {_TYPES[kind]}")
    if kind in _SENTENCES:
        return locate(key, *_SENTENCES[kind](context))
    return locate(key, detail["msg"].replace("Input should be", "has to be"), "")


def nearest_name(name: str, known: Sequence[str]) -> str:
    """What to write for an unknown name: the nearest one, or all there are."""
    if not known:
        return "Remove it"
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f'Did you mean "{near[0]}"'
    return f"Known here: {', '.join(sorted(known))}"


def field_names(model: Any, way: KeyPath) -> list[str]:
    """The keys that a table inside ``model`` may have."""
    for part in way:
        model = _step(model, part)
    fields = getattr(_model_of(model), "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _without_markers(location: tuple[str | int, ...], model: Any) -> KeyPath:
    """The location without the names of union members that pydantic puts between keys."""
    way: list[str | int] = []
    for part in location:
        following = _step(model, part)
        if following is None and way and isinstance(part, str) and _model_of(model) is None:
            continue
        way.append(part)
        model = following
    return tuple(way)


def _step(annotation: Any, part: str | int) -> Any:
    """The annotation of one part of a value; None where the model does not tell."""
    if (model := _model_of(annotation)) is not None:
        for name, field in model.model_fields.items():
            if part in (field.alias or name, name):
                return field.annotation
        return None
    for candidate in _members(annotation):
        origin, arguments = get_origin(candidate), get_args(candidate)
        if origin is None or not arguments:
            continue
        if isinstance(part, str) and isinstance(origin, type) and issubclass(origin, Mapping):
            return arguments[1]
        if isinstance(part, int) and isinstance(origin, type) and not issubclass(origin, Mapping):
            return arguments[0]
    return None


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in _members(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _members(annotation: Any) -> Sequence[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]
