"""EST on an installation in memory, asked by request values through the real router."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authentication.certificates import ClientCertificates
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authentication.several import FirstOf
from cspd.authentication.static import StaticUsers
from cspd.authority.approvals import Approvals
from cspd.authority.certificates import Certificates as CertificateStore
from cspd.authority.client_keys import ClientKeys
from cspd.authority.key_links import KeyLinks
from cspd.http.channel_bindings import ChannelBindings
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.keys.encryption import MasterKey
from cspd.keys.threads import InlinePool
from cspd.x509.cms.signed import read_signed_data
from protocols.est.authentication import Authentication
from protocols.est.cmc_endpoint import FullCMC
from protocols.est.cmc_service import CMCService
from protocols.est.config import ESTConfig
from protocols.est.encrypted_keys import EncryptedKeys
from protocols.est.endpoint import ESTEndpoint
from protocols.est.labels import Labels
from protocols.est.service import ESTService
from tests.support.authorities import Installation
from tests.support.issuing import common_name, make_csr
from tests.support.running import result_of

PROFILE = "tls-client"
LABEL = {"id": "devices", "ca": "demo~issuing", "profile": PROFILE}
BASE = "/.well-known/est"


def configuration(**values: Any) -> ESTConfig:
    """A section with one label."""
    section = {"users": ["people"], "labels": [LABEL], "default_label": "devices", "profiles": [PROFILE], **values}
    return ESTConfig.model_validate(section)


class World:
    """A server and its clients."""

    def __init__(self, folder: Path, *, house: Installation | None = None, **section: Any) -> None:
        if house is None:
            house = Installation()
            house.make_hierarchy(profiles=(PROFILE, "tls-server"))
        self.house = house
        self.key = ec.generate_private_key(ec.SECP256R1())
        certificates = CertificateStore(house.database)
        self.approvals = Approvals(
            clock=house.clock,
            random=Random(3),
            database=house.database,
            authorities=house.registry,
            certificates=certificates,
            issuance=house.issuance,
            audit=house.audit,
        )
        self.configuration = configuration(**section)

        self.secrets = EnrollmentSecrets(
            clock=house.clock,
            random=Random(6),
            database=house.database,
            audit=house.audit,
            master_key=MasterKey(b"m" * 32, Random(7).randbytes),
        )
        client_keys = ClientKeys(keys=house.keys, random_bytes=Random(8).randbytes, pool=InlinePool())
        authentication = Authentication(
            clock=house.clock,
            authorities=house.registry,
            certificates=certificates,
            users=FirstOf([StaticUsers("people", {"alice": b"se:cret", "bob": b"other"})]),
            secrets=self.secrets,
            client_certificates=ClientCertificates(certificates=certificates, status=house.status),
        )
        self.service = service = ESTService(
            authentication=authentication,
            authorities=house.registry,
            issuance=house.issuance,
            approvals=self.approvals,
            revocation=house.revocation,
            publication=house.publication,
            key_links=KeyLinks(clock=house.clock, database=house.database),
            profiles=house.profiles,
            generate_key=client_keys.generate,
            encrypted_keys=EncryptedKeys(
                clock=house.clock,
                authorities=house.registry,
                certificates=certificates,
                secrets=self.secrets,
                client_keys=client_keys,
            ),
        )
        labels = Labels(self.configuration, tenants=["demo"], folder=folder)
        cmc = CMCService(
            clock=house.clock,
            random=Random(5),
            keys=house.keys,
            authorities=house.registry,
            issuance=house.issuance,
            revocation=house.revocation,
            certificates=certificates,
            approvals=self.approvals,
            secrets=self.secrets,
        )
        endpoint = ESTEndpoint(
            service=service,
            full_cmc=FullCMC(cmc, authentication),
            labels=labels,
            random=Random(4),
            realm="cspd EST",
        )
        self.router = Router(endpoint.routes())

    def csr(self, name: str = "a.example", **values: Any) -> bytes:
        """A request for a host."""
        return make_csr(self.key, names=[x509.DNSName(name)], **values)

    def ask(
        self,
        operation: str,
        body: bytes | None = None,
        *,
        path: str = f"{BASE}/devices",
        user: str | None = None,
        certificate: bytes | None = None,
        chain: tuple[bytes, ...] = (),
        bindings: ChannelBindings | None = None,
        content_type: str = "application/pkcs10",
        **headers: str,
    ) -> Response:
        """POST a body, or GET without one."""
        lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        if body is not None:
            lines.append((b"content-type", content_type.encode()))
        if user is not None:
            lines.append((b"authorization", b"Basic " + base64.b64encode(user.encode())))
        method, path = "GET" if body is None else "POST", f"{path}/{operation}"
        match = self.router.resolve(method, path)
        request = Request(
            method=method,
            target=path.encode(),
            path=path,
            query="",
            headers=tuple(lines),
            body=body or b"",
            parameters=match.parameters,
            client_certificate=certificate,
            client_chain=chain,
            channel_bindings=lambda: bindings or ChannelBindings(),
            is_secure=True,
            peer="192.0.2.7",
            request_id="r-9",
        )
        return result_of(cast(Any, match.route.handler(request)))

    def enroll(self, csr_der: bytes | None = None) -> bytes:
        """A certificate of alice's, DER."""
        response = self.ask("simpleenroll", base64.b64encode(csr_der or self.csr()), user="alice:se:cret")
        return only_certificate(response)


def header(response: Response, name: bytes) -> bytes | None:
    """A header of an answer."""
    return dict(response.headers).get(name)


def certificates_of(response: Response) -> tuple[bytes, ...]:
    """The certificates of a certs-only answer."""
    assert response.status == 200, response.body
    assert header(response, b"content-type") == b"application/pkcs7-mime; smime-type=certs-only"
    return read_signed_data(base64.b64decode(response.body, validate=True)).certificates_der


def only_certificate(response: Response) -> bytes:
    """The one certificate of an enrollment."""
    [certificate_der] = certificates_of(response)
    return certificate_der


def with_attributes(
    key: ec.EllipticCurvePrivateKey, attributes: Mapping[str, str], *, name: str = "a.example"
) -> bytes:
    """A request for a host with attributes of text, UTF8String, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(common_name(name))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    for oid, value in attributes.items():
        builder = builder.add_attribute(x509.ObjectIdentifier(oid), value.encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
