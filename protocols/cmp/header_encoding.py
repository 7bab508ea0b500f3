"""DER of a PKIHeader (RFC 9810, 5.1.1)."""

from __future__ import annotations

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import encode_algorithm
from protocols.cmp.limits import Limits
from protocols.cmp.messages import PKIHeader
from protocols.cmp.value_encoding import (
    encode_free_text,
    encode_info,
    encode_octets,
    encode_sequence_of,
    encode_tagged,
    read_algorithm_identifier,
    read_free_text,
    read_general_name,
    read_info,
    read_octets,
    read_sequence_of,
    read_small_integer,
    read_time,
    tagged,
)


def read_header(cursor: Cursor, limits: Limits) -> PKIHeader:
    """Step over a PKIHeader; raises :class:`cspd.x509.tlv.DERError`. Any pvno is read."""

    def octets(inner: Cursor) -> bytes:
        return read_octets(inner, limits.identifier_octets)

    fields = cursor.enter(tlv.SEQUENCE)
    header = PKIHeader(
        pvno=read_small_integer(fields),
        sender_der=read_general_name(fields),
        recipient_der=read_general_name(fields),
        message_time=tagged(fields, 0, read_time),
        protection_alg=tagged(fields, 1, read_algorithm_identifier),
        sender_kid=tagged(fields, 2, octets),
        recip_kid=tagged(fields, 3, octets),
        transaction_id=tagged(fields, 4, octets),
        sender_nonce=tagged(fields, 5, octets),
        recip_nonce=tagged(fields, 6, octets),
        free_text=tagged(fields, 7, lambda inner: read_free_text(inner, limits)) or (),
        general_info=tagged(fields, 8, lambda inner: read_sequence_of(inner, read_info, limit=limits.general_info))
        or (),
    )
    fields.finish()
    return header


def encode_header(header: PKIHeader) -> bytes:
    """Encode a PKIHeader."""
    time, algorithm = header.message_time, header.protection_alg
    return tlv.sequence(
        tlv.integer(header.pvno),
        header.sender_der,
        header.recipient_der,
        encode_tagged(0, None if time is None else tlv.generalized_time_with_fraction(time)),
        encode_tagged(1, None if algorithm is None else encode_algorithm(algorithm)),
        *(
            encode_tagged(number, None if octets is None else encode_octets(octets))
            for number, octets in enumerate(
                (
                    header.sender_kid,
                    header.recip_kid,
                    header.transaction_id,
                    header.sender_nonce,
                    header.recip_nonce,
                ),
                2,
            )
        ),
        encode_tagged(7, encode_free_text(header.free_text)),
        encode_tagged(8, encode_sequence_of(header.general_info, encode_info) if header.general_info else None),
    )
