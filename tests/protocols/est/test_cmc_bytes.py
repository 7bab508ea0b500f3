"""Any bytes: a signed response or Malformed; and what OpenSSL thinks of both sides of the conversation."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from cspd.authority.values import EnrollmentRequest, Issued
from cspd.refusals import Malformed
from cspd.x509.cmc.codec import decode_pki_response, encode_pki_data
from cspd.x509.cmc.messages import PKI_DATA, PKI_RESPONSE, CMCFailInfo, CMCStatus, SenderNonce
from tests.protocols.est.cmc_client import CA, PROFILE, TLS_CLIENT, Client, Server, pki_data
from tests.support.running import result_of


@cache
def conversation() -> tuple[Server, bytes]:
    client = Client()
    return Server(), client.send(client.csr(), controls=(SenderNonce(b"n"),))


@given(st.data())
def test_damaged_bytes_get_a_response_or_malformed(data: st.DataObject) -> None:
    server, message = conversation()
    octets = bytearray(message)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with suppress(Malformed):
        server.ask(bytes(octets))


def test_what_nobody_expected_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = Server(), Client()

    async def burn(request: EnrollmentRequest) -> Issued:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(server.house.pipeline, "enroll", burn)
    status = server.ask(client.send(client.csr())).status
    assert (status.cmc_status, status.other_info) == (CMCStatus.FAILED, CMCFailInfo.INTERNAL_CA_ERROR)
    assert status.status_string == "an internal error"


def openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_openssl_verifies_the_response(tmp_path: Path) -> None:
    server, client = Server(), Client()
    response_der = result_of(server.service.answer(CA, PROFILE, client.send(client.csr()), TLS_CLIENT))
    (tmp_path / "response.der").write_bytes(response_der)
    certificate = server.house.root.certificate
    assert certificate is not None
    (tmp_path / "root.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    at = str(int(server.house.clock.now().timestamp()))
    openssl(
        tmp_path,
        *("cms", "-verify", "-inform", "DER", "-in", "response.der", "-out", "content.der", "-binary"),
        *("-CAfile", "root.pem", "-purpose", "any", "-attime", at, "-econtent_type", PKI_RESPONSE),
    )
    assert decode_pki_response((tmp_path / "content.der").read_bytes()).control_sequence


@pytest.mark.parametrize("options", [(), ("-keyid",), ("-nocerts",), ("-stream", "-indef"), ("-md", "sha512")])
def test_openssl_signs_a_request_that_we_answer(tmp_path: Path, options: tuple[str, ...]) -> None:
    server, client = Server(), Client()
    client = Client(client.key, server.ask(client.send(client.csr())).issued(client.key))
    assert client.certificate is not None
    (tmp_path / "certificate.pem").write_bytes(client.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(client.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    new = Client()
    (tmp_path / "content.der").write_bytes(encode_pki_data(pki_data((new.csr(),), ())))
    openssl(
        tmp_path,
        *("cms", "-sign", "-in", "content.der", "-binary", "-nodetach", "-outform", "DER", "-out", "request.der"),
        *("-signer", "certificate.pem", "-inkey", "key.pem", "-econtent_type", PKI_DATA, *options),
    )
    answered = server.ask((tmp_path / "request.der").read_bytes(), None)
    assert answered.issued(new.key).subject == client.certificate.subject
