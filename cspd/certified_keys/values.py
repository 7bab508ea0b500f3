"""A key of the server, its certificate, and what conf wants of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.authority.values import CAReference
from cspd.keys.values import KeyReference, KeyType
from cspd.x509.names import parse_name

_LONGEST_COMMON_NAME = 64  # ub-common-name of RFC 5280, appendix A.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTerms:
    """What a key and its certificate are made for; any other terms are another key."""

    ca: CAReference
    profile: str
    subject: str | None
    """A distinguished name; None: the CA's, with ``role`` behind its common name."""
    key_type: KeyType
    keys: str | None
    """Which provider makes the key; None: the default one."""
    role: str = ""
    decrypts: bool = False

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, by which terms are told apart in the store."""
        terms = [str(self.ca), self.profile, self.subject, self.key_type.value, self.keys]
        return sha256(json.dumps(terms).encode()).hexdigest()

    def subject_under(self, ca_subject: x509.Name) -> x509.Name:
        """The subject of a certificate of the CA with that name."""
        if self.subject is not None:
            return parse_name(self.subject)
        names = ca_subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        of_ca = str(names[-1].value) if names else ""
        common_name = f"{of_ca[: _LONGEST_COMMON_NAME - len(self.role) - 1]} {self.role}".strip()
        others = [each for each in ca_subject.rdns if not each.get_attributes_for_oid(NameOID.COMMON_NAME)]
        own = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        return x509.Name([*others, own])


@dataclass(frozen=True, kw_only=True)
class CertifiedKey:
    """A key, and the certificate that one of our CAs issued for it."""

    id: str
    """32 hexadecimal digits."""
    holder: str
    """What of the protocol the key is for; its keys follow one another."""
    terms: str
    """:attr:`CertificateTerms.digest`."""
    authority_id: str
    key: KeyReference
    certificate_der: bytes
    chain_pem: str
    """From the issuer of the certificate upwards, as it was when the certificate was made."""
    not_before: datetime
    not_after: datetime
    created_at: datetime

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_der_x509_certificate(self.certificate_der)

    @cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What :attr:`chain_pem` holds."""
        return tuple(x509.load_pem_x509_certificates(self.chain_pem.encode("ascii")))

    def successor_due(self, renew_before: timedelta | None) -> datetime:
        """A third of the life before its end, or what conf says, but not before half of the life is over."""
        life = self.not_after - self.created_at
        return self.not_after - min(life / 3 if renew_before is None else renew_before, life / 2)

    @property
    def last_tenth(self) -> datetime:
        """When the last tenth of its life begins."""
        return self.not_after - (self.not_after - self.created_at) / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one holder is to have."""

    terms: CertificateTerms
    successor_at: Callable[[CertifiedKey], datetime]
    """When the successor of a key should be made; within nine tenths of its life in any case."""
    grace: timedelta
    """How long a key outlives the making of its successor."""
    settling: timedelta = timedelta(0)
    """How long a successor is known to all nodes before it is used."""
    follows_ca_key: bool = False
    """Another key of the CA calls for a new certificate at once."""
    has_lifetime: bool = False
    """The key is replaced although its successor's certificate cannot end later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a protocol calls its keys in labels, log and audit trail."""

    protocol: str
    """Who asks the CA, as in ``Requester.protocol``."""
    label: str
    """What labels of keys begin with: ``TSA``."""
    what: str
    """What one holder is: ``time-stamp issuer``."""
    things: str
    """What there is of it: ``time-stamp units``."""
    event: str
    """What audit events begin with: ``time-stamp-unit``."""
    field: str
    """How the holder is called in audit events: ``issuer``."""


__all__ = ["CertificateTerms", "CertifiedKey", "Wanted", "Words"]
