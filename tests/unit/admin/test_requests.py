"""``cspctl request``."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authority.approvals import Approvals, ApprovalTerms
from cspd.authority.certificates import Certificates
from cspd.authority.values import EnrollmentRequest, Issued, Pending, Requester
from cspd.refusals import Forbidden
from tests.support.administration import Administration
from tests.support.authorities import ISSUING
from tests.support.issuing import common_name, make_csr

TERMS = ApprovalTerms(retry_after=timedelta(minutes=5), lifetime=timedelta(days=7))


class Client:
    """Asks for one certificate as often as the test wants."""

    def __init__(self, administration: Administration) -> None:
        house = self._house = administration.installation
        self._approvals = Approvals(
            clock=house.clock,
            random=Random(5),
            database=house.database,
            authorities=house.registry,
            certificates=Certificates(house.database),
            issuance=house.issuance,
            audit=administration.chain,
        )
        self._request = EnrollmentRequest(
            ca=ISSUING,
            profile="tls-server",
            requester=Requester(protocol="est", identity="device 7", address="192.0.2.7"),
            csr_der=make_csr(
                ec.generate_private_key(ec.SECP256R1()), common_name("device 7"), [x509.DNSName("device7.example")]
            ),
        )

    def ask(self) -> Issued | Pending:
        """Ask."""
        return self._house.run(self._approvals.enroll(self._request, TERMS))


@pytest.fixture
def client(hierarchy: Administration) -> Client:
    return Client(hierarchy)


def test_waiting_requests_are_listed_and_approved(hierarchy: Administration, client: Client) -> None:
    assert hierarchy.done("request", "list") == "no requests\n"
    pending = client.ask()
    assert isinstance(pending, Pending)
    [row] = hierarchy.json("request", "list")
    assert row == {
        "id": pending.request_id,
        "state": "waiting",
        "ca": "demo~issuing",
        "profile": "tls-server",
        "subject": "CN=device 7",
        "names": ["device7.example"],
        "requester": "est:device 7",
        "address": "192.0.2.7",
        "received_at": "2026-11-24T12:00:00Z",
    }
    approved = hierarchy.json("request", "approve", pending.request_id)
    issued = client.ask()
    assert isinstance(issued, Issued)
    assert approved["serial"] == f"{issued.serial:X}"
    assert approved["decided_by"] == "cspctl:root"
    assert hierarchy.json("request", "list") == []
    assert hierarchy.json("request", "show", pending.request_id)["state"] == "issued"


def test_a_denial_reaches_the_client(hierarchy: Administration, client: Client) -> None:
    pending = client.ask()
    assert isinstance(pending, Pending)
    assert hierarchy.done("request", "deny", pending.request_id, "--reason", "stolen") == "The request is denied.\n"
    with pytest.raises(Forbidden, match="stolen"):
        client.ask()


def test_an_unknown_request_is_refused(hierarchy: Administration) -> None:
    result = hierarchy.run("request", "approve", "nobody")
    assert result.exit_code == 1
    assert "there is no request 'nobody'" in result.output
