"""Answers status requests for the CAs of this server (RFC 6960, 2; R-CA-051, R-CA-052).

A URL names one CA, and only that CA's certificates are answered for:

- no CertID names it: ``unauthorized``, since nothing can be said with authority (RFC 6960, 2.3; ``va.md`` 3.2);
- some do: the others are ``unknown``, "an unrecognized issuer that is not served by this responder" (RFC 6960, 2.2);
- CertIDs of several keys of the CA, before and after a re-key: the responder of the first one signs for all, which
  RFC 6960, 4.2.2.2 does not prohibit; a client that asks about one certificate always meets the key it expects.

An answer without nonce is kept by the bytes of its request, until its refresh time or until a status in it changes. The
way to a kept answer never waits; the way to a fresh one waits for nothing but the signature while statuses and
responder are in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cspd.authority.interfaces import Authorities, Status
from cspd.authority.responders import ca_certificates
from cspd.authority.values import (
    Authority,
    CAReference,
    CertificateState,
    CertificateStatus,
    RevocationReason,
)
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import Malformed, NotFound
from protocols.ocsp import codec
from protocols.ocsp.cache import Answer, AnswerCache, CachedAnswer
from protocols.ocsp.config import NeverIssued, NoncePolicy, OCSPConfig
from protocols.ocsp.forms import RequestDecoder
from protocols.ocsp.interfaces import Responders
from protocols.ocsp.issuers import Issuer, Issuers
from protocols.ocsp.messages import (
    CertID,
    CertStatus,
    Good,
    OCSPRequest,
    ResponseData,
    Revoked,
    SingleResponse,
    Unknown,
)
from protocols.ocsp.signing import ResponseSigner

MAX_KEPT_REQUEST = 512
"""Octets of a request whose answer is kept: some eight CertIDs. Who asks more than relying parties do (many CertIDs, a
requestorName of kilobytes, each time another) gets his answer, and fills no memory with it."""
LOOK_AGAIN = timedelta(seconds=1)
"""How long a CA's settings are taken as known; the registry promises no more than that."""

_GOOD = Good()
_UNKNOWN = Unknown()
_NEVER_ISSUED = Revoked(datetime(1970, 1, 1, tzinfo=UTC), RevocationReason.CERTIFICATE_HOLD)


@dataclass(slots=True, eq=False)
class _Answering:
    """What answering for one CA needs, made once."""

    authority: Authority
    issuers: Issuers
    signers: dict[int, ResponseSigner]
    """By key index."""
    look_again_at: datetime


class OCSPService:
    """Answers requests for one CA at a time."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        status: Status,
        responders: Responders,
        keys: Keys,
        config: OCSPConfig,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._status = status
        self._responders = responders
        self._keys = keys
        self._config = config
        limits = codec.RequestLimits(request_octets=config.max_request_bytes, cert_ids=config.max_cert_ids)
        self._decoder = RequestDecoder(limits)
        self._cache = AnswerCache(config.cache_entries)
        self._answering: dict[CAReference, _Answering] = {}

    async def answer(self, ca: CAReference, request_der: bytes) -> Answer:
        """Answer one request.

        Raises :class:`Malformed`, :class:`NotFound` for a CA that is unknown, has OCSP switched off or is not what the
        request asks about, and :class:`Unavailable` while statuses or the responder's key cannot be had.
        """
        now = self._clock.now()
        answering = self._answering.get(ca)
        if answering is None or now >= answering.look_again_at:
            answering = await self._look_up(ca, answering, now)
        kept = self._kept(answering, request_der, now)
        if kept is not None:
            return kept
        try:
            request = self._decoder.decode(request_der)
        except codec.RequestError as error:
            raise Malformed(str(error)) from error
        nonce = request.nonce
        if nonce is None:
            if self._config.nonce is NoncePolicy.REQUIRED:
                raise Malformed("a nonce is required")
        elif self._config.nonce is NoncePolicy.IGNORE:
            nonce = None
            request_der = codec.encode_request(OCSPRequest(request.request_list))
            kept = self._kept(answering, request_der, now)
            if kept is not None:
                return kept
        return await self._sign(answering, request, request_der, nonce, now)

    async def _look_up(self, ca: CAReference, known: _Answering | None, now: datetime) -> _Answering:
        try:
            authority = await self._authorities.get(ca)
            if not authority.ocsp_enabled:
                raise NotFound(f"{ca} has no OCSP")
        except NotFound:
            self._answering.pop(ca, None)
            raise
        if known is None or authority != known.authority:
            issuers = Issuers(Issuer.of(certificate) for certificate in ca_certificates(authority))
            known = self._answering[ca] = _Answering(authority, issuers, {}, now)
        known.look_again_at = now + LOOK_AGAIN
        return known

    def _kept(self, answering: _Answering, request_der: bytes, now: datetime) -> Answer | None:
        """The kept answer to that request, if all that it says is known to hold still."""
        kept = self._cache.find((answering.authority.id, request_der))
        if kept is None or kept.issuers is not answering.issuers or now >= kept.refresh_at:
            return None
        for serial, said in kept.statuses:
            # The memory of statuses follows every node's changes and knows when it no longer can.
            known = self._status.cached(answering.authority.id, serial)
            if known is not said and known != said:
                return None
        return kept.answer

    async def _sign(
        self, answering: _Answering, request: OCSPRequest, request_der: bytes, nonce: bytes | None, now: datetime
    ) -> Answer:
        authority = answering.authority
        signs_for: Issuer | None = None
        said: list[tuple[CertID, CertStatus]] = []
        statuses: list[tuple[int, CertificateStatus]] = []
        is_cacheable = nonce is None
        for single in request.request_list:
            cert_id = single.req_cert
            issuer = answering.issuers.find(cert_id)
            if issuer is None:
                said.append((cert_id, _UNKNOWN))
                continue
            signs_for = signs_for or issuer
            status = await self._status_of(authority, cert_id.serial_number)
            said.append((cert_id, self._cert_status(status)))
            if status is None:
                is_cacheable = False  # it may be issued in the next moment, and no status change will tell
            else:
                statuses.append((cert_id.serial_number, status))
        if signs_for is None:
            raise NotFound(f"the request does not ask about certificates of {authority.reference}")
        signer = await self._signer(answering, signs_for.certificate.key_index)
        now = now.replace(microsecond=0)
        next_update = min(now + self._config.next_update, signer.responder.not_after)
        response_der = await signer.sign(
            ResponseData(
                signer.responder_key_hash,
                now,
                tuple([SingleResponse(cert_id, status, now, next_update) for cert_id, status in said]),
                nonce,
                any(status is _NEVER_ISSUED for _, status in said),
            )
        )
        answer = Answer(response_der, now, next_update, is_cacheable)
        if is_cacheable and len(request_der) <= MAX_KEPT_REQUEST:
            self._cache.keep(
                (authority.id, request_der),
                CachedAnswer(
                    answer=answer,
                    refresh_at=min(now + self._config.refresh, next_update),
                    issuers=answering.issuers,
                    statuses=tuple(statuses),
                ),
            )
        return answer

    async def _status_of(self, authority: Authority, serial: int) -> CertificateStatus | None:
        """What is known of a serial number; None when the CA never issued it."""
        if serial <= 0:
            return None
        status = self._status.cached(authority.id, serial)
        if status is None:
            status = await self._status.status(authority.id, serial)
        # A record whose signature never came: nobody has that certificate.
        return None if status is None or status.state is CertificateState.RESERVED else status

    def _cert_status(self, status: CertificateStatus | None) -> CertStatus:
        if status is None:
            return _UNKNOWN if self._config.never_issued is NeverIssued.UNKNOWN else _NEVER_ISSUED
        if status.state is CertificateState.GOOD:
            return _GOOD
        assert status.revoked_at is not None
        reason = status.reason
        if status.state is CertificateState.HELD:
            reason = RevocationReason.CERTIFICATE_HOLD
        elif reason is RevocationReason.UNSPECIFIED:
            reason = None
        return Revoked(status.revoked_at, reason)

    async def _signer(self, answering: _Answering, key_index: int) -> ResponseSigner:
        responder = self._responders.cached(answering.authority, key_index)
        if responder is None:
            responder = await self._responders.current(answering.authority, key_index)
        signer = answering.signers.get(key_index)
        if signer is None or (signer.responder is not responder and signer.responder != responder):
            signer = answering.signers[key_index] = ResponseSigner(responder, self._keys)
        return signer
