"""``[protocols.acme]``. Without the section ACME is off (R-CEG-023)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from cspd.authority.ca_name import CAName
from cspd.authority.values import RevocationReason
from cspd.config.values import PositiveDuration, Section
from protocols.acme.identifiers import normalize_dns_name
from protocols.acme.messages import MAX_IDENTIFIERS

_NAMESERVER = re.compile(r"\s*(\d{1,3}(?:\.\d{1,3}){3})\s*:\s*(\d{1,5})\s*")

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Nameserver = tuple[str, int]


def _parse_nameserver(value: Any) -> Nameserver:
    """``<IPv4>:<port>``, blanks around the colon tolerated (R-CEG-036)."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, str) and (match := _NAMESERVER.fullmatch(value)):
        port = int(match[2])
        if 1 <= port <= 65535:
            return str(ipaddress.IPv4Address(match[1])), port
    raise ValueError('an IPv4 address and a port, for example "192.0.2.1:53"')


def _parse_name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a name")
    return normalize_dns_name(value)


def _cron(value: str) -> str:
    """Six fields; what they say is checked by the scheduler's own parser at the start."""
    if len(value.split()) != 6:
        raise ValueError('six fields, seconds first, for example "0 0 * * * *"')
    return value


SignatureAlgorithm = Literal["ES256", "ES384", "ES512", "RS256", "EdDSA"]
CronExpression = Annotated[str, AfterValidator(_cron)]
NameserverList = tuple[Annotated[Nameserver, BeforeValidator(_parse_nameserver)], ...]
AttemptTimeout = Annotated[float, Field(gt=0, le=300)]


class HTTP01Config(Section):
    """``[protocols.acme.http01]``."""

    follow_redirects: bool = False
    """P-ACM-02. False: a 301, 302, 303, 307 or 308 fails the challenge and with it the order."""
    retry_interval: Annotated[int, Field(ge=0)] = 0
    """P-ACM-03, seconds between attempts; 0: one second after the first failure, two after each later one."""
    retry_count: Annotated[int, Field(ge=0)] = 4
    """P-ACM-04, attempts after the first."""
    connect_timeout: AttemptTimeout = 5.0
    """Seconds for one connection."""
    attempt_timeout: AttemptTimeout = 10.0
    """Seconds for one attempt, name look-up and redirects included."""
    max_response_bytes: Annotated[int, Field(ge=512, le=1024 * 1024)] = 8192
    """Octets read of a body; what comes behind them is not."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """Another one than 80 is for tests: it breaks RFC 8555, 8.3."""
    https_port: Annotated[int, Field(ge=1, le=65535)] = 443
    """Where a redirect to https may lead."""
    nameservers: NameserverList = ()
    """Empty: those of ``dns01``."""
    ipv6: bool = False
    """Whether AAAA records count, after the A records."""


class DNS01Config(Section):
    """``[protocols.acme.dns01]``."""

    query_timeout: Annotated[int, Field(ge=100, le=600_000)] = 10_000
    """P-ACM-05, milliseconds during which the record is looked for."""
    nameservers: NameserverList = ()
    """P-ACM-06, ``<IPv4>:<port>`` each; empty: those of resolv.conf."""


class ACMEConfig(Section):
    """``[protocols.acme]``."""

    profiles: tuple[str, ...] = (
        "tls-server",
        "tls-client",
        "tls-client-server",
        "privatessl-tls-client",
        "privatessl-tls-client-server",
        "privatessl-tls-client-server-data-encipherment",
        "privatessl-tls-client-server-supply-san",
        "privatessl-tls-server",
        "privatessl-tls-server-supply-san",
    )
    """Profiles served by ACME, where a CA has them too. Whoever proves control of a name gets the certificate, so a
    profile for anything but TLS does not belong here."""
    signature_algorithms: Annotated[tuple[SignatureAlgorithm, ...], Field(min_length=1)] = (
        "ES256",
        "ES384",
        "ES512",
        "RS256",
        "EdDSA",
    )
    """JWS algorithms taken; without EdDSA the server behaves as R-CEG-100 says."""
    order_expiry: PositiveDuration = timedelta(days=7)
    """P-ACM-09."""
    authorization_expiry: PositiveDuration = timedelta(days=30)
    """How long a proof counts: for the order it was made for, and to revoke certificates for its names."""
    nonce_lifetime: PositiveDuration = timedelta(hours=1)
    delete_expired_authorizations: CronExpression = "0 0 * * * *"
    """P-ACM-07."""
    delete_expired_orders: CronExpression = "0 0 * ? * *"
    """P-ACM-08."""
    max_identifiers: Annotated[int, Field(ge=1, le=MAX_IDENTIFIERS)] = MAX_IDENTIFIERS
    single_label_names: tuple[Annotated[str, BeforeValidator(_parse_name)], ...] = ()
    """Names of one label that may be asked for, such as ``localhost`` in the demo."""
    allow_requested_validity: bool = True
    """Whether notBefore and notAfter of an order go to the core, which keeps them within profile and CA."""
    include_root: bool = False
    """Whether a downloaded chain ends with the root."""
    revocation_reasons: tuple[RevocationReason, ...] = (
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
    )
    """Reasons that clients may give."""
    revocation_reasons_by_ca: Mapping[CAName, tuple[RevocationReason, ...]] = {}
    """The same for single CAs, by ``<organization>~<ca-id>``."""
    allow_addresses: tuple[IPNetwork, ...] = ()
    """Networks that http-01 may connect to although they are private, loopback, link-local or reserved."""
    max_validations: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Challenges validated at once by this process; more wait."""
    http01: HTTP01Config = HTTP01Config()
    dns01: DNS01Config = DNS01Config()
