"""Messages to and from JSON and plain values; total: what is no message is Malformed and says where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cspd.refusals import Malformed, NotFound
from protocols.mdm.messages import OPERATIONS, Operation, Version

BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}
_ADAPTERS: Mapping[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for operation in OPERATIONS for kind in (operation.request, operation.answer)
}
_VERSIONS: Mapping[str, Version] = {
    f"{prefix}{version.value}": version for version in Version for prefix in ("v", "adminservicev")
}
_SENTENCES = {
    "missing": "is missing",
    "unexpected_keyword_argument": "is not known here",
    "dataclass_type": "has to be an object",
    "json_invalid": "is not JSON",
}
"""For what pydantic says in the words of Python."""
_MAX_FAULTS = 5
"""That a refusal tells of."""


def decode_version(text: str) -> Version:
    """The version that a path names: ``v9`` or ``AdminServiceV9``, in any case (R-CEGI-071); raises NotFound."""
    version = _VERSIONS.get(text.lower())
    if version is None:
        known = ", ".join(f"v{each.value}" for each in Version)
        raise NotFound(f"the protocol has the versions {known}", code="unsupported-version")
    return version


def decode_json(operation: Operation, body: bytes) -> Any:
    """The message in a body, JSON; an empty one is an empty object. Raises Malformed."""
    try:
        return _ADAPTERS[operation.request].validate_json(body or b"{}")
    except ValidationError as error:
        raise _malformed(error) from error


def decode_values(operation: Operation, values: Mapping[str, Any]) -> Any:
    """The message of values by their names on the wire; raises Malformed."""
    try:
        return _ADAPTERS[operation.request].validate_python(values)
    except ValidationError as error:
        raise _malformed(error) from error


def encode_json(answer: Any) -> bytes:
    """An answer as JSON."""
    return _ADAPTERS[type(answer)].dump_json(answer, by_alias=True)


def encode_values(answer: Any) -> Mapping[str, Any]:
    """An answer as values by their names on the wire: text, numbers, times, octets, lists and mappings of those."""
    values: Mapping[str, Any] = _ADAPTERS[type(answer)].dump_python(answer, by_alias=True)
    return values


def schema_of(kind: type, ref_template: str) -> Mapping[str, Any]:
    """The JSON Schema of a message, with those it needs below ``$defs``."""
    is_answer = kind in {operation.answer for operation in OPERATIONS}
    return _ADAPTERS[kind].json_schema(
        ref_template=ref_template, by_alias=True, mode="serialization" if is_answer else "validation"
    )


def _malformed(error: ValidationError) -> Malformed:
    """Where and what, without what was there: it may be a password."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{_place(fault['loc'])}{_SENTENCES.get(fault['type'], fault['msg'])}" for fault in faults[:_MAX_FAULTS]]
    return Malformed("; ".join(told), code="malformed-message")


def _place(location: Sequence[int | str]) -> str:
    place = ".".join(str(part)[:64] for part in location if part != "[key]")
    return f"{place}: " if place else "the message "
