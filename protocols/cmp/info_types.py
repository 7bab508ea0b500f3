"""The known items of information and their values (RFC 9810, 5.1.1 and 5.3.19).

The functions are in pairs: one makes an :class:`protocols.cmp.messages.InfoTypeAndValue`, the other, with ``read_``
before its name, gives back the value and raises :class:`InfoError`. An item without value (``infoValue`` absent) is
``InfoTypeAndValue(TYPE)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, encode_algorithm
from protocols.cmp.limits import DEFAULT_LIMITS
from protocols.cmp.messages import InfoTypeAndValue
from protocols.cmp.value_encoding import (
    encode_free_text,
    encode_sequence_of,
    encode_tagged,
    read_algorithm_identifier,
    read_certificate,
    read_free_text,
    read_sequence_of,
    read_structure,
    read_time,
    tagged,
)

_ID_IT = "1.3.6.1.5.5.7.4."
CA_PROT_ENC_CERT = _ID_IT + "1"
SIGN_KEY_PAIR_TYPES = _ID_IT + "2"
ENC_KEY_PAIR_TYPES = _ID_IT + "3"
PREFERRED_SYMM_ALG = _ID_IT + "4"
CA_KEY_UPDATE_INFO = _ID_IT + "5"
CURRENT_CRL = _ID_IT + "6"
UNSUPPORTED_OIDS = _ID_IT + "7"
KEY_PAIR_PARAM_REQ = _ID_IT + "10"
KEY_PAIR_PARAM_REP = _ID_IT + "11"
REV_PASSPHRASE = _ID_IT + "12"
IMPLICIT_CONFIRM = _ID_IT + "13"
CONFIRM_WAIT_TIME = _ID_IT + "14"
ORIG_PKI_MESSAGE = _ID_IT + "15"
SUPP_LANG_TAGS = _ID_IT + "16"
CA_CERTS = _ID_IT + "17"
ROOT_CA_KEY_UPDATE = _ID_IT + "18"
CERT_REQ_TEMPLATE = _ID_IT + "19"
ROOT_CA_CERT = _ID_IT + "20"
CERT_PROFILE = _ID_IT + "21"
CRL_STATUS_LIST = _ID_IT + "22"
CRLS = _ID_IT + "23"

MAX_ELEMENTS = 64
"""Certificates, CRLs, algorithms, or sources of CRLs in one item."""

V = TypeVar("V")
_UTC_TIME_OCTETS = len("YYMMDDHHMMSSZ")


class InfoError(ValueError):
    """The value of an item is not what its type says."""


@dataclass(frozen=True, slots=True)
class RootCaKeyUpdate:
    """RootCaKeyUpdateValue (RFC 9810, 5.3.19.15); each is a certificate, or empty where it is optional."""

    new_with_new_der: bytes
    new_with_old_der: bytes = b""
    old_with_new_der: bytes = b""


@dataclass(frozen=True, slots=True)
class CertReqTemplate:
    """CertReqTemplateValue (RFC 9810, 5.3.19.16)."""

    cert_template_der: bytes
    key_spec_der: bytes = b""
    """Controls; empty when absent."""


@dataclass(frozen=True, slots=True)
class CRLStatus:
    """One CRL that a client may want newer (RFC 9810, 5.3.19.17): exactly one of the first two is not empty."""

    dpn_der: bytes = b""
    """A DistributionPointName."""
    issuer_der: bytes = b""
    """GeneralNames."""
    this_update: datetime | None = None
    """Of the CRL that the client has; UTC."""


def implicit_confirm() -> InfoTypeAndValue:
    """The client need not confirm (RFC 9810, 5.1.1.1)."""
    return InfoTypeAndValue(IMPLICIT_CONFIRM, tlv.NULL)


def confirm_wait_time(moment: datetime) -> InfoTypeAndValue:
    """Until when we wait for the confirmation (RFC 9810, 5.1.1.2), UTC."""
    return InfoTypeAndValue(CONFIRM_WAIT_TIME, tlv.generalized_time(moment))


def read_confirm_wait_time(info: InfoTypeAndValue) -> datetime:
    """When the other side stops waiting."""
    return _read(info, read_time)


def texts(info_type: str, values: Iterable[str]) -> InfoTypeAndValue:
    """A list of UTF-8 texts: certProfile, suppLangTags."""
    return InfoTypeAndValue(info_type, encode_free_text(tuple(values)))


def read_texts(info: InfoTypeAndValue) -> tuple[str, ...]:
    """A list of UTF-8 texts, one at least."""
    return _read(info, lambda cursor: read_free_text(cursor, DEFAULT_LIMITS))


def structures(info_type: str, values_der: Iterable[bytes]) -> InfoTypeAndValue:
    """A list of structures, DER: caCerts (certificates), crls, origPKIMessage (PKIMessages)."""
    return InfoTypeAndValue(info_type, tlv.sequence(*values_der))


def read_structures(info: InfoTypeAndValue) -> tuple[bytes, ...]:
    """A list of structures, one at least."""
    return _read(info, lambda cursor: read_sequence_of(cursor, read_structure, limit=MAX_ELEMENTS))


def read_one_structure(info: InfoTypeAndValue) -> bytes:
    """One structure, DER: caProtEncCert and rootCaCert (a certificate), currentCRL."""
    return _read(info, read_structure)


def algorithms(info_type: str, values: Iterable[Algorithm]) -> InfoTypeAndValue:
    """A list of algorithms: signKeyPairTypes, encKeyPairTypes."""
    return InfoTypeAndValue(info_type, encode_sequence_of(values, encode_algorithm))


def read_algorithms(info: InfoTypeAndValue) -> tuple[Algorithm, ...]:
    """A list of algorithms, one at least."""
    return _read(info, lambda cursor: read_sequence_of(cursor, read_algorithm_identifier, limit=MAX_ELEMENTS))


def algorithm(info_type: str, value: Algorithm) -> InfoTypeAndValue:
    """One algorithm: preferredSymmAlg, keyPairParamRep."""
    return InfoTypeAndValue(info_type, encode_algorithm(value))


def read_one_algorithm(info: InfoTypeAndValue) -> Algorithm:
    """One algorithm."""
    return _read(info, read_algorithm_identifier)


def read_key_pair_param_req(info: InfoTypeAndValue) -> str:
    """The algorithm that a client wants the parameters of, dotted."""
    return _read(info, lambda cursor: cursor.object_identifier())


def unsupported_oids(oids: Iterable[str]) -> InfoTypeAndValue:
    """What a client asked for and we do not know (RFC 9810, 5.3.19.7); dotted."""
    return InfoTypeAndValue(UNSUPPORTED_OIDS, encode_sequence_of(oids, tlv.object_identifier))


def read_unsupported_oids(info: InfoTypeAndValue) -> tuple[str, ...]:
    """What the other side does not know, dotted."""
    return _read(
        info,
        lambda cursor: read_sequence_of(cursor, lambda inner: inner.object_identifier(), limit=MAX_ELEMENTS),
    )


def root_ca_key_update(update: RootCaKeyUpdate) -> InfoTypeAndValue:
    """The new root, and what links it to the old one."""
    return InfoTypeAndValue(
        ROOT_CA_KEY_UPDATE,
        tlv.sequence(
            update.new_with_new_der,
            encode_tagged(0, update.new_with_old_der),
            encode_tagged(1, update.old_with_new_der),
        ),
    )


def read_root_ca_key_update(info: InfoTypeAndValue) -> RootCaKeyUpdate:
    """The new root, and what links it to the old one."""
    return _read(info, _read_root_ca_key_update)


def cert_req_template(template: CertReqTemplate) -> InfoTypeAndValue:
    """What a request for a certificate should look like."""
    return InfoTypeAndValue(CERT_REQ_TEMPLATE, tlv.sequence(template.cert_template_der, template.key_spec_der))


def read_cert_req_template(info: InfoTypeAndValue) -> CertReqTemplate:
    """What a request for a certificate should look like."""
    return _read(info, _read_cert_req_template)


def crl_status_list(statuses: Iterable[CRLStatus]) -> InfoTypeAndValue:
    """Which CRLs a client asks about."""
    return InfoTypeAndValue(CRL_STATUS_LIST, encode_sequence_of(statuses, _encode_crl_status))


def read_crl_status_list(info: InfoTypeAndValue) -> tuple[CRLStatus, ...]:
    """Which CRLs a client asks about, one at least."""
    return _read(info, lambda cursor: read_sequence_of(cursor, _read_crl_status, limit=MAX_ELEMENTS))


def _read(info: InfoTypeAndValue, read: Callable[[Cursor], V]) -> V:
    cursor = Cursor.over(info.info_value_der)
    try:
        value = read(cursor)
        cursor.finish()
    except tlv.DERError as error:
        raise InfoError(f"the value of {info.info_type}: {error}") from error
    return value


def _read_root_ca_key_update(cursor: Cursor) -> RootCaKeyUpdate:
    fields = cursor.enter(tlv.SEQUENCE)
    new_with_new_der = read_certificate(fields)
    new_with_old_der = tagged(fields, 0, read_certificate) or b""
    old_with_new_der = tagged(fields, 1, read_certificate) or b""
    fields.finish()
    return RootCaKeyUpdate(new_with_new_der, new_with_old_der, old_with_new_der)


def _read_cert_req_template(cursor: Cursor) -> CertReqTemplate:
    fields = cursor.enter(tlv.SEQUENCE)
    template = CertReqTemplate(read_structure(fields), b"" if fields.is_at_end else read_structure(fields))
    fields.finish()
    return template


def _read_crl_status(cursor: Cursor) -> CRLStatus:
    fields = cursor.enter(tlv.SEQUENCE)
    dpn_der = tagged(fields, 0, Cursor.element) or b""
    issuer_der = b"" if dpn_der else tagged(fields, 1, read_structure) or b""
    if not dpn_der and not issuer_der:
        raise tlv.DERError("a CRLStatus without its source")
    this_update = None if fields.is_at_end else _read_any_time(fields)
    fields.finish()
    return CRLStatus(dpn_der, issuer_der, this_update)


def _encode_crl_status(status: CRLStatus) -> bytes:
    time = status.this_update
    return tlv.sequence(
        encode_tagged(0, status.dpn_der),
        encode_tagged(1, status.issuer_der),
        b"" if time is None else tlv.time(time.astimezone(UTC)),
    )


def _read_any_time(cursor: Cursor) -> datetime:
    """A Time, which has two digits for the years from 1950 to 2049 (RFC 5280, 4.1.2.5.1)."""
    if cursor.peek() != tlv.UTC_TIME:
        return read_time(cursor)
    contents = cursor.contents(tlv.UTC_TIME)
    century = b"19" if contents[:1] >= b"5" else b"20"
    if len(contents) != _UTC_TIME_OCTETS:
        raise tlv.DERError("not a UTCTime of DER")
    return read_time(Cursor.over(tlv.element(tlv.GENERALIZED_TIME, century + contents)))
