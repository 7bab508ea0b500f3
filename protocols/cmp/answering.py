"""The header of an answer (RFC 9483, 3.1)."""

from __future__ import annotations

from datetime import datetime

from protocols.cmp.header_rules import needed_version
from protocols.cmp.messages import CMP2000, CMP2021, InfoTypeAndValue, PKIBody, PKIHeader


def answer_header(
    request: PKIHeader,
    body: PKIBody,
    *,
    sender_der: bytes,
    sender_nonce: bytes,
    now: datetime,
    sender_kid: bytes | None = None,
    general_info: tuple[InfoTypeAndValue, ...] = (),
) -> PKIHeader:
    """The header that answers ``request`` with ``body``, not protected yet.

    ``sender_der`` is a GeneralName; ``sender_nonce`` is 16 random octets; ``now`` is UTC. The version is that of the
    request, as far as the body can be said in it. For a message whose body was never read,
    :func:`protocols.cmp.codec.decode_header` gives the ``request``.
    """
    asked = request.pvno if request.pvno in (CMP2000, CMP2021) else CMP2000
    return PKIHeader(
        pvno=max(asked, needed_version(body)),
        sender_der=sender_der,
        recipient_der=request.sender_der,
        message_time=now.replace(microsecond=0),
        sender_kid=sender_kid,
        recip_kid=None,
        transaction_id=request.transaction_id,
        sender_nonce=sender_nonce,
        recip_nonce=request.sender_nonce,
        general_info=general_info,
    )
