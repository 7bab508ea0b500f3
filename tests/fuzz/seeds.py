"""What is damaged: messages of real clients from ``corpus``, and messages with everything in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from cspd.http.soap import SOAP_11, WSSE
from cspd.x509.cmc.codec import encode_pki_data, encode_pki_response
from cspd.x509.cmc.messages import PKIResponse
from cspd.x509.crmf.encoding import encode_cert_req_messages
from protocols.cmp.codec import encode
from protocols.cmp.info_types import (
    CertReqTemplate,
    CRLStatus,
    RootCaKeyUpdate,
    cert_req_template,
    confirm_wait_time,
    crl_status_list,
    root_ca_key_update,
    texts,
    unsupported_oids,
)
from protocols.cmp.mac_algorithms import PBMAC1MAC, PasswordBasedMAC
from protocols.cmp.messages import PKIMessage
from protocols.scep.capabilities import Capability, encode_capabilities
from protocols.scep.message_data import encode_message_data
from protocols.scep.messages import CertsOnly, IssuerAndSerialNumber, IssuerAndSubject
from tests.protocols.cmp import vectors as cmp
from tests.protocols.est.cmc_client import Client
from tests.protocols.scep.vectors import indefinite
from tests.support import scep_client as scep
from tests.unit.x509.cmc.test_codec import FULL
from tests.unit.x509.crmf import requests as crmf

CORPUS: Final = Path(__file__).parent / "corpus"


def corpus(name: str, pattern: str = "*") -> Mapping[str, bytes]:
    """The messages of one folder of the corpus by their file names, and what was found there to be wrong."""
    files = [*(CORPUS / name).glob(pattern), *(CORPUS / name).glob("found-*")]
    return {file.name: file.read_bytes() for file in sorted(files) if file.suffix not in {".py", ".sh", ".md", ".pem"}}


def _est() -> Iterable[bytes]:
    for csr_der in corpus("x509", "*.csr").values():
        text = base64.encodebytes(csr_der)
        yield from (csr_der, text, text.replace(b"\n", b""), text.replace(b"\n", b"\r\n"))
        yield b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"-----END CERTIFICATE REQUEST-----\n"
    yield from (b"reason=keyCompromise", b"Basic " + base64.b64encode("dévice:sécret".encode()))


def _cms() -> Iterable[bytes]:
    client = Client(crmf.KEY)
    yield client.sign(encode_pki_data(FULL))
    yield Client(crmf.KEY, cmp.certificate(key=crmf.KEY)).sign(encode_pki_data(FULL))


def _cmc() -> Iterable[bytes]:
    yield encode_pki_data(FULL)
    yield encode_pki_response(
        PKIResponse(
            control_sequence=FULL.control_sequence,
            cms_sequence=FULL.cms_sequence,
            other_msg_sequence=FULL.other_msg_sequence,
        )
    )


def _crmf() -> Iterable[bytes]:
    for at, popo in enumerate(crmf.PROOFS):
        message = crmf.message(crmf.FULL_TEMPLATE, popo, crmf.CONTROLS[at : at + 4])
        yield encode_cert_req_messages((message,))
    yield encode_cert_req_messages((crmf.signed(), crmf.signed_input(crmf.MAC)))


def _cmp() -> Iterable[bytes]:
    for body in cmp.BODIES:
        yield encode(PKIMessage(cmp.FULL_HEADER, body, b"mac", (cmp.STRUCTURE,)))
    update = RootCaKeyUpdate(cmp.STRUCTURE, cmp.STRUCTURE, cmp.STRUCTURE)
    for item in (
        confirm_wait_time(cmp.NOW + timedelta(minutes=1)),
        texts("1.2.3", ("one", "zwölf")),
        unsupported_oids(("1.2.3", "2.999.1")),
        root_ca_key_update(update),
        cert_req_template(CertReqTemplate(cmp.STRUCTURE, cmp.STRUCTURE)),
        crl_status_list((CRLStatus(dpn_der=b"\x86\x01a", this_update=cmp.NOW), CRLStatus(issuer_der=cmp.STRUCTURE))),
    ):
        yield item.info_value_der
    for mac in (PasswordBasedMAC(b"salt", 500), PBMAC1MAC(b"salt", 500), PBMAC1MAC(b"salt", 500, None)):
        yield mac.algorithm.parameters_der


def _scep() -> Iterable[bytes]:
    yield from map(indefinite, corpus("scep").values())
    yield scep.csr_of(crmf.KEY, "device", "sesame")
    names = [scep.name_of(each).public_bytes() for each in ("a CA", "device")]
    yield encode_message_data(IssuerAndSubject(names[0], names[1]))
    yield encode_message_data(IssuerAndSerialNumber(names[0], 1))
    yield encode_message_data(CertsOnly((scep.certificate_of(crmf.KEY, "device").public_bytes(Encoding.DER),)))
    yield encode_capabilities(Capability)


def _mdm() -> Iterable[bytes]:
    order = {
        "digitalId": "My Phones",
        "variables": {"firstname": "Ann"},
        "subjectAltNames": [{"kind": "email", "value": "ann@example.com"}],
    }
    yield json.dumps({**order, "keyType": "ec-p256", "password": "correct horse", "legacyEncryption": True}).encode()
    yield json.dumps({**order, "csr": base64.b64encode(scep.csr_of(crmf.KEY, "device")).decode()}).encode()
    yield json.dumps({"ca": "demo~issuing", "serialNumber": "1f", "reason": "keyCompromise"}).encode()
    yield json.dumps({"userId": "0" * 32}).encode()
    token = "<w:UsernameToken><w:Username>a</w:Username><w:Password>b</w:Password></w:UsernameToken>"
    header = f'<s:Header><w:Security s:mustUnderstand="1">{token}</w:Security></s:Header>'
    call = '<m:ListDigitalIDs xmlns:m="urn:cspd:mdm"/>'
    yield f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:w="{WSSE}">{header}<s:Body>{call}</s:Body></s:Envelope>'.encode()


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """The messages for a target of :data:`tests.fuzz.any_bytes.TARGETS`."""
    made = {"est": _est, "cms": _cms, "ber": _cms, "cmc": _cmc, "crmf": _crmf, "cmp": _cmp, "scep": _scep, "mdm": _mdm}[
        target
    ]()
    return (*corpus("cms" if target == "ber" else target).values(), *made)
