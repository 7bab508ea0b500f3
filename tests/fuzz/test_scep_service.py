"""Whatever is sent to SCEP over HTTP is answered: by a CertRep, or by a status that says why there can be none."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.certificate_fields import fields_of
from protocols.scep.message_data import encode_message_data
from protocols.scep.messages import IssuerAndSerialNumber, IssuerAndSubject, MessageType, PKIStatus
from tests.fuzz.mutation import damaged
from tests.protocols.scep.vectors import PYSCEP, VECTORS
from tests.protocols.scep.world import World
from tests.support.scep_client import name_of


@cache
def world() -> World:
    """One server for all examples."""
    return World(allow_sha1=True, allow_des3=True, allow_des=True)


def contents() -> list[bytes]:
    """What belongs into envelopes."""
    issuer = fields_of(world().authority.certificate.public_bytes(Encoding.DER)).issuer
    return [
        world().csr(),
        world().csr("another", key=2),
        encode_message_data(IssuerAndSerialNumber(issuer, 4711)),
        encode_message_data(IssuerAndSubject(issuer, name_of("device").public_bytes())),
    ]


def is_answered(data: bytes) -> None:
    """By POST and by GET."""
    for response in (
        world().ask("operation=PKIOperation", data),
        world().ask(f"operation=PKIOperation&message={b64encode(data).decode()}"),
    ):
        assert response.status in (200, 400)


@given(damaged([*VECTORS.values(), *PYSCEP.values()]))
def test_what_somebody_changed_is_answered(data: bytes) -> None:
    is_answered(data)


@given(st.sampled_from([each for each in MessageType if each is not MessageType.CERT_REP]), st.data())
def test_whatever_is_in_an_envelope_is_answered_with_a_certrep(message_type: MessageType, data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=100) | damaged(contents()))
    device = world().device()
    message, given_data = world().answer(device, device.send(message_type, content))
    assert (given_data is None) is (message.pki_status is not PKIStatus.SUCCESS)


@given(st.text(max_size=60))
def test_whatever_stands_in_a_query_is_answered(query: str) -> None:
    for prefix in ("", "operation=", "operation=PKIOperation&message="):
        assert world().ask(f"{prefix}{query}").status in (200, 400, 404, 405)
