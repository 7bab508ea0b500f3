"""What a client's first token of ``Negotiate`` says before anybody believes it (RFC 4178, RFC 4121, RFC 4120).

A GSS-API library takes whatever its mechanisms can, and does not tell with which algorithm a ticket was encrypted. So
the token is read here first: NTLM is told from Kerberos, and an old algorithm from a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor

SPNEGO: Final = "1.3.6.1.5.5.2"
KERBEROS: Final = frozenset({"1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2"})
"""The mechanism of RFC 4121, and the number that Windows 2000 had for it, which its successors still offer first."""

STRONG_ENCRYPTION: Final = frozenset({17, 18, 19, 20})
"""AES (RFC 3962, RFC 8009), by encryption type number."""
DEPRECATED_ENCRYPTION: Final = frozenset({16, 23})
"""des3-cbc-sha1-kd and rc4-hmac (RFC 8429); single DES (RFC 6649) is never good."""

MAX_TOKEN: Final = 64 * 1024
"""Octets; Windows sends 48000 at most (MaxTokenSize)."""
MAX_MECHANISMS: Final = 16

_INITIAL, _RESPONSE = 0x60, 0xA1  # [APPLICATION 0] of RFC 2743, 3.1; [1] negTokenResp
_NTLM = b"NTLMSSP\0"
_AP_REQ_ID = b"\x01\x00"  # RFC 4121, 4.1
_AP_REQ, _TICKET = 0x6E, 0x61


class TokenError(ValueError):
    """Not a token that Kerberos could come of; the text says why."""


@dataclass(frozen=True, slots=True)
class NegotiationToken:
    """What a token says of itself."""

    is_continuation: bool = False
    """An answer to a token of ours (negTokenResp)."""
    encryption_types: frozenset[int] = frozenset()
    """Of the Kerberos ticket in it and of its session key; empty if it has none (yet)."""


def read_token(token: bytes) -> NegotiationToken:
    """Read a client's token: SPNEGO, or Kerberos without it.

    Raises :class:`TokenError` for NTLM, alone or in SPNEGO without Kerberos beside it (R-CEG-122), and for anything
    that cannot be read.
    """
    if len(token) > MAX_TOKEN:
        raise TokenError(f"more than {MAX_TOKEN} octets")
    if token.startswith(_NTLM):
        raise TokenError("NTLM")
    try:
        if token[:1] == bytes((_RESPONSE,)):
            return _response(Cursor.over(token))
        return _initial(token)
    except tlv.DERError as error:
        raise TokenError(f"neither SPNEGO nor Kerberos: {error}") from error


def _initial(token: bytes) -> NegotiationToken:
    whole = Cursor.over(token)
    inner = whole.enter(_INITIAL)
    whole.finish()
    mechanism = inner.object_identifier()
    if mechanism in KERBEROS:
        return NegotiationToken(encryption_types=_encryption_types(inner.rest()))
    if mechanism != SPNEGO:
        raise TokenError(f"the mechanism {mechanism}")
    init = inner.enter(0xA0).enter(tlv.SEQUENCE)
    mechanisms = _mechanisms(init.enter(0xA0).enter(tlv.SEQUENCE))
    if not KERBEROS & set(mechanisms):
        raise TokenError(f"no Kerberos among the mechanisms {', '.join(mechanisms)}")
    init.enter_optional(0xA1)  # reqFlags, which nobody uses
    mech_token = init.enter_optional(0xA2)
    if mech_token is None or mechanisms[0] not in KERBEROS:
        return NegotiationToken()  # the token, if any, is of a mechanism that will not be chosen
    return NegotiationToken(encryption_types=_of_mech_token(mech_token.contents(tlv.OCTET_STRING)))


def _response(cursor: Cursor) -> NegotiationToken:
    response = cursor.enter(_RESPONSE).enter(tlv.SEQUENCE)
    cursor.finish()
    response.enter_optional(0xA0)  # negState
    response.enter_optional(0xA1)  # supportedMech
    mech_token = response.enter_optional(0xA2)
    if mech_token is None:
        return NegotiationToken(is_continuation=True)
    types = _of_mech_token(mech_token.contents(tlv.OCTET_STRING))
    return NegotiationToken(is_continuation=True, encryption_types=types)


def _mechanisms(cursor: Cursor) -> list[str]:
    found: list[str] = []
    while not cursor.is_at_end:
        if len(found) == MAX_MECHANISMS:
            raise TokenError(f"more than {MAX_MECHANISMS} mechanisms")
        found.append(cursor.object_identifier())
    if not found:
        raise TokenError("no mechanisms")
    return found


def _of_mech_token(token: bytes) -> frozenset[int]:
    if token.startswith(_NTLM):
        raise TokenError("NTLM inside of SPNEGO")
    whole = Cursor.over(token)
    inner = whole.enter(_INITIAL)
    whole.finish()
    if inner.object_identifier() not in KERBEROS:
        raise TokenError("a token of another mechanism than Kerberos")
    return _encryption_types(inner.rest())


def _encryption_types(message: bytes) -> frozenset[int]:
    """Those of an AP-REQ (RFC 4120, 5.5.1) behind the number that says that it is one."""
    if message[:2] != _AP_REQ_ID:
        raise TokenError("a Kerberos token that is no AP-REQ")
    whole = Cursor.over(message[2:])
    request = whole.enter(_AP_REQ).enter(tlv.SEQUENCE)
    whole.finish()
    for expected in (0xA0, 0xA1, 0xA2):  # pvno, msg-type, ap-options
        request.enter(expected)
    ticket = request.enter(0xA3).enter(_TICKET).enter(tlv.SEQUENCE)
    for expected in (0xA0, 0xA1, 0xA2):  # tkt-vno, realm, sname
        ticket.enter(expected)
    of_ticket = ticket.enter(0xA3).enter(tlv.SEQUENCE).enter(0xA0).integer()
    of_session_key = request.enter(0xA4).enter(tlv.SEQUENCE).enter(0xA0).integer()
    return frozenset({of_ticket, of_session_key})
