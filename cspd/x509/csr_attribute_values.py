"""The attributes of a certification request as they are encoded (RFC 2986, 4.1), for those that are not a text."""

from __future__ import annotations

from collections.abc import Mapping

from cspd.x509 import tlv
from cspd.x509.csr import MAX_CSR, CSRError
from cspd.x509.cursor import Cursor

_ATTRIBUTES = 0xA0


def attribute_values(csr_der: bytes) -> Mapping[str, tuple[bytes, ...]]:
    """The values of each attribute, DER, by its object identifier; raises :class:`cspd.x509.csr.CSRError`.

    Nothing else of the request is looked at. An attribute that is there twice is an error.
    """
    if len(csr_der) > MAX_CSR:
        raise CSRError(f"more than {MAX_CSR} octets")
    try:
        info = Cursor.over(csr_der).enter(tlv.SEQUENCE).enter(tlv.SEQUENCE)
        info.integer()  # version
        info.enter(tlv.SEQUENCE)  # subject
        info.enter(tlv.SEQUENCE)  # subjectPKInfo
        attributes = info.enter_optional(_ATTRIBUTES)
        found: dict[str, tuple[bytes, ...]] = {}
        while attributes is not None and not attributes.is_at_end:
            attribute = attributes.enter(tlv.SEQUENCE)
            oid = attribute.object_identifier()
            values = tuple(attribute.enter(tlv.SET).elements())
            attribute.finish()
            if oid in found:
                raise CSRError(f"the attribute {oid} twice")
            found[oid] = values
    except tlv.DERError as error:
        raise CSRError(f"not a certification request: {error}") from error
    return found
