"""How messages travel over HTTP (RFC 8894, 4): operations, media types, and the message in a query."""

from __future__ import annotations

from base64 import b64decode
from enum import Enum

from protocols.scep.errors import DecodeError
from protocols.scep.limits import DEFAULT_LIMITS, Limits

PKI_MESSAGE = "application/x-pki-message"
X509_CA_CERT = "application/x-x509-ca-cert"
X509_CA_RA_CERT = "application/x-x509-ca-ra-cert"
X509_NEXT_CA_CERT = "application/x-x509-next-ca-cert"
CAPABILITIES = "text/plain"


class Operation(Enum):
    """RFC 8894, 4.1; values are what the query says."""

    GET_CA_CAPS = "GetCACaps"
    GET_CA_CERT = "GetCACert"
    GET_NEXT_CA_CERT = "GetNextCACert"
    PKI_OPERATION = "PKIOperation"


def decode_message_parameter(text: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The pkiMessage in the ``message`` of a GET, once the escapes of the query are undone.

    Clients that escape nothing (sscep, and with it much of what was built on it) send the ``+`` of base64 bare, which
    undoing makes a blank of; others wrap their lines, leave the ``=`` at the end away, or write base64url (micromdm's
    ``scepclient``, issue 249 there). Raises :class:`DecodeError`.
    """
    if len(text) > 2 * limits.message_octets:
        raise DecodeError(f"a message of more than {limits.message_octets} octets")
    compact = text.replace("\r", "").replace("\n", "").replace(" ", "+").rstrip("=")
    compact = compact.replace("-", "+").replace("_", "/")
    try:
        return b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except ValueError as error:
        raise DecodeError("the message is not base64") from error
