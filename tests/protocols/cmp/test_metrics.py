"""What ``/metrics`` tells of CMP."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from protocols.cmp.codec import decode
from tests.protocols.cmp.world import World
from tests.support.cmp_client import confirmation, ir, request, signed_request, template


def test_answers_are_counted_by_what_was_asked_and_why_it_was_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    client = world.client()
    for _ in range(2):
        client = world.client()
        client.ask(confirmation(client.ask(ir(signed_request(world.key)))))
    world.client().ask(ir(signed_request(world.key)), sender_nonce=None)
    world.client().ask(ir(request(template(ec.generate_private_key(ec.SECP256R1()).public_key()), None)))
    broken = bytearray(client.last)
    broken[-1:] = b"\0\0"
    decode(world.send(bytes(broken)))
    [family] = world.assembled.answered.collect()
    assert family.name == "cspd_cmp_messages"
    assert {tuple(each.labels.values()): each.value for each in family.samples} == {
        ("ir", "ip", ""): 2,
        ("cert_conf", "pki_conf", ""): 2,
        ("ir", "error", "bad_sender_nonce"): 1,
        ("ir", "ip", "bad_pop"): 1,
        ("unreadable", "error", "bad_data_format"): 1,
    }
