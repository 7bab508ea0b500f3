"""The issuance pipeline: a request in, a durable certificate out.

::

    enroll(request)
        SigningAuthority, Profile   resolve: the CA is active, the profile is enabled on it
        read_request                the CSR, and proof that its sender holds the private key
        policy.*                    names, extensions, public key, validity by the profile
        prepare                     everything decided; only the CA's own end can refuse from here
        sign                        a new serial number, the signature, checked with the CA's certificate
        store                       the certificate and its audit event in one transaction, if the CA is active still
    -> Issued

From ``sign`` on the work runs to its end even if the client leaves: a signature without a record must not exist. A
power cut between signature and record may still lose one; a CA with ``record_before_signing`` reserves the serial
number durably first and so accounts for every signature its HSM ever made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from random import Random

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.authority_keys import AuthorityKeys
from cspd.authority.certificates import complete_if_active, insert_if_active
from cspd.authority.interfaces import Authorities, Recorded
from cspd.authority.issuers import SigningAuthority
from cspd.authority.policy.extensions import decide_extensions
from cspd.authority.policy.names import CertifiedNames, decide_names
from cspd.authority.policy.public_keys import check_public_key
from cspd.authority.policy.validity import Period, decide_validity
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.authority.requests import read_request
from cspd.authority.serials import new_serial
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    CertificateStatus,
    EnrollmentRequest,
    Issued,
    Requester,
)
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import PrivateKey, PublicKey
from cspd.refusals import Conflict, NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.general_names import text_of
from cspd.x509.names import format_name

_SERIAL_ATTEMPTS = 3  # one collision in 2^159 is no accident; three are a broken random number generator


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A certificate that only lacks its serial number and signature."""

    signer: SigningAuthority
    profile: Profile
    requester: Requester
    names: CertifiedNames
    public_key: PublicKey
    public_key_sha256: str
    period: Period
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]
    dropped: tuple[str, ...]
    names_as_asked: bool


class IssuancePipeline:
    """Implements :class:`cspd.authority.interfaces.Issuance`."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        database: Database,
        keys: Keys,
        authorities: Authorities,
        profiles: Mapping[str, Profile],
        audit: AuditLog,
        urls: StatusURLs,
        after_issue: Callable[[CertificateRecord], None] | None = None,
    ) -> None:
        """``after_issue`` hears of each certificate once it is stored, and must not raise."""
        self._clock = clock
        self._random = random
        self._database = database
        self._keys = keys
        self._authorities = authorities
        self._profiles = profiles
        self._audit = audit
        self._urls = urls
        self._after_issue = after_issue
        self._authority_keys = AuthorityKeys(authorities, keys)
        self._signers: dict[str, SigningAuthority] = {}
        self._uncancelled = Uncancelled()

    async def enroll(self, request: EnrollmentRequest, *, recorded: Recorded | None = None) -> Issued:
        """See :class:`cspd.authority.interfaces.Issuance`; a refusal is audited before it is raised."""
        try:
            prepared = await self._prepare(request)
            return await self._uncancelled.run(self._sign_and_store(prepared, recorded))
        except Refused as refusal:
            await self._audit_refusal(request, refusal)
            raise

    async def check(self, request: EnrollmentRequest) -> None:
        """See :class:`cspd.authority.interfaces.Issuance`."""
        try:
            await self._prepare(request)
        except Refused as refusal:
            await self._audit_refusal(request, refusal)
            raise

    async def drain(self) -> None:
        """Wait until no certificate is being signed; for the end of the process."""
        await self._uncancelled.drain()

    async def _prepare(self, request: EnrollmentRequest) -> _Prepared:
        """Decide everything; raises NotFound, Conflict, Malformed or a Rejected."""
        now = self._clock.now()
        signer = await self._signer(request, now)
        profile = self._profile(request, signer.authority)
        asked = read_request(request)
        names = decide_names(profile, asked.subject, asked.subject_alt_names)
        extensions = decide_extensions(profile, asked.extensions)
        period = decide_validity(
            profile.validity,
            issuer=signer.period,
            now=now,
            not_before=request.not_before,
            not_after=request.not_after,
        )
        authority_keys = await self._authority_keys.current()
        public_key = check_public_key(profile, asked.public_key, asked.public_key_der, authority_keys)
        return _Prepared(
            signer=signer,
            profile=profile,
            requester=request.requester,
            names=names,
            public_key=public_key,
            public_key_sha256=sha256(asked.public_key_der).hexdigest(),
            period=period,
            extensions=extensions.granted,
            dropped=extensions.dropped,
            names_as_asked=(
                names.subject == asked.subject and set(names.subject_alt_names) == set(asked.subject_alt_names)
            ),
        )

    async def _signer(self, request: EnrollmentRequest, now: datetime) -> SigningAuthority:
        authority = await self._authorities.get(request.ca)
        if authority.state is not AuthorityState.ACTIVE:
            raise Conflict(f"CA {authority.reference} is {authority.state.value}", code="ca-not-active")
        known = self._signers.get(authority.id)
        if known is None or known.authority is not authority:
            known = self._signers[authority.id] = SigningAuthority(authority, self._urls)
        if now > known.period.not_after:
            raise Conflict(f"CA {authority.reference} has expired", code="ca-expired")
        return known

    def _profile(self, request: EnrollmentRequest, authority: Authority) -> Profile:
        profile = self._profiles.get(request.profile)
        if (
            profile is None
            or profile.id not in authority.profiles
            or profile.category is ProfileCategory.AUTHORITY
            or not profile.may_be_enabled_on(authority.kind)
        ):
            raise NotFound(f"CA {authority.reference} has no profile {request.profile[:80]!r}", code="no-such-profile")
        return profile

    async def _sign_and_store(self, prepared: _Prepared, recorded: Recorded | None) -> Issued:
        for _ in range(_SERIAL_ATTEMPTS):
            serial = new_serial(self._random.randbytes)
            try:
                return await self._sign_with_serial(prepared, serial, recorded)
            except IntegrityError:
                self._log.error("Serial number {serial:x} is taken; making another", serial=serial)
        raise Unavailable("no unused serial number", detail="the random number generator repeats itself")

    async def _sign_with_serial(self, prepared: _Prepared, serial: int, recorded: Recorded | None) -> Issued:
        signer = prepared.signer
        record = self._record(prepared, serial)
        reserve = signer.authority.record_before_signing
        if reserve:
            await self._database.write(
                lambda connection: insert_if_active(connection, record, public_key_sha256=prepared.public_key_sha256)
            )
        builder = signer.template(prepared.profile).assemble(
            subject=prepared.names.subject,
            public_key=prepared.public_key,
            serial=serial,
            not_before=prepared.period.not_before,
            not_after=prepared.period.not_after,
            subject_alt_names=prepared.names.subject_alt_names,
            extensions=prepared.extensions,
        )

        def sign(private_key: PrivateKey) -> x509.Certificate:
            return builder.sign(private_key, signer.signature_hash)  # type: ignore[arg-type]  # one of the SHA-2

        certificate = await self._keys.sign(signer.key, sign)
        self._check(certificate, prepared, serial)
        certificate_der = certificate.public_bytes(Encoding.DER)
        event = _issued_event(prepared, record, certificate_der)

        def store(connection: Connection) -> None:
            if reserve:
                complete_if_active(connection, record.authority_id, serial, certificate_der)
            else:
                insert_if_active(
                    connection,
                    replace(record, certificate_der=certificate_der, status=_GOOD),
                    public_key_sha256=prepared.public_key_sha256,
                )
            self._audit.append(connection, event)
            if recorded is not None:
                recorded(connection, record.authority_id, serial)

        try:
            await self._database.write(store)
        except Conflict as conflict:
            is_inactive = conflict.refusal_code == "ca-not-active"
            raise Conflict(
                f"CA {signer.authority.reference} is not active any more" if is_inactive else conflict.reason,
                detail=f"the signed certificate with serial number {serial:x} was thrown away",
                code=conflict.refusal_code,
            ) from conflict
        if self._after_issue is not None:
            self._after_issue(record)
        return Issued(
            certificate_der=certificate_der,
            chain_der=signer.chain_der,
            serial=serial,
            not_before=record.not_before,
            not_after=record.not_after,
            names_as_asked=prepared.names_as_asked,
        )

    def _record(self, prepared: _Prepared, serial: int) -> CertificateRecord:
        """The certificate's record while it is unsigned."""
        return CertificateRecord(
            authority_id=prepared.signer.authority.id,
            serial=serial,
            certificate_der=None,
            issuer_certificate_id=prepared.signer.certificate_id,
            profile=prepared.profile.id,
            subject=format_name(prepared.names.subject),
            names=tuple(text_of(name) for name in prepared.names.subject_alt_names),
            not_before=prepared.period.not_before,
            not_after=prepared.period.not_after,
            issued_at=self._clock.now(),
            protocol=prepared.requester.protocol,
            requester=prepared.requester.identity,
            status=_RESERVED,
        )

    def _check(self, certificate: x509.Certificate, prepared: _Prepared, serial: int) -> None:
        """A faulty token or a swapped key must not get its product out of the house.

        We encoded what was to be signed; the signature and the fresh serial number under it tie the answer to that.
        """
        try:
            certificate.verify_directly_issued_by(prepared.signer.certificate)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise Unavailable(
                "the CA's key made a wrong signature",
                detail=f"{prepared.signer.key} does not fit {prepared.signer.authority.reference}: {error}",
            ) from error
        if certificate.serial_number != serial:
            raise Unavailable("the CA's key signed something else", detail=str(prepared.signer.key))

    async def _audit_refusal(self, request: EnrollmentRequest, refusal: Refused) -> None:
        requester = request.requester
        failed = isinstance(refusal, Unavailable)
        try:
            await self._audit.record(
                AuditEvent(
                    event="certificate-refused",
                    actor=_actor(requester),
                    outcome=Outcome.FAILED if failed else Outcome.REFUSED,
                    fields={
                        "ca": str(request.ca),
                        "profile": request.profile[:80],
                        "code": refusal.refusal_code,
                        "reason": refusal.reason,
                        "detail": refusal.detail or None,
                        "address": requester.address,
                        "request_id": requester.request_id,
                    },
                )
            )
        except Unavailable as error:  # the refusal stands, and says more than this does
            self._log.error("A refusal could not be audited: {reason}", reason=error.reason, refused=refusal.reason)


_GOOD = CertificateStatus(state=CertificateState.GOOD)
_RESERVED = CertificateStatus(state=CertificateState.RESERVED)


def _actor(requester: Requester) -> str:
    return f"{requester.protocol}:{requester.identity}"


def _issued_event(prepared: _Prepared, record: CertificateRecord, certificate_der: bytes) -> AuditEvent:
    return AuditEvent(
        event="certificate-issued",
        actor=_actor(prepared.requester),
        fields={
            "ca": str(prepared.signer.authority.reference),
            "serial": f"{record.serial:x}",
            "profile": record.profile,
            "subject": record.subject,
            "names": " ".join(record.names),
            "not_before": record.not_before.isoformat(),
            "not_after": record.not_after.isoformat(),
            "sha256": sha256(certificate_der).hexdigest(),
            "dropped_extensions": " ".join(prepared.dropped) or None,
            "address": prepared.requester.address,
            "request_id": prepared.requester.request_id,
        },
    )
