"""Orders: challenges, PKCS#12 and certificates for users and devices."""

from __future__ import annotations

from base64 import b32encode
from functools import partial
from hashlib import sha256
from random import Random
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.client_keys import ClientKeys
from cspd.authority.interfaces import Authorities, Issuance
from cspd.authority.values import AuthorityState, EnrollmentRequest, Issued, Pending
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.values import Delivery, DigitalID
from cspd.keys.threads import SigningPool
from cspd.plugin import PublicAddress
from cspd.refusals import BadPublicKey, Conflict, Forbidden, Malformed, NotFound
from cspd.x509.names import format_name
from protocols.mdm.alternative_names import general_names
from protocols.mdm.held_certificates import HeldCertificates
from protocols.mdm.messages import (
    Caller,
    CertificateDescription,
    CertificateIssued,
    ChallengeCreated,
    CreateChallenge,
    IssueCertificate,
    IssuePKCS12,
    Order,
    PKCS12Issued,
)
from protocols.mdm.pkcs12 import KEY_TYPES, encode_pkcs12

_PASSWORD_OCTETS = 15


class Orders:
    """Takes orders."""

    def __init__(
        self,
        *,
        digital_ids: DigitalIDs,
        authorities: Authorities,
        issuance: Issuance,
        held: HeldCertificates,
        client_keys: ClientKeys,
        pool: SigningPool,
        random: Random,
        public: PublicAddress,
        legacy_pkcs12: bool,
    ) -> None:
        """``pool`` runs what takes many milliseconds; ``random`` is cryptographically strong."""
        self._digital_ids = digital_ids
        self._authorities = authorities
        self._issuance = issuance
        self._held = held
        self._client_keys = client_keys
        self._pool = pool
        self._random = random
        self._public = public
        self._legacy_pkcs12 = legacy_pkcs12

    async def create_challenge(self, order: CreateChallenge, caller: Caller) -> ChallengeCreated:
        """A challenge for one device (R-CEG-092); raises Malformed, BadName, NotFound, Conflict."""
        digital_id, subject, names = self._read(order)
        ca_certificate_der = await self._ready_ca(digital_id)
        new = await self._digital_ids.challenges.create(
            tenant=caller.tenant,
            digital_id=digital_id.name,
            subject=subject,
            subject_alt_names=names,
            by=caller.requester,
        )
        path = f"/scep/{quote(caller.tenant)}/{quote(digital_id.name)}/mdm"
        return ChallengeCreated(
            challenge=new.secret,
            expires_at=new.challenge.expires_at.replace(microsecond=0),
            lifetime_seconds=int(self._digital_ids.challenges.lifetime.total_seconds()),
            scep_url=f"{self._public.http}{path}",
            scep_https_url=f"{self._public.https}{path}",
            ca_fingerprint=sha256(ca_certificate_der).hexdigest(),
            subject=format_name(subject),
            user_id=new.challenge.user_id,
        )

    async def issue_pkcs12(self, order: IssuePKCS12, caller: Caller) -> PKCS12Issued:
        """A certificate with a key that is made here and not kept (R-CEG-091, R-CEGI-075).

        Raises as :meth:`create_challenge`, Forbidden for what conf or the profile does not allow, BadPublicKey, and
        what issuance raises.
        """
        digital_id, subject, names = self._read(order)
        profile = self._digital_ids.check_server_made_key(digital_id)
        if order.legacy_encryption and not self._legacy_pkcs12:
            raise Forbidden("PKCS#12 with 3DES and SHA-1 is not allowed here", code="legacy-not-allowed")
        if order.key_type not in profile.key_types & KEY_TYPES:
            raise BadPublicKey(f"profile {profile.id} has no keys of type {order.key_type.value} for PKCS#12")
        if order.password is not None and not order.password.isprintable():
            raise Malformed("password: printable characters")
        password = order.password or b32encode(self._random.randbytes(_PASSWORD_OCTETS)).decode("ascii")
        key = await self._client_keys.generate(order.key_type)
        public_key_der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        issued = await self._enroll(
            EnrollmentRequest(
                ca=digital_id.ca,
                profile=digital_id.profile,
                requester=caller.requester,
                public_key_der=public_key_der,
                subject=subject,
                subject_alt_names=names,
            ),
            digital_id,
            subject,
            Delivery.PKCS12,
            caller,
        )
        encode = partial(
            encode_pkcs12,
            key,
            issued.certificate_der,
            issued.chain_der,
            password=password,
            friendly_name=format_name(subject),
            legacy=order.legacy_encryption,
        )
        pkcs12_der = await self._pool.run(encode)
        description = await self._describe(digital_id, issued, caller)
        return PKCS12Issued(pkcs12=pkcs12_der, password=password, certificate=description)

    async def issue_certificate(self, order: IssueCertificate, caller: Caller) -> CertificateIssued:
        """A certificate for the key of a request, whose names do not count; raises as :meth:`issue_pkcs12`."""
        digital_id, subject, names = self._read(order)
        issued = await self._enroll(
            EnrollmentRequest(
                ca=digital_id.ca,
                profile=digital_id.profile,
                requester=caller.requester,
                csr_der=order.csr,
                subject=subject,
                subject_alt_names=names,
            ),
            digital_id,
            subject,
            Delivery.CSR,
            caller,
        )
        return CertificateIssued(
            certificate=await self._describe(digital_id, issued, caller), chain=tuple(issued.chain_der)
        )

    async def _ready_ca(self, digital_id: DigitalID) -> bytes:
        """The CA's certificate, DER; raises what a device would come to know too late."""
        authority = await self._authorities.get(digital_id.ca)
        if authority.state is not AuthorityState.ACTIVE or authority.certificate_der is None:
            raise Conflict(f"CA {digital_id.ca} is {authority.state.value}", code="ca-not-active")
        if digital_id.profile not in authority.profiles:
            raise NotFound(f"CA {digital_id.ca} has no profile {digital_id.profile!r}", code="no-such-profile")
        return authority.certificate_der

    def _read(self, order: Order) -> tuple[DigitalID, x509.Name, tuple[x509.GeneralName, ...]]:
        digital_id = self._digital_ids.get(order.digital_id)
        return digital_id, digital_id.subject(order.variables), general_names(order.subject_alt_names)

    async def _enroll(
        self,
        request: EnrollmentRequest,
        digital_id: DigitalID,
        subject: x509.Name,
        delivery: Delivery,
        caller: Caller,
    ) -> Issued:
        recorded = self._digital_ids.users.recorded(caller.tenant, digital_id.name, subject, delivery)
        issued = await self._issuance.enroll(request, recorded=recorded)
        if isinstance(issued, Pending):  # no CA of ours makes an order wait
            raise Conflict("the CA issues later, which an order cannot wait for", code="ca-issues-later")
        return issued

    async def _describe(self, digital_id: DigitalID, issued: Issued, caller: Caller) -> CertificateDescription:
        authority = await self._authorities.get(digital_id.ca)
        held = await self._digital_ids.users.certificate(caller.tenant, authority.id, issued.serial)
        return await self._held.describe(held)
