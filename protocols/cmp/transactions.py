"""Transactions: what a server has to remember between the messages of a client (RFC 9483, 3.1 and 4).

::

    CHALLENGED the client has to prove by decryption that it has its keys; nothing is issued  -> any other
    WAITING    somebody has to approve a request            -> ISSUED, CONFIRMED, ENDED
    ISSUED     the client has to confirm its certificates    -> CONFIRMED, REVOKING
    REVOKING   certificates that it does not want, or did not confirm in time, are being revoked  -> CONFIRMED, ENDED
    CONFIRMED  the client has what it asked for; some certificate of the transaction is good
    ENDED      none is

A transaction in REVOKING that its process did not bring to the end is taken up by the job of any node.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Any

from cspd.refusals import Refused
from protocols.cmp.errors import PKIMessageRejected, failure_info
from protocols.cmp.messages import BodyType, PKIMessage
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo


class TransactionState(Enum):
    """Where a transaction stands."""

    CHALLENGED = "challenged"
    WAITING = "waiting"
    ISSUED = "issued"
    REVOKING = "revoking"
    CONFIRMED = "confirmed"
    ENDED = "ended"


MOVES: Mapping[TransactionState, frozenset[TransactionState]] = {
    TransactionState.CHALLENGED: frozenset(TransactionState),
    TransactionState.WAITING: frozenset(
        {
            TransactionState.WAITING,
            TransactionState.ISSUED,
            TransactionState.CONFIRMED,
            TransactionState.REVOKING,
            TransactionState.ENDED,
        }
    ),
    TransactionState.ISSUED: frozenset({TransactionState.CONFIRMED, TransactionState.REVOKING}),
    TransactionState.REVOKING: frozenset({TransactionState.CONFIRMED, TransactionState.ENDED}),
    TransactionState.CONFIRMED: frozenset(),
    TransactionState.ENDED: frozenset(),
}
"""From each state, the states it may move to; an empty set ends a life. To WAITING again by a poll, to CHALLENGED by
the same request again."""


class ForbiddenMove(Exception):
    """A programming error: somebody asked for a move that does not exist."""


def require_move(current: TransactionState, following: TransactionState) -> None:
    """Raise :class:`ForbiddenMove` unless a transaction in ``current`` may become ``following``."""
    if following not in MOVES[current]:
        raise ForbiddenMove(f"{current.value} does not become {following.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedRequest:
    """What became of one request for a certificate; what was refused at once is not kept."""

    cert_req_id: int
    request_id: str | None = None
    """Of the approval, where one was needed."""
    authority_id: str | None = None
    serial: int | None = None
    """Of the certificate, when there is one."""
    is_encrypted: bool = False
    """The certificate leaves the house encrypted for its key only, which its confirmation proves possession of."""
    private_key_der: bytes = field(default=b"", repr=False)
    """The EnvelopedData with the key that was made for the client; empty without one."""
    refusal: tuple[PKIFailureInfo, str] | None = None
    """Why an approval did not end in a certificate."""
    accepted: bool = True
    """False once the client has said that it does not want the certificate, or has not said in time that it does."""

    @property
    def waits(self) -> bool:
        """Whether it waits for an approval."""
        return self.serial is None and self.refusal is None

    @property
    def status_info(self) -> PKIStatusInfo:
        """How it ended, where it was not issued."""
        assert self.refusal is not None
        fail_info, status_string = self.refusal
        return PKIStatusInfo(PKIStatus.REJECTION, (status_string,), frozenset({fail_info}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """A request that is answered once its client has shown what it can decrypt."""

    message_der: bytes
    """Without its protection, which was verified."""
    digests: tuple[str, ...]
    """SHA-256 of each number that was encrypted, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A row."""

    endpoint: str
    transaction_id: bytes
    state: TransactionState
    body_type: BodyType
    profile: str
    client: str
    identity: str
    protection: ProtectionKind
    sender_nonce: bytes
    request_digest: str
    implicit_confirm: bool
    requests: tuple[CertifiedRequest, ...]
    created_at: datetime
    expires_at: datetime
    confirm_until: datetime | None = None
    replaced: tuple[str, int] | None = None
    """CA and serial number of the certificate that is to be revoked once its successor is confirmed."""
    challenged: Challenged | None = None
    """With popdecc and popdecr: the message that began it; ``request_digest`` is then of the popdecr."""

    def request(self, cert_req_id: int) -> CertifiedRequest | None:
        """What became of the request of that certReqId."""
        return next((each for each in self.requests if each.cert_req_id == cert_req_id), None)

    @property
    def issued(self) -> tuple[CertifiedRequest, ...]:
        """Those with a certificate."""
        return tuple(each for each in self.requests if each.serial is not None)


def digest_of(message: PKIMessage) -> str:
    """What two transmissions of one message have in common."""
    return sha256(message.protected_part_der + (message.protection or b"")).hexdigest()


def refusal_of(refusal: Refused | PKIMessageRejected) -> tuple[PKIFailureInfo, str]:
    """A refusal as a transaction keeps it."""
    if isinstance(refusal, PKIMessageRejected):
        return refusal.fail_info, refusal.status_string
    return failure_info(refusal), refusal.reason


def encode_challenged(challenged: Challenged) -> dict[str, Any]:
    """A JSON object; :func:`decode_challenged` gives an equal value."""
    return {"message": b64encode(challenged.message_der).decode("ascii"), "digests": list(challenged.digests)}


def decode_challenged(value: Mapping[str, Any]) -> Challenged:
    """What :func:`encode_challenged` wrote."""
    return Challenged(message_der=b64decode(value["message"]), digests=tuple(value["digests"]))


def encode_certified(request: CertifiedRequest) -> dict[str, Any]:
    """A JSON object; :func:`decode_certified` gives an equal value."""
    return {
        "cert_req_id": request.cert_req_id,
        "request_id": request.request_id,
        "authority_id": request.authority_id,
        "serial": None if request.serial is None else f"{request.serial:x}",
        "is_encrypted": request.is_encrypted,
        "private_key": b64encode(request.private_key_der).decode("ascii"),
        "refusal": None if request.refusal is None else [request.refusal[0].value, request.refusal[1]],
        "accepted": request.accepted,
    }


def decode_certified(value: Mapping[str, Any]) -> CertifiedRequest:
    """What :func:`encode_certified` wrote."""
    refusal = value["refusal"]
    return CertifiedRequest(
        cert_req_id=value["cert_req_id"],
        request_id=value["request_id"],
        authority_id=value["authority_id"],
        serial=None if value["serial"] is None else int(value["serial"], 16),
        is_encrypted=value["is_encrypted"],
        private_key_der=b64decode(value["private_key"]),
        refusal=None if refusal is None else (PKIFailureInfo(refusal[0]), refusal[1]),
        accepted=value["accepted"],
    )
