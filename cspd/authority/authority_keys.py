"""The public keys of all CAs of this server, which no subscriber may have certified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority
from cspd.keys.interfaces import Keys
from cspd.refusals import Refused


class AuthorityKeys:
    """Keeps the set as long as the list of CAs is the same one."""

    def __init__(self, authorities: Authorities, keys: Keys) -> None:
        self._authorities = authorities
        self._keys = keys
        self._known_for: Sequence[Authority] = ()
        self._known: frozenset[bytes] = frozenset()

    async def current(self) -> frozenset[bytes]:
        """SubjectPublicKeyInfo, DER, of every CA: present and earlier certificates, and keys that wait for one."""
        authorities = await self._authorities.list()
        if _same(authorities, self._known_for):
            return self._known
        found: set[bytes] = set()
        complete = True
        for authority in authorities:
            found.update(_certified_keys(authority))
            if authority.certificate_der is None and authority.key is not None:
                try:
                    found.add(_encoded(await self._keys.public_key(authority.key)))
                except Refused:  # a token that does not answer keeps nobody from issuing under other CAs
                    complete = False
        if complete:
            self._known_for, self._known = tuple(authorities), frozenset(found)
        return frozenset(found)


def _certified_keys(authority: Authority) -> Iterator[bytes]:
    if authority.certificate is not None:
        yield _encoded(authority.certificate.public_key())
    for previous in authority.previous:
        yield _encoded(x509.load_der_x509_certificate(previous.certificate_der).public_key())


def _encoded(public_key: PublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _same(one: Sequence[Authority], other: Sequence[Authority]) -> bool:
    return len(one) == len(other) and all(left is right for left, right in zip(one, other, strict=True))
