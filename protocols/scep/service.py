"""What the Simple Certificate Enrolment Protocol does with a message, from its octets to those of its answer.

::

    decode               what cannot be read cannot be answered: DecodeError
    of                   the registration authority that speaks for the CA
    verify               the signature, by the certificate that came along
    open_envelope        with the key of the registration authority, or a password
    decode_message_data  the request, or the names that are asked about
    Enrollment, Polling, CertificateQueries
    seal_envelope        for the signer of the message
    sign                 with the digest of the message

All from ``verify`` on that goes wrong is a CertRep that says so (RFC 8894, 3.2.1.4), but for what may be better in a
moment: devices take a failure for final, so that is left to HTTP, which has a status for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from cryptography.hazmat.primitives import hashes
from twisted.logger import Logger

from cspd.authority.values import Issued, Pending
from cspd.clock import Clock
from cspd.refusals import LimitExceeded, Refused, Unavailable
from cspd.x509.cms.enveloped import PasswordRecipient
from cspd.x509.cms.recipients import KeyTransport
from protocols.scep.certificate_queries import CertificateQueries
from protocols.scep.codec import NONCE_OCTETS, decode
from protocols.scep.decryption import InThread, SharedPasswords
from protocols.scep.enrollment import Enrollment
from protocols.scep.envelope import answer_recipient, open_envelope, seal_envelope
from protocols.scep.errors import PKIMessageRefused, fail_info
from protocols.scep.exchanges import Address, Exchange
from protocols.scep.interfaces import Place, RegistrationAuthorities, RegistrationAuthority
from protocols.scep.limits import Limits
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import (
    CertsOnly,
    FailInfo,
    MessageType,
    PKCS10Request,
    PKIMessage,
    PKIStatus,
    ReceivedMessage,
)
from protocols.scep.polling import Polling
from protocols.scep.verification import verify


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a CertRep says."""

    pki_status: PKIStatus
    envelope: bytes | None = None
    fail_info: FailInfo | None = None
    fail_info_text: str | None = None


class SCEPService:
    """Answers pkiMessages."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        registration_authorities: RegistrationAuthorities,
        enrollment: Enrollment,
        polling: Polling,
        queries: CertificateQueries,
        in_thread: InThread,
        limits: Limits,
        time_tolerance: timedelta | None = None,
    ) -> None:
        """``time_tolerance`` is how far signingTime may be from the time here; None does not look at it."""
        self._clock = clock
        self._random = random
        self._registration_authorities = registration_authorities
        self._enrollment = enrollment
        self._polling = polling
        self._queries = queries
        self._in_thread = in_thread
        self._limits = limits
        self._time_tolerance = time_tolerance

    async def drain(self) -> None:
        """Wait until nothing is being issued; for the end of the process."""
        await self._enrollment.drain()

    async def answer(self, message_der: bytes, address: Address) -> bytes:
        """The CertRep that answers a pkiMessage, DER.

        Raises :class:`protocols.scep.errors.DecodeError` for what is none, NotFound for a CA that nobody speaks for,
        Unavailable, and LimitExceeded.
        """
        registration_authority = await self._registration_authorities.of(address.place.terms.ca)
        received = decode(message_der, self._limits)
        digest: hashes.HashAlgorithm = hashes.SHA256()
        try:
            digest = verify(received, address.place.terms.policy)
            reply = await self._reply(received, registration_authority, address)
        except (Unavailable, LimitExceeded):
            raise
        except PKIMessageRefused as refusal:
            reply = self._refused(received, address, refusal)
        except Refused as refusal:
            refused = PKIMessageRefused(fail_info(refusal), refusal.reason, detail=refusal.detail)
            reply = self._refused(received, address, refused)
        message = PKIMessage(
            message_type=MessageType.CERT_REP,
            transaction_id=received.message.transaction_id,
            sender_nonce=self._random.randbytes(NONCE_OCTETS),
            recipient_nonce=received.message.sender_nonce,
            pki_status=reply.pki_status,
            fail_info=reply.fail_info,
            fail_info_text=reply.fail_info_text,
            pkcs_pki_envelope=reply.envelope,
        )
        return await registration_authority.signer(digest).sign(message)

    async def _reply(
        self, received: ReceivedMessage, registration_authority: RegistrationAuthority, address: Address
    ) -> _Reply:
        message = received.message
        self._check_time(message)
        if message.message_type is MessageType.CERT_REP or message.pkcs_pki_envelope is None:
            raise PKIMessageRefused(FailInfo.BAD_REQUEST, "a CertRep is no request")
        opened = await open_envelope(
            message.pkcs_pki_envelope,
            registration_authority.recipients,
            address.place.terms.policy,
            random_bytes=self._random.randbytes,
            passwords=_PlacePasswords(address.place, self._in_thread),
            limits=self._limits,
        )
        exchange = Exchange(
            address=address,
            message=message,
            signer=received.signer_certificate,
            data=decode_message_data(message.message_type, opened.content),
            registration_authority=registration_authority,
        )
        if isinstance(exchange.data, PKCS10Request):
            exchange.terms.policy.check_request(exchange.data.csr)
        # Before there is a certificate that could not be handed over.
        recipient = answer_recipient(exchange.signer, opened, _password_of(exchange))
        given = await self._give(exchange)
        if isinstance(given, Pending):
            return _Reply(PKIStatus.PENDING)
        content = encode_message_data(given)
        if isinstance(recipient, KeyTransport):
            envelope = seal_envelope(content, recipient, opened.cipher, self._random.randbytes)
        else:
            envelope = await self._in_thread(
                lambda: seal_envelope(content, recipient, opened.cipher, self._random.randbytes)
            )
        return _Reply(PKIStatus.SUCCESS, envelope)

    async def _give(self, exchange: Exchange) -> CertsOnly | Pending:
        message_type = exchange.message.message_type
        if message_type is MessageType.GET_CERT:
            return await self._queries.certificate(exchange)
        if message_type is MessageType.GET_CRL:
            return await self._queries.crl(exchange)
        if message_type is MessageType.CERT_POLL:
            outcome = await self._polling.poll(exchange)
        else:
            outcome = await self._enrollment.certify(exchange)
        return CertsOnly((outcome.certificate_der,)) if isinstance(outcome, Issued) else outcome

    def _check_time(self, message: PKIMessage) -> None:
        if self._time_tolerance is None or message.signing_time is None:
            return
        if abs(message.signing_time - self._clock.now()) > self._time_tolerance:
            raise PKIMessageRefused(FailInfo.BAD_TIME, "signingTime is too far from the time here")

    def _refused(self, received: ReceivedMessage, address: Address, refusal: PKIMessageRefused) -> _Reply:
        self._log.warn(
            "SCEP {message_type} {request_id} from {address} was refused: {reason}",
            event="scep-refused",
            message_type=received.message.message_type.name,
            transaction_id=received.message.transaction_id,
            request_id=address.request_id,
            address=address.peer,
            ca=str(address.place.terms.ca),
            profile=address.place.terms.profile,
            code=refusal.fail_info.name,
            reason=refusal.fail_info_text,
            detail=refusal.detail,
        )
        return _Reply(PKIStatus.FAILURE, fail_info=refusal.fail_info, fail_info_text=refusal.fail_info_text)


class _PlacePasswords:
    """Implements :class:`protocols.scep.decryption.PasswordDecryption` with the passwords of a place."""

    def __init__(self, place: Place, in_thread: InThread) -> None:
        self._place = place
        self._in_thread = in_thread

    async def unwrap(self, recipient: PasswordRecipient) -> bytes | None:
        """See :class:`protocols.scep.decryption.PasswordDecryption`."""
        passwords = await self._place.authorizer.passwords(self._place.terms)
        return await SharedPasswords(passwords, self._in_thread).unwrap(recipient)


def _password_of(exchange: Exchange) -> str | None:
    return exchange.data.csr.challenge_password if isinstance(exchange.data, PKCS10Request) else None


__all__ = ["SCEPService"]
