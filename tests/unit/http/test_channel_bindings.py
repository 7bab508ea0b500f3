"""Channel bindings: both ends of a TLS connection compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from OpenSSL import SSL

from cspd.http.channel_bindings import ChannelBindings, channel_bindings_of
from cspd.http.message import Request
from tests.unit.http.test_tls import shake_hands, tls_of


def only(version: int) -> Callable[[SSL.Context], Any]:
    def configure(context: SSL.Context) -> None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)

    return configure


def test_tls_unique_is_the_clients_finished() -> None:
    """RFC 5929, 3.1: the first Finished of the handshake; 12 octets (RFC 5246, 7.4.9)."""
    ended = shake_hands(tls_of(), only(SSL.TLS1_2_VERSION))
    bindings = channel_bindings_of(ended)
    assert bindings == ChannelBindings(tls_unique=ended.client.get_finished())
    assert bindings.tls_unique is not None
    assert len(bindings.tls_unique) == 12


def test_tls_exporter_is_what_rfc_9266_exports() -> None:
    ended = shake_hands(tls_of(), only(SSL.TLS1_3_VERSION))
    exported = ended.client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert channel_bindings_of(ended) == ChannelBindings(tls_exporter=exported)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_two_connections_have_different_bindings(version: int) -> None:
    first, second = (channel_bindings_of(shake_hands(tls_of(), only(version))) for _ in range(2))
    assert first != second


def test_a_plain_connection_has_none() -> None:
    request = Request(method="GET", target=b"/", path="/", query="", headers=(), body=b"")
    assert request.channel_bindings() == ChannelBindings()
