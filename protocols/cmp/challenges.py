"""Proof of possession by a challenge (RFC 9810, 5.2.8.3.3).

::

    ir, cr, kur with challengeResp  ->  popdecc: a random number, encrypted for the key; the message is kept
    popdecr: that number            ->  ip, cp, kup, as if the message had come only now
    popdecr: another number         ->  error with badPOP; the transaction is over

Nothing is issued and no secret is used before the right number has come. What is kept of it is its digest.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cspd.authority.interfaces import Authorities
from cspd.clock import Clock
from cspd.refusals import BadPublicKey, Forbidden, LimitExceeded
from cspd.store.interfaces import Database
from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import RandomBytes
from cspd.x509.cms.enveloped import encode_enveloped
from cspd.x509.cms.recipients import KeyAgreement as KeyAgreementRecipient
from cspd.x509.cms.recipients import KeyTransport, Recipient
from cspd.x509.crmf.messages import CertReqMsg, KeyAgreement, KeyEncipherment, SubsequentMessage
from cspd.x509.public_keys import load_public_key
from protocols.cmp import transaction_rows as rows
from protocols.cmp.challenge_encoding import encode_rand
from protocols.cmp.codec import assemble, decode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.general_names import directory_name
from protocols.cmp.interfaces import EncryptedCertificates
from protocols.cmp.limits import Limits
from protocols.cmp.mac_algorithms import SHA256
from protocols.cmp.messages import (
    CMP2021,
    BodyType,
    CertReqContent,
    Challenge,
    PKIBody,
    POPODecKeyChallContent,
    POPODecKeyRespContent,
    Rand,
)
from protocols.cmp.protection import protection_kind
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.transactions import Challenged, Transaction, TransactionState
from protocols.cmp.turns import Answer, Turn

_NUMBER_OCTETS = 16


class Challenges:
    """Asks for proofs, and checks them."""

    def __init__(
        self,
        *,
        clock: Clock,
        random_bytes: RandomBytes,
        database: Database,
        authorities: Authorities,
        encrypted: EncryptedCertificates,
        limits: Limits,
        max_transactions: int,
    ) -> None:
        """``random_bytes`` is cryptographically strong; ``limits`` are those of messages."""
        self._clock = clock
        self._random_bytes = random_bytes
        self._database = database
        self._authorities = authorities
        self._encrypted = encrypted
        self._limits = limits
        self._max_transactions = max_transactions

    async def ask(self, turn: Turn, known: Transaction | None) -> Answer:
        """The popdecc; ``known`` is the transaction if the message comes again, and is challenged anew.

        Raises BadPublicKey for a key that nothing can be encrypted for, Forbidden, LimitExceeded.
        """
        authority = await self._authorities.get(turn.terms.ca)
        sender_der, pvno = directory_name(authority.subject), turn.message.header.pvno
        numbers = [int.from_bytes(self._random_bytes(_NUMBER_OCTETS), "big") for _ in _challenged(turn)]
        challenges = [
            self._challenge(message, Rand(number, sender_der), pvno=pvno)
            for message, number in zip(_challenged(turn), numbers, strict=True)
        ]
        await self._keep(turn, known, numbers)
        return Answer(body=PKIBody(BodyType.POPDECC, POPODecKeyChallContent(tuple(challenges))))

    async def check(self, turn: Turn, transaction: Transaction) -> Turn:
        """The message that was challenged, as it is to be answered now that the client has met the challenge.

        Raises ``badPOP``, which ends the transaction, and ``badRequest``.
        """
        challenged, content = transaction.challenged, turn.message.body.content
        assert isinstance(content, POPODecKeyRespContent)
        if challenged is None or transaction.state in (TransactionState.REVOKING, TransactionState.ENDED):
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "there is no challenge to be met")
        if transaction.state is TransactionState.CHALLENGED:
            await self._check_numbers(turn, transaction, challenged, content.numbers)
        elif transaction.request_digest != turn.digest:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "the challenge is met already")
        return replace(turn, message=decode(challenged.message_der, self._limits), met=transaction)

    async def _check_numbers(
        self, turn: Turn, transaction: Transaction, challenged: Challenged, numbers: tuple[int, ...]
    ) -> None:
        if transaction.expires_at <= self._clock.now():
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "the challenge was not met in time")
        given = tuple(map(_digest, numbers))
        if hmac.compare_digest(" ".join(given), " ".join(challenged.digests)):
            return
        ended = replace(
            transaction,
            state=TransactionState.ENDED,
            sender_nonce=turn.sender_nonce,
            request_digest=turn.digest,
        )
        await self._database.write(lambda connection: rows.move(connection, transaction, ended))
        raise PKIMessageRejected(PKIFailureInfo.BAD_POP, "that is not what was encrypted")

    def _challenge(self, message: CertReqMsg, rand: Rand, *, pvno: int) -> Challenge:
        public_key_der = message.cert_req.cert_template.public_key_der
        if public_key_der is None:
            raise BadPublicKey("the request names no public key")
        self._encrypted.check(public_key_der, pvno=pvno)
        public_key = load_public_key(public_key_der)
        witness, rand_der = sha256(tlv.integer(rand.number)).digest(), encode_rand(rand)
        if pvno == CMP2021:
            _, enveloped_der = encode_enveloped(rand_der, [_recipient(public_key)], random_bytes=self._random_bytes)
            return Challenge(witness, SHA256, encrypted_rand_der=enveloped_der)
        assert isinstance(public_key, rsa.RSAPublicKey)
        try:
            encrypted = public_key.encrypt(rand_der, padding.PKCS1v15())
        except ValueError as error:
            raise BadPublicKey(
                "before version 3 the key is too short for a challenge with the name of the CA"
            ) from error
        return Challenge(witness, SHA256, encrypted)

    async def _keep(self, turn: Turn, known: Transaction | None, numbers: list[int]) -> None:
        transaction = self._transaction(turn, numbers, self._clock.now())
        if known is None:
            if self._max_transactions == 0:
                raise Forbidden("a challenge needs a transaction, and none is kept here")
            if await self._database.read(rows.count_in_progress) >= self._max_transactions:
                raise LimitExceeded("too many transactions wait for their clients", retry_after=turn.terms.confirm_wait)
            is_kept = await self._database.write(lambda connection: rows.begin(connection, transaction))
        else:
            is_kept = await self._database.write(lambda connection: rows.move(connection, known, transaction))
        if not is_kept:
            raise PKIMessageRejected(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")

    def _transaction(self, turn: Turn, numbers: list[int], now: datetime) -> Transaction:
        return Transaction(
            endpoint=turn.endpoint,
            transaction_id=turn.transaction_id,
            state=TransactionState.CHALLENGED,
            body_type=turn.message.body.type,
            profile=turn.terms.profile,
            client=turn.client,
            identity=turn.sender.identity,
            protection=protection_kind(turn.message.header),
            sender_nonce=turn.sender_nonce,
            request_digest=turn.digest,
            implicit_confirm=False,
            requests=(),
            created_at=now,
            expires_at=now + turn.terms.confirm_wait,
            challenged=Challenged(
                message_der=assemble(turn.message.protected_part_der, None), digests=tuple(map(_digest, numbers))
            ),
        )


def asks_for_challenge(message: CertReqMsg) -> bool:
    """Whether a request says that its key is proved by a challenge."""
    return (
        isinstance(message.popo, (KeyEncipherment, KeyAgreement))
        and message.popo.private_key is SubsequentMessage.CHALLENGE_RESP
    )


def needs_challenge(turn: Turn) -> bool:
    """Whether a message has to be challenged before it is answered."""
    return turn.met is None and bool(_challenged(turn))


def _challenged(turn: Turn) -> list[CertReqMsg]:
    content = turn.message.body.content
    return (
        [each for each in content.messages if asks_for_challenge(each)] if isinstance(content, CertReqContent) else []
    )


def _digest(number: int) -> str:
    return sha256(tlv.integer(number)).hexdigest()


def _recipient(public_key: object) -> Recipient:
    if isinstance(public_key, rsa.RSAPublicKey):
        return KeyTransport(public_key, oaep=True)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return KeyAgreementRecipient(public_key)
