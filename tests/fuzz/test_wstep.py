"""Damaged messages and tokens of Windows enrollment: each is read, or refused by a name."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cspd.http.soap12 import SOAPFault, encode_fault, read_message
from cspd.refusals import Refused
from protocols.wstep.codec import decode_request
from protocols.wstep.requested_template import requested_template
from protocols.wstep.tokens import RENEWAL_CERTIFICATE, read_token
from tests.fuzz.mutation import damaged
from tests.protocols.wstep.cms_client import cmc, pkcs7, self_signed
from tests.protocols.wstep.world import World, item, message


@cache
def tokens() -> tuple[bytes, ...]:
    world = World()
    own = self_signed(world.key)
    old = self_signed(ec.generate_private_key(ec.SECP256R1()))
    csr_der = world.csr()
    renewal = world.csr(attributes=[(RENEWAL_CERTIFICATE, old.certificate_der)])
    return (csr_der, pkcs7(csr_der, own), cmc(csr_der, signers=(own,)), pkcs7(renewal, old), renewal)


@cache
def messages() -> tuple[bytes, ...]:
    return (message(token_text="AAAA", context=item("ccm", "a.example")), message(request_id="7", user=None))


def read(octets: bytes) -> None:
    with suppress(Refused):
        try:
            received = read_message(octets)
            received.username_token()
            decode_request(received)
        except SOAPFault as fault:
            encode_fault(fault)


@given(st.data())
def test_messages(data: st.DataObject) -> None:
    read(data.draw(st.binary(max_size=300) | damaged(messages())))


@given(st.data())
def test_tokens(data: st.DataObject) -> None:
    octets = data.draw(st.binary(max_size=300) | damaged(tokens()))
    with suppress(Refused):
        requested_template(read_token(octets).csr)
