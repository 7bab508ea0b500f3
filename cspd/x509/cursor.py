"""Walking through DER element by element; for structures whose reading should look like their definition.

::

    cursor = Cursor.over(data)
    info = cursor.enter(tlv.SEQUENCE)
    content_type = info.object_identifier()
    content = info.enter_optional(0xA0)
    info.finish()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from cspd.x509 import tlv


class Cursor:
    """A place among the elements of one container; every method raises :class:`cspd.x509.tlv.DERError`."""

    __slots__ = ("_data", "_end", "_is_well_formed", "_position")

    def __init__(self, data: bytes, position: int, end: int, is_well_formed: bool = False) -> None:
        self._data = data
        self._position = position
        self._end = end
        self._is_well_formed = is_well_formed

    @classmethod
    def over(cls, data: bytes, *, is_well_formed: bool = False) -> Self:
        """Before the first element of ``data``; ``is_well_formed`` says that all of it was walked through before."""
        return cls(data, 0, len(data), is_well_formed)

    @property
    def is_at_end(self) -> bool:
        """Whether no element is left."""
        return self._position == self._end

    def peek(self) -> int | None:
        """The identifier octet of the next element; None at the end."""
        return None if self.is_at_end else self._data[self._position]

    def enter(self, identifier: int) -> Self:
        """Step over the next element, which must have this identifier; returns a cursor inside of it."""
        start, stop = tlv.read(self._data, self._position, self._end, identifier)
        self._position = stop
        return type(self)(self._data, start, stop, self._is_well_formed)

    def enter_optional(self, identifier: int) -> Self | None:
        """As :meth:`enter` if the next element has this identifier; None, and no step, if not."""
        return self.enter(identifier) if self.peek() == identifier else None

    def element(self) -> bytes:
        """Step over the next element; returns all of it, which is well-formed to its leaves."""
        before = self._position
        _, _, self._position = tlv.read_any(self._data, before, self._end)
        if not self._is_well_formed:
            tlv.check_well_formed(self._data, before, self._position)
        return self._data[before : self._position]

    def contents(self, identifier: int) -> bytes:
        """Step over the next element, which must have this identifier; returns what is in it."""
        start, stop = tlv.read(self._data, self._position, self._end, identifier)
        self._position = stop
        return self._data[start:stop]

    def integer(self) -> int:
        """Step over an INTEGER; returns its value."""
        start, stop = tlv.read(self._data, self._position, self._end, tlv.INTEGER)
        self._position = stop
        return tlv.read_integer(self._data, start, stop)

    def object_identifier(self) -> str:
        """Step over an OBJECT IDENTIFIER; returns it dotted."""
        start, stop = tlv.read(self._data, self._position, self._end, tlv.OBJECT_IDENTIFIER)
        self._position = stop
        return tlv.read_object_identifier(self._data, start, stop)

    def elements(self) -> Iterator[bytes]:
        """The elements that are left, each as :meth:`element` gives it."""
        while not self.is_at_end:
            yield self.element()

    def rest(self) -> bytes:
        """Everything that is left, unread."""
        rest = self._data[self._position : self._end]
        self._position = self._end
        return rest

    def finish(self) -> None:
        """Check that no element is left."""
        if not self.is_at_end:
            raise tlv.DERError("something follows where nothing may")
