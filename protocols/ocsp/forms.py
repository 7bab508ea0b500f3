"""Requests like an earlier one but for serial number and nonce, without reading them element by element again.

The clients of a CA ask alike. And DER has no choice: where two requests of the same length differ in nothing but the
contents of one INTEGER and one OCTET STRING, they have the same structure, and what holds for one holds for the other.
All that is left to check is that the INTEGER is in its shortest form.
"""

from __future__ import annotations

from dataclasses import dataclass

from cspd.x509 import tlv
from protocols.ocsp import codec
from protocols.ocsp.messages import NONCE, CertID, Extension, OCSPRequest, SingleRequest

BEGINNING = 40
"""Octets in which forms differ: lengths, algorithm, and much of the issuer's hash."""
MAX_FORMS = 256
"""Of some 400 octets each. A CA has one or two; the others are of clients that ask at the wrong URL."""


class RequestDecoder:
    """Decodes as :func:`protocols.ocsp.codec.decode_request`, the commonest requests by a third of its work."""

    def __init__(self, limits: codec.RequestLimits) -> None:
        self._limits = limits
        self._forms: dict[bytes, _Form] = {}

    def decode(self, data: bytes) -> OCSPRequest:
        """See :func:`protocols.ocsp.codec.decode_request`; raises what that does."""
        beginning = data[:BEGINNING]
        form = self._forms.get(beginning)
        if form is not None:
            request = form.read(data)
            if request is not None:
                return request
        request = codec.decode_request(data, self._limits)
        form = _form_of(data, request)
        if form is not None:
            if len(self._forms) == MAX_FORMS:
                self._forms.clear()
            self._forms[beginning] = form
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What such requests have in common: one CertID, and a nonce as the only extension."""

    octets: int
    """Of the request."""
    like: CertID
    extension: Extension
    cert_id: int
    """Where the CertID begins."""
    before_serial: bytes
    """All up to the contents of the serial number."""
    serial_stop: int
    between: bytes
    """From there up to the nonce."""
    extn_value: int
    """Where the OCTET STRING of the nonce begins; it reaches to the end."""

    def read(self, data: bytes) -> OCSPRequest | None:
        """The request; None for one of another form, and for one that is not DER."""
        if (
            len(data) != self.octets
            or not data.startswith(self.before_serial)
            or not data.startswith(self.between, self.serial_stop)
        ):
            return None
        try:
            serial_number = tlv.read_integer(data, len(self.before_serial), self.serial_stop)
        except tlv.DERError:
            return None
        like, extension = self.like, self.extension
        cert_id = CertID(
            like.algorithm_der,
            like.issuer_name_hash,
            like.issuer_key_hash,
            serial_number,
            data[self.cert_id : self.serial_stop],
        )
        nonce = Extension(extension.extn_id, extension.critical, data[self.extn_value :])
        return OCSPRequest((SingleRequest(cert_id),), (nonce,))


def _form_of(data: bytes, request: OCSPRequest) -> _Form | None:
    """The form of a decoded request; None if it has not just one CertID, of a hash that we know, and a nonce."""
    if len(request.request_list) != 1 or len(request.extensions) != 1:
        return None
    single, extension = request.request_list[0], request.extensions[0]
    like, nonce = single.req_cert, request.nonce
    if (
        single.extensions
        or request.requestor_name_der is not None
        or request.signature_der is not None
        or extension.extn_id != NONCE
        or nonce is None
        or like.algorithm_der not in codec.HASH_ALGORITHMS
    ):
        return None
    cert_id = 0
    for _ in range(4):  # OCSPRequest, TBSRequest, requestList, Request
        cert_id, _ = tlv.read(data, cert_id, len(data), tlv.SEQUENCE)
    serial_stop = cert_id + len(like.encoded)
    serial_octets = len(tlv.integer(like.serial_number)) - 2
    return _Form(
        octets=len(data),
        like=like,
        extension=extension,
        cert_id=cert_id,
        before_serial=data[: serial_stop - serial_octets],
        serial_stop=serial_stop,
        between=data[serial_stop : len(data) - len(nonce)],
        extn_value=len(data) - len(extension.extn_value),
    )


__all__ = ["RequestDecoder"]
