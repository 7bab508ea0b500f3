"""What EST does with a request: authenticate, compare, ask issuance (RFC 7030, 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authentication.basic import Credentials
from cspd.authority.approvals import Approvals, ApprovalTerms
from cspd.authority.chains import root_of
from cspd.authority.interfaces import Authorities, Issuance, Publication, Recorded, Revocation
from cspd.authority.key_links import KeyLinks
from cspd.authority.profile_values import Profile
from cspd.authority.requests import read_csr, requested_extensions, with_proof_checked
from cspd.authority.values import (
    CAReference,
    CertificateRecord,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
    RevocationReason,
    RevocationRequest,
)
from cspd.keys.generation import key_type_of
from cspd.keys.values import KeyType, PrivateKey, PublicKey
from cspd.refusals import (
    AlreadyRevoked,
    BadName,
    BadPublicKey,
    BadRevocationReason,
    Conflict,
    Forbidden,
    NotFound,
    Refused,
)
from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.csr import (
    CHALLENGE_PASSWORD,
    EST_IDENTITY_LINKING,
    OTP_CHALLENGE,
    CertificationRequest,
)
from cspd.x509.general_names import subject_alt_names_of
from protocols.est.authentication import Authenticated, Authentication
from protocols.est.challenges import asks_for_challenges, check_channel_binding, has_challenges, read_challenges
from protocols.est.codec import decode_request
from protocols.est.csr_attributes import encode_csr_attributes
from protocols.est.encrypted_keys import EncryptedKeys
from protocols.est.messages import (
    Certificates,
    ChannelBinding,
    Client,
    GeneratedKey,
    RevocationForm,
    Terms,
)

_REVOCATION_REASONS = frozenset(
    reason.value
    for reason in (
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
    )
)
"""What a holder may say of its certificate."""

GenerateKey = Callable[[KeyType], Awaitable[PrivateKey]]


class ESTService:
    """The operations; each raises refusals."""

    _log = Logger()

    def __init__(
        self,
        *,
        authentication: Authentication,
        authorities: Authorities,
        issuance: Issuance,
        approvals: Approvals,
        revocation: Revocation,
        publication: Publication,
        key_links: KeyLinks,
        profiles: Mapping[str, Profile],
        generate_key: GenerateKey,
        encrypted_keys: EncryptedKeys,
    ) -> None:
        self._authentication = authentication
        self._authorities = authorities
        self._issuance = issuance
        self._approvals = approvals
        self._revocation = revocation
        self._publication = publication
        self._key_links = key_links
        self._profiles = profiles
        self._generate_key = generate_key
        self._encrypted_keys = encrypted_keys

    async def ca_certificates(self, ca: CAReference) -> Certificates:
        """The CA's certificate, those above it, and its earlier ones, whose certificates are still around (4.1).

        After the root got a new key: oldWithOld, newWithOld and oldWithNew as well (4.1.3).
        """
        authority = await self._authorities.get(ca)
        if authority.certificate_der is None:
            raise Conflict(f"{ca} has no certificate yet")
        earlier = (each.certificate_der for each in authority.previous)
        found = dict.fromkeys((authority.certificate_der, *authority.chain_der, *earlier))
        root = await root_of(self._authorities, authority)
        for link in await self._key_links.of(root):
            links = (root.certificate_der, link.new_with_old_der, link.old_with_new_der, *link.old_certificates_der)
            found.update(dict.fromkeys(each for each in links if each))
        return Certificates(certificates_der=tuple(found))

    async def crl(self, ca: CAReference) -> bytes:
        """The current CRL of the CA's current key, DER; no operation of the RFC."""
        authority = await self._authorities.get(ca)
        return (await self._publication.current(authority, key_index=authority.key_index)).crl_der

    async def revoke(self, form: RevocationForm, client: Client, terms: Terms) -> None:
        """Revoke the client's own TLS certificate, or one that it has enrolled as a user. No operation of the RFC."""
        if form.serial is None or form.serial == _serial_of(client.certificate_der):
            record = await self._authentication.own_certificate(client, terms)
            known = await self._authentication.authenticate(client, terms, renews=record)
        else:
            known, record = await self._authentication.certificate_of_user(client, terms, form.serial)
        if form.reason not in _REVOCATION_REASONS:
            raise BadRevocationReason(f"reason: one of {', '.join(sorted(_REVOCATION_REASONS))}")
        await self._revocation.revoke(
            RevocationRequest(
                ca=terms.ca,
                serial=record.serial,
                reason=RevocationReason(form.reason),
                requester=_requester(client, known),
            )
        )

    async def csr_attributes(self, terms: Terms) -> bytes | None:
        """CsrAttrs, DER; None if there is nothing to say (4.5.2)."""
        profile = await self._profile(terms)
        asked = [OTP_CHALLENGE] if terms.challenge else []
        if terms.channel_binding is ChannelBinding.REQUIRED:
            asked += [CHALLENGE_PASSWORD, EST_IDENTITY_LINKING]
        return encode_csr_attributes(profile, asked)

    async def enroll(self, body: bytes, client: Client, terms: Terms) -> Certificates | Pending:
        """Issue a certificate for a request (4.2.1)."""
        known = await self._authenticate(body, client, terms)
        return await self._issue(decode_request(body), client, known, terms)

    async def reenroll(self, body: bytes, client: Client, terms: Terms) -> Certificates | Pending:
        """Issue the successor of the client's TLS certificate, for the same subject and names (4.2.2)."""
        current = await self._authentication.own_certificate(client, terms)
        known = await self._authenticate(body, client, terms, renews=current)
        csr_der = decode_request(body)
        _check_same_names(read_csr(csr_der), current)
        answer = await self._issue(csr_der, client, known, terms)
        if terms.revoke_replaced and isinstance(answer, Certificates):
            await self._revoke_replaced(current, _requester(client, known), terms)
        return answer

    async def generate_key(self, body: bytes, client: Client, terms: Terms) -> GeneratedKey:
        """Make a key like that of the request, and its certificate; the key is forgotten here (4.4)."""
        if not terms.key_generation:
            raise NotFound("keys are not made here")
        known = await self._authenticate(body, client, terms)
        if terms.approval:
            raise Forbidden("a key cannot wait for an approval: it is not kept")
        # Key and signature of the request are there for its syntax alone (4.4.1).
        csr_der = decode_request(body)
        csr = read_csr(csr_der, check_signature=False)
        key_type = _key_type(csr)
        sealing = await self._encrypted_keys.sealing(csr_der, client, terms, name=known.name, is_user=known.is_user)
        key = await self._generate_key(key_type)
        sealed = None if sealing is None else await self._encrypted_keys.seal(key, sealing, terms)
        issued = await self._issuance.enroll(
            EnrollmentRequest(
                ca=terms.ca,
                profile=terms.profile,
                requester=_requester(client, known),
                public_key_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                subject=csr.subject,
                subject_alt_names=csr.subject_alt_names,
                extensions=requested_extensions(csr.extensions),
            ),
            recorded=_both(known.recorded, None if sealing is None else sealing.recorded),
        )
        assert isinstance(issued, Issued)
        if sealed is not None:
            return GeneratedKey(private_key_der=sealed, is_encrypted=True, certificate_der=issued.certificate_der)
        return GeneratedKey(
            private_key_der=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            certificate_der=issued.certificate_der,
        )

    async def _authenticate(
        self, body: bytes, client: Client, terms: Terms, renews: CertificateRecord | None = None
    ) -> Authenticated:
        def one_time_password() -> Credentials | None:
            return read_challenges(read_csr(decode_request(body), check_signature=False), terms).one_time_password

        return await self._authentication.authenticate(
            client, terms, renews=renews, one_time_password=one_time_password
        )

    async def _issue(
        self, csr_der: bytes, client: Client, known: Authenticated, terms: Terms
    ) -> Certificates | Pending:
        request = EnrollmentRequest(
            ca=terms.ca, profile=terms.profile, requester=_requester(client, known), csr_der=csr_der
        )
        if asks_for_challenges(terms):
            request = _without_challenges(request, client, terms)
        if terms.approval:
            waits = ApprovalTerms(retry_after=terms.retry_after, lifetime=terms.approval_lifetime)
            answer = await self._approvals.enroll(request, waits, kept_with=known.kept_with)
        else:
            answer = await self._issuance.enroll(request, recorded=known.recorded)
        if isinstance(answer, Pending):
            return answer
        return Certificates(certificates_der=(answer.certificate_der, *answer.chain_der))

    async def _revoke_replaced(self, current: CertificateRecord, requester: Requester, terms: Terms) -> None:
        """The successor is durable and on its way: a revocation that does not work must not take it from the client."""
        try:
            await self._revocation.revoke(
                RevocationRequest(
                    ca=terms.ca, serial=current.serial, reason=RevocationReason.SUPERSEDED, requester=requester
                )
            )
        except AlreadyRevoked:
            return
        except Refused as refusal:
            self._log.error(
                "the replaced certificate {serial} of {ca} is not revoked: {reason}",
                serial=f"{current.serial:x}",
                ca=str(terms.ca),
                reason=refusal.reason,
            )

    async def _profile(self, terms: Terms) -> Profile:
        authority = await self._authorities.get(terms.ca)
        if terms.profile not in authority.profiles or terms.profile not in self._profiles:
            raise NotFound(f"{terms.ca} does not issue by the profile {terms.profile}")
        return self._profiles[terms.profile]


def _requester(client: Client, known: Authenticated) -> Requester:
    return Requester(protocol="est", identity=known.name, address=client.address, request_id=client.request_id)


def _both(first: Recorded | None, second: Recorded | None) -> Recorded | None:
    """What is to be noted with a certificate, if there are two things."""
    if first is None or second is None:
        return first or second

    def recorded(connection: Connection, authority_id: str, serial: int) -> None:
        first(connection, authority_id, serial)
        second(connection, authority_id, serial)

    return recorded


def _serial_of(certificate_der: bytes | None) -> int | None:
    """None too for a certificate that OpenSSL has let through and that cannot be read here."""
    try:
        return None if certificate_der is None else x509.load_der_x509_certificate(certificate_der).serial_number
    except UNREADABLE:
        return None


def _without_challenges(request: EnrollmentRequest, client: Client, terms: Terms) -> EnrollmentRequest:
    """Check what ties a request to its connection, and leave it and one-time passwords out of what is kept.

    A request that waits for approval is the same one when it comes again over another connection (4.2.3), and secrets
    have no place among kept requests.
    """
    assert request.csr_der is not None
    csr = read_csr(request.csr_der, check_signature=False)  # by the pipeline, unless it is taken apart below
    check_channel_binding(csr, client.channel_bindings(), terms)
    if not has_challenges(csr):
        return request
    return with_proof_checked(request)


def _key_type(csr: CertificationRequest) -> KeyType:
    public_key = csr.public_key
    if not isinstance(public_key, PublicKey):
        raise BadPublicKey("keys of that kind are not made here")
    try:
        return key_type_of(public_key)
    except ValueError as error:
        raise BadPublicKey("keys of that kind are not made here") from error


def _check_same_names(csr: CertificationRequest, current: CertificateRecord) -> None:
    """Subject and subjectAltName have to be those of the certificate (4.2.2), in any order of the names."""
    assert current.certificate_der is not None
    certificate = x509.load_der_x509_certificate(current.certificate_der)
    names = subject_alt_names_of(certificate)
    if csr.subject != certificate.subject or frozenset(csr.subject_alt_names) != frozenset(names):
        raise BadName("subject and subjectAltName are not those of the certificate that is to be replaced")
