"""Roots whose key is elsewhere, and the CAs here that they sign (R-CA-021, R-CA-023).

    import_root      the root's certificate, PEM        -> external-root, active
    create_issuing   (cspd.authority.creation)          -> issuing, pending-certificate
    request          the CA's key and name, PKCS#10     -> to whoever operates the root
    upload           the certificate that came back     -> issuing, active

``upload`` for an active CA renews it: the same key, a new validity.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.certification import CACertifier
from cspd.authority.creation import chain_below, check_usable_root, created_event, insert_new
from cspd.authority.lifecycle import Move, check_move, lock
from cspd.authority.new_authorities import ImportedRoot, NewExternalRoot
from cspd.authority.organizations import check_administrator
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.rows import NewCACertificate, change_authority, insert_certificate
from cspd.authority.rules import check_ca_certificate, check_ca_id
from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference, Requester
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import BadPublicKey, BadValidity, Conflict, Malformed, Rejected
from cspd.store.interfaces import Database

MAX_PEM_CHARACTERS = 65_536


class ExternalRoots:
    """Imports external roots and gives their subordinates here their certificates.

    Changes are durable, audited and known to the registry when a call returns. Every method raises Forbidden unless the
    requester administers the organization.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        keys: Keys,
        certifier: CACertifier,
        registry: AuthorityRegistry,
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._database = database
        self._keys = keys
        self._certifier = certifier
        self._registry = registry
        self._audit = audit

    async def import_root(self, new: NewExternalRoot, requester: Requester) -> ImportedRoot:
        """Register a self-signed certificate as a root (R-CA-021, A-15).

        An expired one is taken, with a warning. Raises Malformed for what is not one PEM certificate, Rejected for one
        that is not self-signed or not a CA's, Conflict for a CA id that is taken.
        """
        check_ca_id(new.reference.ca_id)
        certificate = parse_pem_certificate(new.certificate_pem)
        check_ca_certificate(certificate, key_usage_required=False)
        _check_signed_by(certificate, certificate, "the certificate is not self-signed")
        now = self._clock.now().replace(microsecond=0)
        warnings = _warnings(certificate, now=now)
        stored = NewCACertificate(
            id=self._certifier.new_id(),
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=(),
            key=None,
            key_index=0,
            created_at=now,
        )
        authority = Authority(
            id=self._certifier.new_id(),
            reference=new.reference,
            kind=AuthorityKind.EXTERNAL_ROOT,
            state=AuthorityState.ACTIVE,
            subject=certificate.subject,
            key_type=None,
            key=None,
            certificate_id=stored.id,
            certificate=certificate,
            certificate_der=stored.certificate_der,
            chain_der=(),
            issuer_id=None,
            ocsp_enabled=False,
            ocsp_key_type=None,
            crl_days=None,
            delta_crl_hours=None,
            profiles=frozenset(),
            created_at=now,
        )

        def work(connection: Connection) -> None:
            insert_new(connection, authority, requester, now=now)
            insert_certificate(connection, authority.id, stored)
            self._audit.append(connection, created_event("ca-imported", authority, requester))

        await self._database.write(work)
        await self._registry.refresh()
        return ImportedRoot(authority=await self._registry.get(new.reference), warnings=warnings)

    async def request(self, reference: CAReference, requester: Requester) -> bytes:
        """The certificate request (PKCS#10, DER) to be signed by the external root.

        Raises Conflict for a CA that is not under an external root.
        """
        authority, _ = await self._subordinate(reference)
        organization = reference.organization
        await self._database.read(lambda connection: check_administrator(connection, organization, requester))
        assert authority.key is not None
        return await self._certifier.request(key=authority.key, subject=authority.subject)

    async def upload(self, reference: CAReference, certificate_pem: str, requester: Requester) -> Authority:
        """Take the certificate that the external root signed, and activate the CA (R-CA-023, A-5).

        Raises Malformed for what is not one PEM certificate, BadPublicKey for another key than the CA's, Rejected for
        a certificate that the registered root did not sign or that may not sign certificates and CRLs, BadValidity for
        one that has expired or leaves the root's validity, Conflict for a CA that is disabled.
        """
        authority, root = await self._subordinate(reference)
        certificate = parse_pem_certificate(certificate_pem)
        assert authority.key is not None
        assert root.certificate is not None
        if _spki(certificate) != (await self._keys.public_key(authority.key)).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ):
            raise BadPublicKey("the certificate is for another key than this CA's", code="bad-field.certificate")
        check_ca_certificate(certificate, key_usage_required=True)
        if not certificate.subject.rdns:
            raise Rejected("the certificate has an empty subject", code="bad-field.certificate")
        _check_signed_by(certificate, root.certificate, f"the certificate is not signed by {root.reference}")
        now = self._clock.now().replace(microsecond=0)
        _check_validity(certificate, root.certificate, now=now)
        stored = NewCACertificate(
            id=self._certifier.new_id(),
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=chain_below(root),
            key=authority.key,
            key_index=authority.key_index,
            created_at=now,
        )

        def work(connection: Connection) -> None:
            check_administrator(connection, reference.organization, requester)
            check_usable_root(connection, root)
            check_move(lock(connection, authority), Move.CERTIFY)
            insert_certificate(connection, authority.id, stored)
            change_authority(
                connection,
                authority.id,
                state=AuthorityState.ACTIVE.value,
                certificate_id=stored.id,
                subject_der=certificate.subject.public_bytes(),
            )
            fields = {"ca": str(reference), "serial": format(certificate.serial_number, "x")}
            actor = f"{requester.protocol}:{requester.identity}"
            self._audit.append(connection, AuditEvent(event="ca-certificate-uploaded", actor=actor, fields=fields))

        await self._database.write(work)
        await self._registry.refresh()
        return await self._registry.get(reference)

    async def _subordinate(self, reference: CAReference) -> tuple[Authority, Authority]:
        """An issuing CA here and its external root."""
        authority = await self._registry.get(reference)
        if authority.issuer_id is None:
            raise Conflict(f"{reference} is not under an external root")
        root = await self._registry.by_id(authority.issuer_id)
        if root.kind is not AuthorityKind.EXTERNAL_ROOT:
            raise Conflict(f"{reference} is not under an external root")
        return authority, root


def parse_pem_certificate(text: str) -> x509.Certificate:
    """The one certificate in a PEM text; raises Malformed (R-CA-021: PEM only)."""
    if len(text) > MAX_PEM_CHARACTERS:
        raise Malformed("the PEM text is too long", code="bad-field.certificate")
    try:
        certificates = x509.load_pem_x509_certificates(text.encode("ascii"))
        for (
            certificate
        ) in certificates:  # the library parses these when somebody looks, and its TypeError is a BIT STRING
            certificate.subject, certificate.issuer  # noqa: B018
    except (ValueError, TypeError, x509.InvalidVersion) as error:  # UnicodeEncodeError is a ValueError
        raise Malformed("not a certificate in PEM", code="bad-field.certificate", detail=str(error)) from error
    if len(certificates) != 1:
        raise Malformed("give exactly one certificate in PEM", code="bad-field.certificate")
    return certificates[0]


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicKey("the certificate's key is not usable", code="bad-field.certificate") from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_signed_by(certificate: x509.Certificate, issuer: x509.Certificate, reason: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise Rejected(reason, code="bad-field.certificate", detail=repr(error)) from error


def _check_validity(certificate: x509.Certificate, root: x509.Certificate, *, now: datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise BadValidity("the certificate has expired", code="bad-field.certificate")
    if (
        certificate.not_valid_before_utc < root.not_valid_before_utc
        or certificate.not_valid_after_utc > root.not_valid_after_utc
    ):
        raise BadValidity("the certificate leaves the validity of its root", code="bad-field.certificate")


def _warnings(certificate: x509.Certificate, *, now: datetime) -> tuple[str, ...]:
    if certificate.not_valid_after_utc <= now:
        return (f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}",)
    if certificate.not_valid_before_utc > now:
        return (f"the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on",)
    return ()
