"""The messages as types of spyne: what the WSDL says of them, and how they are read from and written into XML.

The dataclasses of :mod:`protocols.mdm.messages` are the one definition: element names are those of JSON, a mapping
becomes a list of ``variable`` elements with ``name`` and ``value``. Limits are not repeated here: values that were read
go through :mod:`protocols.mdm.codec`, as those of JSON do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic.alias_generators import to_camel
from spyne import Array, Boolean, ByteArray, ComplexModel, DateTime, Integer, Unicode

from cspd.refusals import Malformed

NAMESPACE = "urn:cspd:mdm"

_PRIMITIVES: Mapping[type, Any] = {
    str: Unicode,
    int: Integer,
    bool: Boolean,
    bytes: ByteArray,
    datetime: DateTime,
}


class SOAPTypes:
    """Makes and keeps the types of messages; each once, as a schema has them."""

    def __init__(self) -> None:
        self._made: dict[type, Any] = {}
        self._variable = _complex("Variable", [("name", Unicode(min_occurs=1)), ("value", Unicode(min_occurs=1))])

    def of_message(self, kind: type) -> Any:
        """The type of a dataclass."""
        if kind not in self._made:
            hints = get_type_hints(kind, include_extras=True)
            self._made[kind] = _complex(
                kind.__name__,
                [
                    (to_camel(field.name), self._of_field(hints[field.name], is_required=field.default is MISSING))
                    for field in fields(kind)
                ],
            )
        return self._made[kind]

    def values_of(self, instance: Any) -> dict[str, Any]:
        """What was read, as values by their names; what was not there is left out. Raises Malformed."""
        values = {}
        for name, kind in type(instance).get_flat_type_info(type(instance)).items():
            value = getattr(instance, name)
            if value is not None:
                values[name] = _variables(value) if self._are_variables(kind) else self._plain(value)
        return values

    def instance_of(self, kind: Any, values: Mapping[str, Any]) -> Any:
        """An instance of a type of spyne, to be written, with these values."""
        members = kind.get_flat_type_info(kind)
        return kind(**{name: self._written(members[name], value) for name, value in values.items()})

    def _of_field(self, annotation: Any, *, is_required: bool) -> Any:
        kind = self._of(annotation)
        return kind.customize(min_occurs=1 if is_required else 0, nillable=not is_required)

    def _of(self, annotation: Any) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._of(arguments[0])
        if origin in (Union, UnionType):
            [present] = [each for each in arguments if each is not NoneType]
            return self._of(present)
        if origin is tuple:
            return Array(self._of(arguments[0]))
        if origin is Mapping:
            return Array(self._variable, member_name="variable")
        if is_dataclass(annotation):
            return self.of_message(annotation)  # type: ignore[arg-type]  # a class, not an instance
        if issubclass(annotation, Enum):
            if annotation not in self._made:
                self._made[annotation] = Unicode(
                    values=[each.value for each in annotation], type_name=annotation.__name__
                )
            return self._made[annotation]
        return _PRIMITIVES[annotation]

    def _are_variables(self, kind: Any) -> bool:
        if not issubclass(kind, Array):
            return False
        [member] = kind.get_flat_type_info(kind).values()
        return issubclass(member, self._variable)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, ComplexModel):
            return self.values_of(value)
        if isinstance(value, list | tuple):
            if value and all(isinstance(each, bytes) for each in value):  # spyne reads octets in pieces
                return b"".join(value)
            return [self._plain(each) for each in value]
        return value

    def _written(self, kind: Any, value: Any) -> Any:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, bytes):
            return [value]
        if isinstance(value, list | tuple):
            [member] = kind.get_flat_type_info(kind).values()
            return [self._written(member, each) for each in value]
        if isinstance(value, Mapping):
            return self.instance_of(kind, value)
        return value


def _variables(found: Iterable[Any]) -> dict[str, str]:
    values = [(each.name or "", each.value or "") for each in found]
    if len(dict(values)) != len(values):
        raise Malformed("variables: a name stands there twice", code="malformed-message")
    return dict(values)


def _complex(name: str, members: list[tuple[str, Any]]) -> Any:
    return type(name, (ComplexModel,), {"__namespace__": NAMESPACE, "__type_name__": name, "_type_info": members})
