"""SCEP with Intune in memory: everything of ours, and an Intune that says what the test wants."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID
from sqlalchemy import select
from twisted.internet.defer import Deferred

from cspd.authority.certificates import Certificates
from cspd.health import Health, HealthState
from cspd.store.tables import certificates
from protocols.scep.interfaces import Authorizer
from protocols.scep.intune.authorizer import IntuneAuthorizer
from protocols.scep.intune.config import PROFILES, IntuneConfig
from protocols.scep.intune.notifications import Notifications
from protocols.scep.intune.places import IntunePlaces
from protocols.scep.intune.revocations import Revocations
from protocols.scep.intune.tables import scep_intune_notifications
from protocols.scep.intune.values import IssuedNotice, RefusedNotice, RevocationOrder, RevocationResult
from protocols.scep.messages import FailInfo, PKIMessage, PKIStatus
from tests.protocols.scep.world import OTHER_PROFILE, PROFILE, RA_PROFILE, World, rsa_key
from tests.support.authorities import ALICE, ISSUING
from tests.support.running import result_of
from tests.support.scep_client import ScepClient, name_of

CHALLENGE = "what Intune gave the device"
INTUNE_PROFILE = "intune-digital-signature"
CA = "demo~issuing"


def path_of(profile: str = INTUNE_PROFILE, ca: str = CA) -> str:
    """Where Intune's devices go."""
    return f"/scep/demo/{ca}/{profile}/intune/"


class FakeIntune:
    """Implements :class:`protocols.scep.intune.interfaces.IntuneService`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.told: list[IssuedNotice | RefusedNotice] = []
        self.verdict: Exception | None = None
        """Of the next validations; None is Success."""
        self.deaf: Exception | None = None
        """What notifications end in; None is that they are taken."""
        self.hold: Deferred[None] | None = None
        """What notifications wait for."""
        self.orders: list[RevocationOrder] = []
        self.downloads: list[tuple[str, int]] = []
        self.reports: list[Sequence[RevocationResult]] = []
        self.upload: Exception | None = None

    async def validate(self, transaction_id: str, csr_der: bytes) -> None:
        self.asked.append((transaction_id, csr_der))
        if self.verdict is not None:
            raise self.verdict

    async def tell_issued(self, notice: IssuedNotice) -> None:
        await self._tell(notice)

    async def tell_refused(self, notice: RefusedNotice) -> None:
        await self._tell(notice)

    async def _tell(self, notice: IssuedNotice | RefusedNotice) -> None:
        if self.hold is not None:
            await self.hold
        if self.deaf is not None:
            raise self.deaf
        self.told.append(notice)

    async def revocation_orders(self, *, issuer_name: str, limit: int) -> Sequence[RevocationOrder]:
        self.downloads.append((issuer_name, limit))
        given, self.orders = self.orders[:limit], self.orders[limit:]
        return given

    async def report_revocations(self, results: Sequence[RevocationResult]) -> None:
        if self.upload is not None:
            raise self.upload
        self.reports.append(results)

    def health(self) -> Health:
        return Health(part="scep-intune-demo~issuing", state=HealthState.OK)

    def start(self) -> None:
        """Nothing runs beside."""

    def stop(self) -> None:
        """Nothing runs beside."""


class IntuneWorld:
    """A server at which Intune's devices enroll."""

    def __init__(self, *, shares: IntuneWorld | None = None, service: Any = None, **settings: Any) -> None:
        first = shares.world if shares else World(service=service)
        self.house = first.house
        if shares is None:
            profiles = (PROFILE, OTHER_PROFILE, RA_PROFILE, *PROFILES)
            result_of(self.house.management.edit(ISSUING, ALICE, profiles=profiles))
        self.intune = shares.intune if shares else FakeIntune()
        self.config = IntuneConfig.model_validate(
            {
                "ca": CA,
                "azure_application_id": "6731de76-14a6-49ae-97bc-6eba6914391e",
                "azure_tenant": "test.example.com",
                "application_secret": {"store": "intune"},
                **settings,
            }
        )
        self.notifications = Notifications(
            clock=self.house.clock,
            random=Random(f"{id(self)}"),
            database=self.house.database,
            audit=self.house.audit,
            authorities=self.house.registry,
            certificates=Certificates(self.house.database),
            services={CA: self.intune},
        )
        authorizer: Authorizer = IntuneAuthorizer(service=self.intune, notifications=self.notifications)
        places = IntunePlaces([self.config], tenants=["demo"], authorizers={CA: authorizer})
        self.world = World(shares=first, intune=places, service=service)

    def revocations(self, **values: Any) -> Revocations:
        """The job of the CA."""
        given: dict[str, Any] = {
            "service": self.intune,
            "authorities": self.house.registry,
            "revocation": self.house.revocation,
            "ca": ISSUING,
            "siblings": [ISSUING],
            "identity": "test.example.com",
            "limit": 100,
        }
        return Revocations(**{**given, **values})

    def csr(
        self,
        common_name: str = "device",
        *,
        challenge: str | None = CHALLENGE,
        key: int = 1,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        digest: Any = None,
    ) -> bytes:
        """What a device asks for."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(common_name))
        if challenge is not None:
            builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
        for value, is_critical in extensions:
            builder = builder.add_extension(value, is_critical)
        return builder.sign(rsa_key(key), digest or hashes.SHA256()).public_bytes(Encoding.DER)

    def device(self, **values: Any) -> ScepClient:
        """One that has no certificate yet."""
        return self.world.device(**values)

    def enroll(self, csr_der: bytes | None = None, *, profile: str = INTUNE_PROFILE, **values: Any) -> x509.Certificate:
        """The certificate that a device gets."""
        return self.world.enroll(self.device(**values), csr_der or self.csr(), path=path_of(profile))

    def refused(
        self, csr_der: bytes | None = None, *, profile: str = INTUNE_PROFILE, key: int = 1
    ) -> tuple[FailInfo | None, str]:
        """What a device is told that gets none."""
        device = self.device(key=key)
        message: PKIMessage
        message, _ = self.world.answer(device, device.enrollment(csr_der or self.csr()), path=path_of(profile))
        assert message.pki_status is PKIStatus.FAILURE
        return message.fail_info, message.fail_info_text or ""

    def unavailable(self) -> int:
        """The status of HTTP that a device gets when nobody can say yes or no."""
        message = self.device().enrollment(self.csr())
        return self.world.ask("operation=PKIOperation", message, path=path_of()).status

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """The rows of what Intune has yet to hear."""
        query = select(scep_intune_notifications)
        rows = result_of(self.house.database.read(lambda connection: connection.execute(query).all()))
        return [dict(row._mapping) for row in rows]

    @property
    def certificate_count(self) -> int:
        """How many certificates Intune's devices have."""
        query = select(certificates.c.serial).where(certificates.c.protocol == "intune")
        return len(result_of(self.house.database.read(lambda connection: connection.execute(query).all())))
