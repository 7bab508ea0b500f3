"""A node whose conf names registration authorities, on the CAs of an installation in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.admin.operations.values import Caller
from cspd.authority.values import CAReference
from cspd.health import HealthState
from cspd.keys.values import KeyReference
from cspd.plugin import PublicAddress, Services
from protocols.scep.interfaces import RegistrationAuthority
from protocols.scep.registration_authority_assembly import build_registration_authorities
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig
from tests.support.authorities import ISSUING, Installation
from tests.support.running import result_of

PROFILE = "scep-digital-signature-key-encipherment"
SEPARATE = ("scep-digital-signature", "scep-key-encipherment")
ENTRY = RegistrationAuthorityConfig(ca=str(ISSUING))
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def installed(profiles: Sequence[str] = (PROFILE, *SEPARATE)) -> Installation:
    """A root and an issuing CA with these profiles."""
    installation = Installation()
    installation.make_hierarchy(profiles=tuple(profiles))
    return installation


def services_of(installation: Installation, *, name: str = "node", **replaced: Any) -> Services:
    """What a factory gets; the same name makes the same random numbers."""
    unused = cast(Any, None)
    values: dict[str, Any] = {
        "reactor": installation.reactor,
        "clock": installation.clock,
        "random": Random(name),
        "database": installation.database,
        "keys": installation.keys,
        "authorities": installation.registry,
        "issuance": installation.issuance,
        "status": installation.status,
        "profiles": installation.profiles,
        "audit": installation.audit,
        "process": name,
        **replaced,
    }
    missing = {
        "approvals": unused,
        "revocation": unused,
        "publication": unused,
        "certificates": unused,
        "connector": unused,
        "enrollment_secrets": unused,
        "monitor": unused,
        "public": PublicAddress(http="http://pki.example", https="https://pki.example"),
        "tenants": frozenset(),
        "password_checks": {},
    }
    return Services(**{**missing, **values})


class Node:
    """One node of the installation."""

    def __init__(
        self,
        installation: Installation,
        *entries: RegistrationAuthorityConfig,
        name: str = "node",
        start: bool = True,
        **replaced: Any,
    ) -> None:
        """With :data:`ENTRY` unless told otherwise."""
        self.installation = installation
        self.clock = installation.clock
        self.built = build_registration_authorities(
            entries or (ENTRY,), services_of(installation, name=name, **replaced)
        )
        if start:
            self.built.start()

    def of(self, ca: CAReference = ISSUING) -> RegistrationAuthority:
        """What speaks for the CA."""
        return result_of(self.built.authorities.of(ca))

    def certificate(self, ca: CAReference = ISSUING) -> x509.Certificate:
        """The certificate that it signs with."""
        return x509.load_der_x509_certificate(self.of(ca).signing_certificate_der)

    def tick(self, seconds: int = 1) -> None:
        """Let the node look at the store and at the CAs."""
        self.installation.reactor.pump([1.0] * seconds)

    def pass_time(self, span: timedelta) -> None:
        """The clock goes on, and then the node looks."""
        self.clock.advance(span)
        self.tick()

    def renew(self) -> None:
        """Run the job."""
        [job] = self.built.jobs
        result_of(cast(Any, job.run()))

    def renew_now(self) -> None:
        """What ``cspctl scep ra renew`` does."""
        _, renew = self.built.operations
        result_of(cast(Any, renew.run(renew.arguments.model_validate({"ca": str(ISSUING)}), Caller("alice"))))

    def list(self) -> Any:
        """What ``cspctl scep ra list`` shows."""
        shows, _ = self.built.operations
        return result_of(cast(Any, shows.run(shows.arguments(), Caller("alice"))))

    def health(self, index: int = 0) -> tuple[HealthState, str]:
        """Of the first CA, or another."""
        health = self.built.keys.health()[index]
        return health.state, health.reason


def ra_keys(installation: Installation) -> set[KeyReference]:
    """The keys of registration authorities that there are."""
    return {each.reference for each in result_of(installation.keys.list()) if each.label.startswith("SCEP RA")}


def der(certificate: x509.Certificate) -> bytes:
    """The certificate, DER."""
    return certificate.public_bytes(Encoding.DER)
