"""``cspctl cert``: looking up and revoking issued certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.authority.certificates import MAX_PAGE, Certificates, Position
from cspd.authority.interfaces import Authorities, Issuance, Revocation
from cspd.authority.values import (
    Authority,
    CAReference,
    CertificateState,
    EnrollmentRequest,
    Pending,
    RevocationReason,
    RevocationRequest,
)
from cspd.clock import Clock
from cspd.refusals import Malformed, NotFound

MAX_CSR_CHARACTERS = 65536


class CertificateName(Arguments):
    """Which certificate: its CA and its serial number in hexadecimal (colons and a leading ``0x`` are tolerated)."""

    ca: str
    serial: str

    @property
    def number(self) -> int:
        """The serial number; raises Malformed."""
        try:
            number = int(self.serial.replace(":", "").strip(), 16)
        except ValueError:
            raise Malformed(f"{self.serial!r} is not a serial number in hexadecimal") from None
        if not 0 < number < 1 << 160:
            raise Malformed("a serial number is positive and has 20 octets at most")
        return number


class CertificateRevocation(CertificateName):
    """Why, and since when the key may be compromised."""

    reason: RevocationReason = RevocationReason.UNSPECIFIED
    invalidity_date: datetime | None = None


class CertificateRequest(Arguments):
    """A certification request (PKCS#10, PEM), and who shall certify it how."""

    ca: str
    profile: str
    csr_pem: str = Field(max_length=MAX_CSR_CHARACTERS)
    not_after: datetime | None = None


class CertificateFilter(Arguments):
    """Which certificates to list, and where the page before ended."""

    ca: str | None = None
    state: CertificateState | None = None
    profile: str | None = None
    text: str | None = Field(default=None, max_length=256)
    expires_before: datetime | None = None
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)
    after: str | None = Field(default=None, max_length=256)


class CertificateOperations:
    """Runs the operations on certificates."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        certificates: Certificates,
        issuance: Issuance,
        revocation: Revocation,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._issuance = issuance
        self._revocation = revocation

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="certificate-issue", arguments=CertificateRequest, run=self.issue),
            Operation(name="certificate-list", arguments=CertificateFilter, run=self.list, only_reads=True),
            Operation(name="certificate-show", arguments=CertificateName, run=self.show, only_reads=True),
            Operation(name="certificate-revoke", arguments=CertificateRevocation, run=self.revoke),
            Operation(name="certificate-hold", arguments=CertificateName, run=self.hold),
            Operation(name="certificate-unhold", arguments=CertificateName, run=self.unhold),
        )

    async def issue(self, arguments: CertificateRequest, caller: Caller) -> Any:
        """Certify a request: what the administrator asks for has no other proof than the administrator."""
        issued = await self._issuance.enroll(
            EnrollmentRequest(
                ca=CAReference.parse(arguments.ca),
                profile=arguments.profile,
                requester=caller.requester,
                csr_der=_csr_der(arguments.csr_pem),
                not_after=arguments.not_after,
            )
        )
        if isinstance(issued, Pending):
            return {"ca": arguments.ca, "pending": issued.request_id}
        return {
            "ca": arguments.ca,
            "serial": format(issued.serial, "X"),
            "not_after": views.moment(issued.not_after),
            "pem": views.chain_pem((issued.certificate_der, *issued.chain_der)),
        }

    async def list(self, arguments: CertificateFilter, caller: Caller) -> Any:
        """A page, the latest first, and where the next one begins (R-PLAT-155)."""
        authority = await self._authorities.get(CAReference.parse(arguments.ca)) if arguments.ca else None
        page = await self._certificates.list(
            authority_id=authority.id if authority else None,
            state=arguments.state,
            profile=arguments.profile,
            text=arguments.text,
            expires_before=arguments.expires_before,
            after=_position(arguments.after) if arguments.after else None,
            limit=arguments.limit,
        )
        names = {each.id: str(each.reference) for each in await self._authorities.list()}
        now = self._clock.now()
        return {
            "certificates": [
                views.certificate_row(record, names.get(record.authority_id, record.authority_id), now)
                for record in page.records
            ],
            "next": _cursor(page.next) if page.next else None,
        }

    async def show(self, arguments: CertificateName, caller: Caller) -> Any:
        """One certificate."""
        authority = await self._authority(arguments)
        return await self._view(authority, arguments.number)

    async def revoke(self, arguments: CertificateRevocation, caller: Caller) -> Any:
        """Revoke one certificate."""
        return await self._change(arguments, arguments.reason, caller, arguments.invalidity_date)

    async def hold(self, arguments: CertificateName, caller: Caller) -> Any:
        """Put a certificate on hold."""
        return await self._change(arguments, RevocationReason.CERTIFICATE_HOLD, caller)

    async def unhold(self, arguments: CertificateName, caller: Caller) -> Any:
        """Take a certificate off hold."""
        authority = await self._authority(arguments)
        await self._revocation.unhold(authority.reference, arguments.number, caller.requester)
        return await self._view(authority, arguments.number)

    async def _change(
        self,
        arguments: CertificateName,
        reason: RevocationReason,
        caller: Caller,
        invalidity_date: datetime | None = None,
    ) -> Any:
        authority = await self._authority(arguments)
        await self._revocation.revoke(
            RevocationRequest(
                ca=authority.reference,
                serial=arguments.number,
                reason=reason,
                requester=caller.requester,
                invalidity_date=invalidity_date,
            )
        )
        return await self._view(authority, arguments.number)

    async def _authority(self, arguments: CertificateName) -> Authority:
        return await self._authorities.get(CAReference.parse(arguments.ca))

    async def _view(self, authority: Authority, serial: int) -> dict[str, Any]:
        try:
            record = await self._certificates.find(authority.id, serial)
        except NotFound:
            raise NotFound(f"{authority.reference} issued no certificate with the serial number {serial:x}") from None
        return views.certificate(record, str(authority.reference), self._clock.now())


def _csr_der(text: str) -> bytes:
    try:
        return x509.load_pem_x509_csr(text.encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Malformed("this is no certification request in PEM") from error


def _cursor(position: Position) -> str:
    return f"{position.issued_at.isoformat()}/{position.serial:x}/{position.authority_id}"


def _position(cursor: str) -> Position:
    try:
        issued_at, serial, authority_id = cursor.split("/")
        moment = datetime.fromisoformat(issued_at)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return Position(moment, int(serial, 16), authority_id)
    except ValueError:
        raise Malformed("'after' is not the 'next' of a page") from None
