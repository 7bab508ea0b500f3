"""A message on its way to its answer, as the steps of the service hand it on."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from cspd.authority.values import Requester
from protocols.scep.interfaces import Place, RegistrationAuthority, Terms
from protocols.scep.messages import MessageData, PKIMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message has come to, and from."""

    place: Place
    endpoint: str
    """Stands for the path: :func:`protocols.scep.transactions.endpoint_of`."""
    peer: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A message that is verified and opened."""

    address: Address
    message: PKIMessage
    signer: x509.Certificate
    data: MessageData
    registration_authority: RegistrationAuthority

    @property
    def place(self) -> Place:
        """What is served here."""
        return self.address.place

    @property
    def terms(self) -> Terms:
        """Under which conditions."""
        return self.address.place.terms

    def requester(self, protocol: str, identity: str) -> Requester:
        """Who asks, once that is known."""
        return Requester(
            protocol=protocol, identity=identity, address=self.address.peer, request_id=self.address.request_id
        )
