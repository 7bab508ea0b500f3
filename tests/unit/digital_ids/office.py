"""Digital IDs over an installation in memory."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from cspd.authority.interfaces import Recorded
from cspd.authority.values import EnrollmentRequest, Issued, Requester
from cspd.digital_ids.assembly import build_digital_ids
from cspd.digital_ids.config import DigitalIDsConfig
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.tables import digital_id_challenges, digital_id_users
from cspd.digital_ids.values import NewChallenge
from tests.support.authorities import Installation
from tests.support.running import result_of

PRODUCT = Requester(protocol="mdm", identity="workspace", address="192.0.2.9", request_id="r-5")
DUAL = "mdmws-p12-digital-signature-key-encipherment"
_CLIENT = "mdmws-digital-signature-key-encipherment-clientauth"
PROFILES = (DUAL, "mdmws-digital-signature", "mdmws-p12-key-encipherment", "mdmws-p12-non-repudiation", _CLIENT)
PHONES = {
    "name": "My Phones",
    "ca": "demo~issuing",
    "profile": DUAL,
    "parent_dn": "ou=Devices,o=My Company,c=US",
    "rdn_format": "cn=<firstname> <lastname>",
}
LAPTOPS = {"name": "laptops", "ca": "demo~issuing", "profile": PROFILES[1], "rdn_format": "cn=<serial>"}
ANN = {"firstname": "Ann", "lastname": "Lee"}


def section(**values: Any) -> DigitalIDsConfig:
    """A section with two configurations and a lifetime of a minute."""
    return DigitalIDsConfig.model_validate(
        {"token_lifetime": "60s", "cleanup_schedule": "0 0 * * * *", "configurations": [PHONES, LAPTOPS], **values}
    )


class Office:
    """Where challenges are made."""

    def __init__(self, **values: Any) -> None:
        self.house = Installation()
        self.house.make_hierarchy(profiles=PROFILES)
        self.digital_ids = self.build(section(**values))

    def build(self, configuration: DigitalIDsConfig) -> DigitalIDs:
        """The service, as a node with this configuration has it."""
        house = self.house
        return build_digital_ids(
            configuration,
            clock=house.clock,
            random=Random(4),
            database=house.database,
            audit=house.audit,
            profiles=house.profiles,
        )

    def order(self, name: str = "My Phones", variables: Mapping[str, str] = ANN, tenant: str = "demo") -> NewChallenge:
        """A challenge for the variables."""
        digital_id = self.digital_ids.get(name)
        return result_of(
            self.digital_ids.challenges.create(
                tenant=tenant,
                digital_id=digital_id.name,
                subject=digital_id.subject(variables),
                subject_alt_names=(),
                by=PRODUCT,
            )
        )

    def enroll(self, recorded: Recorded) -> Issued:
        """A certificate stored together with what ``recorded`` writes."""
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        request = EnrollmentRequest(
            ca=self.digital_ids.get("My Phones").ca,
            profile=DUAL,
            requester=PRODUCT,
            public_key_der=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            subject=self.digital_ids.get("My Phones").subject(ANN),
            subject_alt_names=(),
        )
        issued = result_of(self.house.issuance.enroll(request, recorded=recorded))
        assert isinstance(issued, Issued)
        return issued

    def rows(self, table: Any = digital_id_challenges) -> list[Any]:
        """All rows of a table."""
        return result_of(self.house.database.read(lambda connection: list(connection.execute(select(table)))))

    @property
    def users(self) -> list[str]:
        """The subjects of all users."""
        return [row.subject for row in self.rows(digital_id_users)]
