"""The conf sections of a listener: where it listens, its limits, its TLS."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.config.values import Duration, SecretReference, Section

__all__ = ["ClientCertificates", "Limits", "ListenerConfig", "TLSConfig", "TLSVersion"]


def _is_positive(span: timedelta) -> timedelta:
    if span <= timedelta(0):
        raise ValueError("a span of time longer than zero (no timeout can be switched off)")
    return span


PositiveDuration = Annotated[Duration, AfterValidator(_is_positive)]


class Limits(Section):
    """What one connection and one request may take (R-PLAT-100); the defaults suit status requests.

    Enrollment messages are larger: a route that serves them raises the two byte limits itself
    (:attr:`cspd.http.message.Route.max_body_bytes` and ``max_header_bytes``).
    """

    read_timeout: PositiveDuration = timedelta(seconds=60)
    """To read a whole request, its body included; then 503."""
    write_timeout: PositiveDuration = timedelta(seconds=60)
    """To make and write a response; then 503, or an aborted connection when part of the response is out."""
    idle_timeout: PositiveDuration = timedelta(seconds=10)
    """To wait for the next request on a kept-alive connection; then it is closed."""
    max_header_bytes: Annotated[int, Field(ge=256, le=1 << 20)] = 1024
    """From the first byte of the request line to the empty line, that included."""
    max_body_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = 8192
    graceful_timeout: PositiveDuration = timedelta(seconds=15)
    """What a stop gives to running requests."""
    listen_limit: Annotated[int, Field(ge=0)] = 0
    """Requests waiting for their answer at one time; 0 for any number."""
    tcp_keep_alive: PositiveDuration = timedelta(minutes=3)
    """How long a peer that does not answer TCP's probes keeps its connection."""


class TLSVersion(Enum):
    """The oldest protocol version that a listener speaks."""

    TLS_1_0 = "1.0"
    TLS_1_1 = "1.1"
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ClientCertificates(Enum):
    """Whether TLS clients show a certificate."""

    NONE = "none"
    OPTIONAL = "optional"
    """Asked for; one that does not verify ends the handshake, none at all is let through."""
    REQUIRED = "required"


class TLSConfig(Section):
    """TLS of a listener; without ``certificate`` and ``key`` it gets a self-signed certificate (R-PLAT-020)."""

    certificate: str | None = None
    """A PEM file: the server's certificate, then the chain above it, up to the root if wanted."""
    key: str | None = None
    """A PEM file: PKCS #8, PKCS #1 or SEC 1."""
    passphrase: SecretReference | None = None
    """Of an encrypted key."""
    minimum_version: TLSVersion = TLSVersion.TLS_1_2
    allow_obsolete_versions: bool = False
    """Has to be true for a ``minimum_version`` of 1.0 or 1.1."""
    ciphers: str | None = None
    """Suites up to TLS 1.2 in OpenSSL's notation; by default those with forward secrecy and AEAD."""
    client_certificates: ClientCertificates = ClientCertificates.NONE
    client_trust: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A PEM file of the CAs that client certificates are verified against, or several."""
    host_names: tuple[str, ...] = ()
    """Names or IP addresses that clients use; the certificate has to be for each of them."""
    expiry_warning: Duration = timedelta(days=30)
    """How long before the certificate's end the warnings begin."""

    @property
    def client_trust_files(self) -> tuple[str, ...]:
        """The files of ``client_trust``."""
        trust = self.client_trust
        return (trust,) if isinstance(trust, str) else trust or ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key: both, or neither for a self-signed certificate")
        if self.minimum_version in (TLSVersion.TLS_1_0, TLSVersion.TLS_1_1) and not self.allow_obsolete_versions:
            raise ValueError("minimum_version: 1.2 or 1.3 (1.0 and 1.1 only with allow_obsolete_versions = true)")
        if (self.client_certificates is ClientCertificates.NONE) != (self.client_trust is None):
            raise ValueError(
                'client_trust: a PEM file if client_certificates is "optional" or "required", else nothing'
            )
        return self


_ENDPOINT = re.compile(r"tcp:(?P<port>\d{1,5})(?::interface=(?P<interface>.+))?")


def _is_endpoint(text: str) -> str:
    _parse_endpoint(text)
    return text


def _parse_endpoint(text: str) -> tuple[str, int]:
    expected = '"tcp:8443", "tcp:8443:interface=127.0.0.1" or "tcp:8443:interface=[::1]"'
    found = _ENDPOINT.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(expected)
    if found["interface"] is None:
        return "0.0.0.0", int(found["port"])  # noqa: S104  # every interface is the documented default
    interface = found["interface"].replace("\\:", ":")  # Twisted's own way to write a colon here
    bracketed = interface.startswith("[") and interface.endswith("]")
    try:
        address = ip_address(interface[1:-1] if bracketed else interface)
    except ValueError:
        raise ValueError(expected) from None
    if bracketed and not isinstance(address, IPv6Address):
        raise ValueError(expected)
    return str(address), int(found["port"])


class ListenerConfig(Section):
    """``[listeners.NAME]``: an address, how it is protected, and the protocols served on it."""

    endpoint: Annotated[str, AfterValidator(_is_endpoint)]
    """``tcp:PORT[:interface=ADDRESS]``: all IPv4 addresses without an interface; IPv6 only where named (R-PLAT-013)."""
    tls: TLSConfig | None = None
    """Plain HTTP without it."""
    limits: Limits = Limits()
    protocols: tuple[str, ...] = ()
    """Names of ``[protocols.NAME]`` sections."""

    @property
    def address(self) -> tuple[str, int]:
        """The interface's IP address and the port."""
        return _parse_endpoint(self.endpoint)
