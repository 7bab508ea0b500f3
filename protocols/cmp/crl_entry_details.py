"""Why a certificate is to be revoked: the extensions of a CRL entry in an rr (RFC 9810, 5.3.9; RFC 5280, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cspd.authority.values import RevocationReason
from cspd.refusals import BadExtension, BadRevocationReason, Malformed
from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from protocols.cmp.value_encoding import read_time

CRL_REASON = "2.5.29.21"
INVALIDITY_DATE = "2.5.29.24"

_MAX_EXTENSIONS = 8


@dataclass(frozen=True, slots=True)
class CRLEntryDetails:
    """What a client says of the revocation."""

    reason: RevocationReason = RevocationReason.UNSPECIFIED
    """What RFC 9483, 4.2 takes for a reason that is not known; so is one that is not given."""
    invalidity_date: datetime | None = None
    """UTC."""


def read_crl_entry_details(details_der: bytes) -> CRLEntryDetails:
    """Read ``crlEntryDetails``, DER, empty where it is absent.

    Extensions that are not known are skipped unless they are critical. Raises Malformed for what are no Extensions,
    or for one that is there twice; BadRevocationReason for a number without a CRLReason; BadExtension.
    """
    if not details_der:
        return CRLEntryDetails()
    try:
        values = _read_extensions(Cursor.over(details_der))
        return CRLEntryDetails(
            _read_reason(values[CRL_REASON]) if CRL_REASON in values else RevocationReason.UNSPECIFIED,
            _read_date(values[INVALIDITY_DATE]) if INVALIDITY_DATE in values else None,
        )
    except tlv.DERError as error:
        raise Malformed(f"crlEntryDetails: {error}") from error


def _read_extensions(cursor: Cursor) -> dict[str, bytes]:
    fields = cursor.enter(tlv.SEQUENCE)
    cursor.finish()
    values: dict[str, bytes] = {}
    while not fields.is_at_end:
        extension = fields.enter(tlv.SEQUENCE)
        oid = extension.object_identifier()
        is_critical = extension.peek() == tlv.BOOLEAN
        if is_critical and extension.element() != tlv.TRUE:
            raise tlv.DERError("a DEFAULT value is encoded")
        value = extension.contents(tlv.OCTET_STRING)
        extension.finish()
        if oid in values or len(values) == _MAX_EXTENSIONS:
            raise tlv.DERError("an extension twice, or too many of them")
        if is_critical and oid not in (CRL_REASON, INVALIDITY_DATE):
            raise BadExtension(f"crlEntryDetails: the critical extension {oid} is not known")
        values[oid] = value
    return values


def _read_reason(value: bytes) -> RevocationReason:
    cursor = Cursor.over(value)
    contents = cursor.contents(tlv.ENUMERATED)
    cursor.finish()
    number = tlv.read_integer(contents, 0, len(contents))
    try:
        return RevocationReason.from_number(number)
    except ValueError as error:
        raise BadRevocationReason("there is no such CRLReason") from error


def _read_date(value: bytes) -> datetime:
    cursor = Cursor.over(value)
    date = read_time(cursor)
    cursor.finish()
    return date
