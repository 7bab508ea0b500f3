"""Damaging messages: octets as a bad line does it, and elements as a bad client does it.

An element is replaced, repeated, removed, emptied or moved with all lengths around it corrected, inside of OCTET
STRINGs and BIT STRINGs too, so that what is damaged gets past the reader of lengths and into the rules behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from hypothesis import strategies as st

from cspd.x509 import tlv

_CONSTRUCTED = 0x20
_MAX_DEPTH = 24
_INTERESTING = (
    tlv.NULL,
    tlv.TRUE,
    b"\x01\x01\x00",
    tlv.integer(0),
    tlv.integer(-1),
    tlv.integer(2**31),
    tlv.integer(2**160),
    tlv.sequence(),
    tlv.element(tlv.SET, b""),
    tlv.element(tlv.OCTET_STRING, b""),
    tlv.element(tlv.OCTET_STRING, bytes(300)),
    tlv.element(tlv.BIT_STRING, b"\x00"),
    tlv.element(tlv.BIT_STRING, b""),
    tlv.element(tlv.UTF8_STRING, b"\xc3\x28"),
    tlv.element(tlv.UTF8_STRING, bytes(300)),
    tlv.object_identifier("1.2.3"),
    tlv.object_identifier("2.999." + ".".join(["1"] * 50)),
    b"\x17\x0d490101000000Z",
    b"\x18\x0f99991231235960Z",
)


class Element:
    """An element whose contents are elements, or octets."""

    def __init__(self, identifier: int, prefix: bytes, contents: bytes | list[Element]) -> None:
        self.identifier = identifier
        self.prefix = prefix
        """What stands before the elements in a BIT STRING: the number of unused bits."""
        self.contents = contents

    @property
    def octets(self) -> bytes:
        """What is in it, encoded."""
        contents = self.contents
        return self.prefix + (contents if isinstance(contents, bytes) else b"".join(each.encode() for each in contents))

    def encode(self) -> bytes:
        """With lengths that fit."""
        return tlv.element(self.identifier, self.octets)

    def copy(self) -> Element:
        """The same, whole."""
        return Element(self.identifier, b"", self.octets)


def parse(data: bytes, depth: int = _MAX_DEPTH) -> list[Element]:
    """The elements of ``data``; raises :class:`cspd.x509.tlv.DERError` where it is none."""
    elements = []
    position = 0
    while position < len(data):
        identifier, start, position = tlv.read_any(data, position, len(data))
        elements.append(_element(identifier, data[start:position], depth))
    return elements


def _element(identifier: int, contents: bytes, depth: int) -> Element:
    prefix = contents[:1] if identifier == tlv.BIT_STRING else b""
    if depth and len(contents) > 1 and (identifier & _CONSTRUCTED or identifier in (tlv.OCTET_STRING, tlv.BIT_STRING)):
        try:
            return Element(identifier, prefix, parse(contents[len(prefix) :], depth - 1))
        except tlv.DERError:
            pass
    return Element(identifier, b"", contents)


def damage_octets(data: bytes, random: Random) -> bytes:
    """Some octets replaced, removed, put in or repeated."""
    octets = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(octets) + 1)
        match random.randrange(4):
            case 0:
                octets[at : at + 1] = random.randbytes(1)
            case 1:
                del octets[at : at + random.randint(1, 3)]
            case 2:
                octets[at:at] = random.randbytes(random.randint(1, 4))
            case _:
                octets[at:at] = octets[at : at + random.randint(1, 40)]
    return bytes(octets)


def damage_elements(data: bytes, random: Random) -> bytes:
    """Some elements replaced, removed, put in or repeated; as :func:`damage_octets` where there are none."""
    try:
        top = parse(data)
    except tlv.DERError:
        return damage_octets(data, random)
    for _ in range(random.randint(1, 3)):
        lists = [top, *_lists(top)]
        siblings = random.choice([each for each in lists if each] or [top])
        if not siblings:
            return random.choice(_INTERESTING)
        at = random.randrange(len(siblings))
        chosen = siblings[at]
        match random.randrange(8):
            case 0:
                siblings[at] = _interesting(random)
            case 1:
                siblings.insert(at, _interesting(random))
            case 2:
                siblings.insert(at, chosen.copy())
            case 3:
                del siblings[at]
            case 4:
                siblings[at] = random.choice(random.choice([each for each in lists if each])).copy()
            case 5:
                chosen.identifier = random.choice(
                    (random.randrange(0x1F), chosen.identifier ^ (1 << random.randrange(8)))
                )
            case 6:
                siblings[at:at] = [chosen.copy() for _ in range(random.choice((2, 17, 40)))]
            case _:
                if isinstance(chosen.contents, bytes):
                    chosen.contents = damage_octets(chosen.contents, random)
                else:
                    random.shuffle(chosen.contents)
    return b"".join(each.encode() for each in top)


def _interesting(random: Random) -> Element:
    [element] = parse(random.choice(_INTERESTING))
    return element


def _lists(elements: Sequence[Element]) -> Iterator[list[Element]]:
    for each in elements:
        if not isinstance(each.contents, bytes):
            yield each.contents
            yield from _lists(each.contents)


def damage(data: bytes, random: Random) -> bytes:
    """One way or the other."""
    return random.choice((damage_octets, damage_elements, damage_elements))(data, random)


def damaged(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds, damaged."""
    return st.builds(
        lambda seed, number: damage(seed, Random(number)), st.sampled_from(seeds), st.integers(0, 2**32 - 1)
    )
