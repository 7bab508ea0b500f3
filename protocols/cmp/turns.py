"""One message of a client, and all that is known when it comes to be answered."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import Requester
from protocols.cmp import info_types
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import InfoTypeAndValue, PKIBody, PKIMessage
from protocols.cmp.transactions import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message whose header and protection are in order."""

    message: PKIMessage
    digest: str
    """See :func:`protocols.cmp.transactions.digest_of`."""
    endpoint: str
    """CA and profile of the path, which a transactionID belongs to."""
    terms: Terms
    """Those of the profile that the client has chosen."""
    sender: Sender
    registration_authority: Sender | None
    """Who vouches for the message, by nesting it or by sending it."""
    requester: Requester
    sender_nonce: bytes
    """Of our answer."""
    met: Transaction | None = None
    """Where the client has met a challenge: its transaction until now. ``message`` is then the one that was challenged,
    and ``digest`` of the popdecr."""

    @property
    def transaction_id(self) -> bytes:
        """The header rules have it that there is one."""
        transaction_id = self.message.header.transaction_id
        assert transaction_id is not None
        return transaction_id

    @property
    def client(self) -> str:
        """Whose messages these are, by what protects them."""
        return client_of(self.sender)

    @property
    def asks_implicit_confirm(self) -> bool:
        """Whether the client would rather not confirm."""
        return any(each.info_type == info_types.IMPLICIT_CONFIRM for each in self.message.header.general_info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is to be said, before it has a header and a protection."""

    body: PKIBody
    general_info: tuple[InfoTypeAndValue, ...] = ()
    extra_certs_der: tuple[bytes, ...] = ()
    sender_nonce: bytes | None = None
    """Of the answer that this one repeats; None for a new one."""


def client_of(sender: Sender) -> str:
    """The secret or the certificate of a sender, by name: all messages of a transaction come from one."""
    if sender.secret is not None:
        return f"secret {sender.secret.reference}"
    assert sender.certificate is not None
    return f"certificate {sha256(sender.certificate.public_bytes(Encoding.DER)).hexdigest()}"
