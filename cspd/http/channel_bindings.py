"""What ties a message to the TLS connection that it came over (RFC 5056, RFC 5929, RFC 9266)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_OCTETS = 32  # RFC 9266, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBindings:
    """Those that the version of TLS defines; the other is None."""

    tls_unique: bytes | None = None
    """The first Finished message (RFC 5929, 3); TLS 1.2 and earlier. TLS 1.3 has none that is unique."""
    tls_exporter: bytes | None = None
    """32 octets (RFC 9266); TLS 1.3. Before, it needs the extended master secret, which we cannot see."""


def channel_bindings_of(transport: Any) -> ChannelBindings:
    """The bindings of a TLS transport of ours (:class:`twisted.internet.interfaces.ISSLTransport`)."""
    return bindings_of(transport.getHandle())


def bindings_of(connection: SSL.Connection) -> ChannelBindings:
    """The bindings of the server's end of a connection whose handshake is done.

    The first Finished is the client's: ours in a resumed session would be first, but we resume none, and we do not
    renegotiate, so that there is one handshake (:mod:`cspd.http.tls`).
    """
    if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
        return ChannelBindings(tls_exporter=connection.export_keying_material(EXPORTER_LABEL, EXPORTER_OCTETS, b""))
    return ChannelBindings(tls_unique=connection.get_peer_finished())
