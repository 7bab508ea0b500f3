"""Full CMC with the real daemon: curl carries, openssl signs requests and verifies responses."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cspd.x509.cmc.codec import decode_pki_response, encode_pki_data
from cspd.x509.cmc.messages import (
    PKI_DATA,
    PKI_RESPONSE,
    CMCStatus,
    CMCStatusInfoV2,
    RecipientNonce,
    SenderNonce,
    TransactionID,
)
from tests.interop.test_est_clients import Site, site_of
from tests.protocols.est.cmc_client import Client, pki_data
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

CMC = "Content-Type: application/pkcs7-mime; smime-type=CMC-request"


def exchange(site: Site, message: bytes, *options: str) -> tuple[list[object], list[x509.Certificate]]:
    """What the response says, once openssl has verified it up to the root, and its certificates."""
    folder = site.folder
    (folder / "request.b64").write_bytes(base64.encodebytes(message))
    status, body = site.curl("fullcmc", "-H", CMC, "--data-binary", f"@{folder / 'request.b64'}", *options)
    assert status == 200, body
    (folder / "response.der").write_bytes(base64.b64decode(body))
    openssl, content = program("openssl"), folder / "content.der"
    verify = ["-verify", "-inform", "DER", "-in", folder / "response.der", "-binary", "-out", content]
    trust = ["-CAfile", site.daemon.root_pem, "-purpose", "any", "-certsout", folder / "certificates.pem"]
    run([openssl, "cms", *verify, *trust, "-econtent_type", PKI_RESPONSE])
    values: list[object] = [each.value for each in decode_pki_response(content.read_bytes()).control_sequence]
    return values, x509.load_pem_x509_certificates((folder / "certificates.pem").read_bytes())


def certificate_of(client: Client, certificates: list[x509.Certificate]) -> x509.Certificate:
    (certificate,) = [each for each in certificates if each.public_key() == client.key.public_key()]
    return certificate


def test_a_certificate_by_password_and_its_successor_by_openssl(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        first, second = Client(), Client()
        controls = (TransactionID(4711), SenderNonce(b"0123456789abcdef"))
        message = first.send(first.csr("cmc.example.test"), controls=controls)
        said, certificates = exchange(site, message, "--user", site.user)
        assert CMCStatusInfoV2(cmc_status=CMCStatus.SUCCESS, body_list=(1,)) in said
        assert TransactionID(4711) in said
        assert RecipientNonce(b"0123456789abcdef") in said
        current = certificate_of(first, certificates)

        key, signer, content = (site.folder / name for name in ("key.pem", "signer.pem", "pki-data.der"))
        key.write_bytes(first.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        signer.write_bytes(current.public_bytes(Encoding.PEM))
        content.write_bytes(encode_pki_data(pki_data((second.csr("cmc.example.test"),), ())))
        signed = site.folder / "signed.der"
        sign = ["-sign", "-in", content, "-binary", "-nodetach", "-signer", signer, "-inkey", key]
        run([program("openssl"), "cms", *sign, "-econtent_type", PKI_DATA, "-outform", "DER", "-out", signed])
        _, certificates = exchange(site, signed.read_bytes())
        assert certificate_of(second, certificates).subject == current.subject
