"""SCEP on an installation in memory, as the daemon assembles it, but for who speaks for the CA and who may enroll."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select
from twisted.internet.defer import Deferred

from cspd.authority.approvals import Approvals
from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference, CertificateStatus, EnrollmentRequest, Issued, Requester
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.keys.threads import InlinePool
from cspd.plugin import Services
from cspd.refusals import NotFound, Unauthorized
from cspd.store.tables import certificates
from protocols.scep.assembly import assemble
from protocols.scep.config import SCEPConfig
from protocols.scep.endpoint import SCEPEndpoint
from protocols.scep.interfaces import (
    Authorization,
    Places,
    RegistrationAuthority,
    RequestForCertificate,
    Terms,
)
from protocols.scep.messages import CertsOnly, MessageType, PKIMessage, PKIStatus
from protocols.scep.places import PlainPlaces
from protocols.scep.tables import scep_transactions
from protocols.scep.transport import PKI_MESSAGE
from tests.support.authorities import ISSUING, Installation
from tests.support.running import result_of
from tests.support.scep_client import ScepClient, certificate_of, csr_of, name_of, recipient_key, signer_with

PROFILE = "scep-digital-signature"
OTHER_PROFILE = "scep-key-encipherment"
RA_PROFILE = "scep-digital-signature-key-encipherment"
PASSWORD = "correct horse"  # of a test
PATH = f"/scep/demo/demo~issuing/{PROFILE}/"


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """A key, made once for all tests."""
    return rsa.generate_private_key(65537, 2048)


class OneRegistrationAuthority:
    """Implements :class:`protocols.scep.interfaces.RegistrationAuthorities` for the issuing CA."""

    def __init__(self, house: Installation) -> None:
        self.key = rsa_key(0)
        issued = house.run(
            house.issuance.enroll(
                EnrollmentRequest(
                    ca=ISSUING,
                    profile=RA_PROFILE,
                    requester=Requester(protocol="scep", identity="ra"),
                    public_key_der=self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                    subject=name_of("issuing SCEP RA"),
                )
            )
        )
        assert isinstance(issued, Issued)
        self.certificate = x509.load_der_x509_certificate(issued.certificate_der)
        self.registration_authority = RegistrationAuthority(
            certificates_der=(issued.certificate_der, *issued.chain_der),
            signing_certificate_der=issued.certificate_der,
            signer=lambda digest: signer_with(self.key, self.certificate, cast(Any, digest)),
            recipients=(recipient_key(self.key, self.certificate),),
        )

    async def of(self, ca: CAReference) -> RegistrationAuthority:
        """See the interface."""
        if ca != ISSUING:
            raise NotFound("nobody speaks for this CA")
        return self.registration_authority


class PasswordAuthorizer:
    """Implements :class:`protocols.scep.interfaces.Authorizer` with one password."""

    def __init__(self) -> None:
        self.authorization = Authorization(identity="device")
        self.authorized: list[RequestForCertificate] = []
        self.told: list[str] = []
        self.meanwhile: Callable[[], Any] | None = None
        """Happens while a request is being authorized."""
        self.until: Deferred[None] | None = None
        """What the decision waits for."""

    async def authorize(self, request: RequestForCertificate) -> Authorization:
        """See the interface."""
        is_renewal = request.terms.renewal_without_challenge and request.replaces is not None
        if not is_renewal and request.challenge_password != PASSWORD:
            raise Unauthorized("the challengePassword is wrong")
        self.authorized.append(request)
        if self.until is not None:
            await self.until
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return self.authorization

    async def issued(self, request: RequestForCertificate, authorization: Authorization, issued: Issued) -> None:
        """See the interface."""
        self.told.append(f"issued {issued.serial:x}")

    async def refused(self, request: RequestForCertificate, authorization: Authorization, reason: str) -> None:
        """See the interface."""
        self.told.append(f"refused: {reason}")

    async def passwords(self, terms: Terms) -> Sequence[bytes]:
        """See the interface."""
        return (PASSWORD.encode(),)


class World:
    """A server, and a device."""

    def __init__(
        self,
        *,
        shares: World | None = None,
        service: Any = None,
        intune: Places | None = None,
        mdm: Places | None = None,
        **section: Any,
    ) -> None:
        self.house = house = Installation(shares=shares.house if shares else None)
        if shares is None:
            house.make_hierarchy(profiles=(PROFILE, OTHER_PROFILE, RA_PROFILE))
        values: dict[str, Any] = {
            "profiles": [PROFILE, OTHER_PROFILE],
            "services": [{"ca": "demo~issuing", **(service or {})}],
            **section,
        }
        values["registration_authorities"] = [{"ca": each["ca"]} for each in values["services"]]
        self.configuration = SCEPConfig.model_validate(values)
        store = Certificates(house.database)
        self.approvals = Approvals(
            clock=house.clock,
            random=Random(f"{id(self)} approvals"),
            database=house.database,
            authorities=house.registry,
            certificates=store,
            issuance=house.issuance,
            audit=house.audit,
        )
        services = cast(
            Services,
            SimpleNamespace(
                clock=house.clock,
                random=Random(f"{id(self)} nonces"),
                database=house.database,
                keys=house.keys,
                authorities=house.registry,
                issuance=house.issuance,
                approvals=self.approvals,
                revocation=house.revocation,
                status=house.status,
                publication=house.publication,
                certificates=store,
            ),
        )
        self.authority = shares.authority if shares else OneRegistrationAuthority(house)
        self.in_thread = InlinePool().run
        self.authorizer = shares.authorizer if shares else PasswordAuthorizer()
        self.assembled = assemble(
            self.configuration, services, registration_authorities=self.authority, in_thread=self.in_thread
        )
        self.plain = PlainPlaces(self.configuration, tenants=["demo"], authorizer=lambda _: self.authorizer)
        endpoint = SCEPEndpoint(
            service=self.assembled.service,
            information=self.assembled.information,
            plain=self.plain,
            intune=intune,
            mdm=mdm,
            limits=self.assembled.limits,
        )
        self.router = Router(endpoint.routes())

    # Devices

    def device(self, common_name: str = "device", *, key: int = 1, **values: Any) -> ScepClient:
        """One that has no certificate yet."""
        private_key = rsa_key(key)
        return ScepClient(
            key=private_key,
            certificate=certificate_of(private_key, common_name),
            ra_certificate=self.authority.certificate,
            **values,
        )

    def csr(self, common_name: str = "device", *, key: int = 1, password: str | None = PASSWORD) -> bytes:
        """A request for a device."""
        return csr_of(rsa_key(key), common_name, password)

    def enrolled(self, common_name: str = "device", *, key: int = 1) -> ScepClient:
        """A device that has its certificate."""
        device = self.device(common_name, key=key)
        return with_certificate(device, self.enroll(device, self.csr(common_name, key=key)))

    # Asking

    def ask(
        self, query: str, body: bytes | None = None, *, path: str = PATH, method: str = "", peer: str = "192.0.2.7"
    ) -> Response:
        """The answer over HTTP."""
        method = method or ("GET" if body is None else "POST")
        match = self.router.resolve(method, path)
        request = Request(
            method=method,
            target=f"{path}?{query}".encode(),
            path=path,
            query=query,
            headers=((b"content-type", PKI_MESSAGE.encode()),),
            body=body or b"",
            parameters=match.parameters,
            peer=peer,
            request_id="r-1",
        )
        return cast(Response, result_of(cast(Any, match.route.handler(request))))

    def send(self, message_der: bytes, *, path: str = PATH) -> bytes:
        """The CertRep to a message that is POSTed."""
        response = self.ask("operation=PKIOperation", message_der, path=path)
        assert response.status == 200, response.body
        assert header(response, b"content-type") == PKI_MESSAGE.encode()
        return response.body

    def answer(self, device: ScepClient, message_der: bytes, *, path: str = PATH) -> tuple[PKIMessage, Any]:
        """The CertRep, and what it gives, as the device reads it."""
        return device.read(self.send(message_der, path=path))

    def enroll(
        self,
        device: ScepClient,
        csr_der: bytes,
        message_type: MessageType = MessageType.PKCS_REQ,
        *,
        path: str = PATH,
    ) -> x509.Certificate:
        """The certificate that a device gets."""
        message, data = self.answer(device, device.enrollment(csr_der, message_type), path=path)
        assert message.pki_status is PKIStatus.SUCCESS, message
        assert isinstance(data, CertsOnly)
        [certificate_der] = data.certificates_der
        return x509.load_der_x509_certificate(certificate_der)

    # Looking

    def status(self, certificate: x509.Certificate) -> CertificateStatus:
        """Of a certificate of the issuing CA."""
        found = result_of(self.house.status.status(self.house.get(ISSUING).id, certificate.serial_number))
        assert found is not None
        return found

    @property
    def certificate_count(self) -> int:
        """How many certificates devices have got."""
        query = select(func.count()).where(certificates.c.profile != RA_PROFILE, certificates.c.protocol == "scep")
        return int(result_of(self.house.database.read(lambda connection: connection.execute(query).scalar_one())))

    @property
    def transaction_count(self) -> int:
        """How many are kept."""
        query = select(func.count()).select_from(scep_transactions)
        return int(result_of(self.house.database.read(lambda connection: connection.execute(query).scalar_one())))


def with_certificate(device: ScepClient, certificate: x509.Certificate) -> ScepClient:
    """The device with the certificate that it got."""
    return replace(device, certificate=certificate)


def header(response: Response, name: bytes) -> bytes | None:
    """A header of an answer."""
    return dict(response.headers).get(name)


def in_query(message_der: bytes) -> str:
    """A message for GET."""
    return f"operation=PKIOperation&message={quote(base64.b64encode(message_der), safe='')}"
