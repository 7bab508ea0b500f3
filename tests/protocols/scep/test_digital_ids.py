"""MDM-SCEP: devices with challenges that the web service gave out."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cspd.authority.values import Requester
from cspd.digital_ids.assembly import build_digital_ids
from cspd.digital_ids.config import DigitalIDsConfig
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.tables import digital_id_certificates
from cspd.x509.names import format_name
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.digital_ids import DigitalIDPlaces
from protocols.scep.messages import FailInfo, PKIMessage, PKIStatus
from tests.protocols.scep.world import PROFILE, World, rsa_key
from tests.support.running import result_of
from tests.support.scep_client import name_of

MDM = "/scep/demo/My%20Digital%20ID/mdm"
OTHER = "/scep/demo/tablets/mdm"
CONFIGURATIONS: list[dict[str, Any]] = [
    {
        "name": "My Digital ID",
        "ca": "demo~issuing",
        "profile": PROFILE,
        "parent_dn": "ou=Devices,c=US",
        "rdn_format": "cn=<serial>",
    },
    {"name": "tablets", "ca": "demo~issuing", "profile": PROFILE, "rdn_format": "cn=<serial>"},
    {
        "name": "trusted",
        "ca": "demo~issuing",
        "profile": PROFILE,
        "rdn_format": "cn=<serial>",
        "keep_requested_names": True,
    },
    {"name": "early", "ca": "demo~issuing", "profile": "mdmws-digital-signature", "rdn_format": "cn=<serial>"},
]


class Devices:
    """A server of MDM-SCEP, and the web service's side of it."""

    def __init__(self, *, enabled: bool = True) -> None:
        first = World()
        self.house = first.house
        section = DigitalIDsConfig.model_validate(
            {"token_lifetime": "60s", "cleanup_schedule": "0 0 * * * *", "configurations": CONFIGURATIONS}
        )
        self.digital_ids: DigitalIDs = build_digital_ids(
            section,
            clock=self.house.clock,
            random=Random(4),
            database=self.house.database,
            audit=self.house.audit,
            profiles=self.house.profiles,
        )
        places = DigitalIDPlaces(self.digital_ids if enabled else None, tenants=["demo"], policy=AlgorithmPolicy())
        self.world = World(shares=first, mdm=places)

    def challenge(self, name: str = "My Digital ID", *names: x509.GeneralName) -> str:
        """A new one, for the device 7."""
        new = result_of(
            self.digital_ids.challenges.create(
                tenant="demo",
                digital_id=name,
                subject=self.digital_ids.get(name).subject({"serial": "7"}),
                subject_alt_names=names,
                by=Requester(protocol="mdm", identity="workspace"),
            )
        )
        return new.secret

    def enroll(self, challenge: str | None, path: str = MDM, *, key: int = 1) -> x509.Certificate:
        """The certificate of a device that calls itself otherwise than was ordered."""
        return self.world.enroll(self.world.device(key=key), request(challenge, key=key), path=path)

    def refused(self, challenge: str | None, path: str = MDM, *, key: int = 1) -> FailInfo | None:
        """Why a device gets none."""
        device = self.world.device(key=key)
        message: PKIMessage
        message, _ = self.world.answer(device, device.enrollment(request(challenge, key=key)), path=path)
        assert message.pki_status is PKIStatus.FAILURE
        return message.fail_info


def request(challenge: str | None, *, key: int = 1) -> bytes:
    """A CSR with a subject and a name that nobody ordered."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of("administrator"))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example")]), critical=False)
    if challenge is not None:
        builder = builder.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    return builder.sign(rsa_key(key), hashes.SHA256()).public_bytes(Encoding.DER)


def names_in(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


@pytest.fixture
def devices() -> Devices:
    return Devices()


@pytest.mark.requirement("R-CEG-008")
@pytest.mark.requirement("R-CEG-013")
@pytest.mark.requirement("R-CEG-089")
@pytest.mark.requirement("R-CEG-093")
@pytest.mark.requirement("R-CEGI-077")
def test_a_device_gets_the_certificate_that_was_ordered(devices: Devices) -> None:
    certificate = devices.enroll(devices.challenge())
    assert format_name(certificate.subject) == "CN=7,OU=Devices,C=US"
    assert names_in(certificate) == []
    record = result_of(devices.house.registry.by_id(only_row(devices).authority_id))
    assert str(record.reference) == "demo~issuing"
    assert only_row(devices).serial == certificate.serial_number
    [event] = [each for each in devices.house.audit.events if each.fields.get("subject") == "CN=7,OU=Devices,C=US"][-1:]
    assert (event.event, event.fields["profile"]) == ("certificate-issued", PROFILE)
    assert event.actor == "mdm:demo/My Digital ID: CN=7,OU=Devices,C=US"


def only_row(devices: Devices) -> Any:
    query = select(digital_id_certificates)
    [row] = result_of(devices.house.database.read(lambda connection: connection.execute(query).all()))
    return row


def test_names_are_those_of_the_order_unless_conf_trusts_devices(devices: Devices) -> None:
    ordered = x509.RFC822Name("ann@example.com")
    assert names_in(devices.enroll(devices.challenge("tablets", ordered), OTHER)) == [ordered]
    kept = devices.enroll(devices.challenge("trusted", ordered), "/scep/demo/trusted/mdm", key=2)
    assert names_in(kept) == [x509.DNSName("bank.example")]
    assert format_name(kept.subject) == "CN=7"


@pytest.mark.requirement("R-CEG-095")
@pytest.mark.requirement("R-CEGI-077")
def test_a_challenge_is_good_once_and_for_its_digital_id_alone(devices: Devices) -> None:
    challenge = devices.challenge()
    assert devices.refused(challenge, OTHER) is FailInfo.BAD_MESSAGE_CHECK
    devices.enroll(challenge)
    assert devices.refused(challenge, key=2) is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.requirement("R-CEGI-077")
@pytest.mark.parametrize("challenge", [None, "", "A" * 24, "correct horse"])
def test_unknown_challenges_get_nothing(devices: Devices, challenge: str | None) -> None:
    devices.challenge()
    assert devices.refused(challenge) is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.requirement("R-CEG-094")
@pytest.mark.requirement("R-CEGI-077")
def test_a_challenge_is_refused_a_second_after_its_lifetime(devices: Devices) -> None:
    early, late = devices.challenge(), devices.challenge()
    devices.house.clock.advance(timedelta(seconds=59))
    devices.enroll(early)
    devices.house.clock.advance(timedelta(seconds=2))
    assert devices.refused(late, key=2) is FailInfo.BAD_MESSAGE_CHECK


def test_a_lost_answer_is_given_again_and_costs_no_challenge(devices: Devices) -> None:
    device = devices.world.device()
    message = device.enrollment(request(devices.challenge()))
    answers = [devices.world.answer(device, message, path=MDM)[1] for _ in range(2)]
    assert answers[0].certificates_der == answers[1].certificates_der
    only_row(devices)


def test_a_request_that_gives_no_certificate_leaves_the_challenge(devices: Devices) -> None:
    """The CA does not have the profile yet: once it has, the device comes again."""
    challenge = devices.challenge("early")
    assert devices.refused(challenge, "/scep/demo/early/mdm") is not None
    result_of(devices.digital_ids.challenges.find("demo", "early", challenge))
    query = select(digital_id_certificates)
    assert result_of(devices.house.database.read(lambda connection: connection.execute(query).all())) == []


@pytest.mark.parametrize(
    "path", ["/scep/demo/nothing/mdm", "/scep/Demo/tablets/mdm", "/scep/demo/Tablets/mdm", "/scep/demo/tablets%20/mdm"]
)
def test_what_is_not_configured_is_not_there(devices: Devices, path: str) -> None:
    for query in ("operation=GetCACaps", "operation=GetCACert"):
        assert devices.world.ask(query, path=path).status == 404
    assert devices.world.ask("operation=PKIOperation", b"x", path=path).status == 404


@pytest.mark.requirement("R-CEG-024")
@pytest.mark.requirement("R-CEG-097")
@pytest.mark.requirement("R-CEGI-079")
def test_with_the_switch_off_nothing_is_served() -> None:
    assert Devices().world.ask("operation=GetCACaps", path=MDM).status == 200
    assert Devices(enabled=False).world.ask("operation=GetCACaps", path=MDM).status == 404
