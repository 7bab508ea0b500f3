"""What a relying party learns by OCSP, without the cost of a process."""

from __future__ import annotations

import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp


def ocsp_request(certificate: x509.Certificate, issuer: x509.Certificate, *, nonce: bytes | None = None) -> bytes:
    """A DER request for one certificate."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ask_ocsp(base: str, request_der: bytes, *, ca: str = "demo/issuing", timeout: float = 10) -> ocsp.OCSPResponse:
    """POST a request to the responder of a CA; ``base`` is the node's plain URL."""
    headers = {"Content-Type": "application/ocsp-request"}
    request = urllib.request.Request(f"{base}/ocsp/{ca}", request_der, headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return ocsp.load_der_ocsp_response(answer.read())


def ocsp_status(base: str, certificate: x509.Certificate, issuer: x509.Certificate, *, ca: str = "demo/issuing") -> str:
    """``good``, ``revoked`` or ``unknown``, all signatures verified; else the error's name."""
    response = ask_ocsp(base, ocsp_request(certificate, issuer), ca=ca)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return response.response_status.name.lower()
    (responder,) = response.certificates
    responder.verify_directly_issued_by(issuer)
    _verify(responder, response)
    assert response.serial_number == certificate.serial_number
    return response.certificate_status.name.lower()


def _verify(responder: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    key, hash_ = responder.public_key(), response.signature_hash_algorithm
    assert hash_ is not None
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), hash_)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hash_))
