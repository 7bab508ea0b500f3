"""Two daemons on one PostgreSQL behind one public name: what one knows the other knows, and either may die."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPResponse, OCSPResponseStatus

from tests.support.acme_client import ACMEClient, Issued, Problem
from tests.support.challtestsrv import ChallengeTestServer
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ask_ocsp, ocsp_request, ocsp_status
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until

pytestmark = pytest.mark.interop

SEEN_BY_ALL = 1.5
"""Seconds after which every node answers with a revocation."""

WATCH_CLAIMS = """
CREATE TABLE job_claims (name text, due timestamptz, process text);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO job_claims VALUES (NEW.name, NEW.last_due, NEW.lease_owner); RETURN NEW; END';
CREATE TRIGGER note_claim AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.lease_owner IS NOT NULL AND NEW.lease_owner IS DISTINCT FROM OLD.lease_owner)
    EXECUTE FUNCTION note_claim();
"""


@dataclass
class Nodes:
    """The two daemons and what is around them."""

    first: Daemon
    second: Daemon
    server: PostgreSQLServer
    challenges: ChallengeTestServer
    clients: list[ACMEClient] = field(default_factory=list)

    def client(self, **options: float) -> ACMEClient:
        """A client of the first node with an account."""
        client = ACMEClient(self.first.acme_directory(), trust=self.first.root_pem, solve=self.solve, **options)
        self.clients.append(client)
        client.register()
        return client

    def solve(self, token: str, content: str) -> None:
        self.challenges.tell("add-http01", token=token, content=content)

    def at(self, client: ACMEClient, node: Daemon) -> ACMEClient:
        """The same client, now speaking to that node."""
        client.port = node.https_port
        return client

    def status(self, node: Daemon, issued: Issued) -> str:
        return ocsp_status(node.http_url, issued.certificate, issued.issuer)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    server = PostgreSQLServer()
    challenges = ChallengeTestServer(folder)
    http01 = {"port": challenges.http_port, "nameservers": [challenges.nameserver]}
    try:
        server.start()
        changes = {"protocols.acme.http01": http01}
        with Daemon(folder, store_url=server.url(), changes=changes, start=False) as first:
            server.execute(WATCH_CLAIMS)
            with first.another_node() as second:
                first.start()
                second.start()
                both = Nodes(first, second, server, challenges)
                yield both
                begun = time.monotonic()
                assert (first.stop(), second.stop()) == (0, 0)
                assert time.monotonic() - begun < 10, "the idle connections of clients held the stop up"
                for client in both.clients:
                    client.close()
    finally:
        challenges.stop()
        server.remove()


def crl_of(node: Daemon) -> x509.CertificateRevocationList:
    with urllib.request.urlopen(f"{node.http_url}/crl/demo/issuing/crl.crl", timeout=10) as answer:
        return x509.load_der_x509_crl(answer.read())


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_nonce_of_one_node_is_good_on_the_other_once(nodes: Nodes) -> None:
    client = nodes.client()
    account = client.account
    assert account is not None
    nonce = client.take_nonce()
    assert nodes.at(client, nodes.second).post_with_nonce(account, None, nonce).status == 200
    for node in (nodes.first, nodes.second):
        with pytest.raises(Problem) as refusal:
            nodes.at(client, node).post_with_nonce(account, None, nonce)
        assert (refusal.value.status, refusal.value.type) == (400, "badNonce")


def test_an_order_wanders_between_the_nodes(nodes: Nodes) -> None:
    client = nodes.client()
    order = nodes.at(client, nodes.second).begin("wanders.test")
    nodes.at(client, nodes.first).respond(order)
    nodes.at(client, nodes.second).wait(order, "ready")
    assert client.finalize(order)["status"] == "valid"
    issued = nodes.at(client, nodes.first).download(order)
    assert nodes.status(nodes.first, issued) == nodes.status(nodes.second, issued) == "good"


def test_a_revocation_on_one_node_is_told_by_both_within_moments(nodes: Nodes) -> None:
    client = nodes.client()
    issued = client.enroll("revoked.test")
    assert nodes.status(nodes.second, issued) == "good", "it remembers this answer now"
    before = number_of(crl_of(nodes.second))
    client.revoke(issued)
    revoked_at = time.monotonic()
    assert nodes.status(nodes.first, issued) == "revoked"
    wait_until(lambda: nodes.status(nodes.second, issued) == "revoked", what="OCSP of the other node", seconds=5)
    assert time.monotonic() - revoked_at < SEEN_BY_ALL

    def both_list_it() -> bool:
        crls = [crl_of(node) for node in (nodes.first, nodes.second)]
        return all(crl.get_revoked_certificate_by_serial_number(issued.serial) is not None for crl in crls)

    wait_until(both_list_it, what="the CRL", seconds=10)
    first, second = (crl_of(node) for node in (nodes.first, nodes.second))
    assert first == second
    assert number_of(first) == before + 1, "one CRL was made, not one by each node"


def test_two_nodes_finalize_one_order_once(nodes: Nodes) -> None:
    """The same finalize to both at the same time ends in one certificate."""
    client = nodes.client()
    order = client.begin("twice.test")
    client.respond(order)
    client.wait(order, "ready")
    client.finalize(order)
    assert nodes.at(client, nodes.second).finalize(order)["status"] in ("processing", "valid")
    client.wait(order, "valid")
    rows = nodes.server.execute("SELECT count(*) FROM certificates WHERE names LIKE '%twice.test%'")
    assert rows == [(1,)]


@pytest.mark.requirement("R-CEG-158")
def test_each_moment_of_a_job_belongs_to_one_node(nodes: Nodes) -> None:
    def moments() -> list[tuple[object, ...]]:
        return nodes.server.execute(
            "SELECT name, due, count(*) FROM job_claims WHERE name = 'acme-resume-validations' GROUP BY name, due"
        )

    wait_until(lambda: len(moments()) >= 2, what="two moments of a job", seconds=40)
    claims = nodes.server.execute("SELECT name, due, count(*) FROM job_claims GROUP BY name, due")
    assert [claim for claim in claims if claim[2] != 1] == []


def test_the_other_node_finishes_what_a_killed_one_was_validating(nodes: Nodes) -> None:
    client = nodes.client()
    nodes.challenges.tell("add-a", host="orphan.test", addresses=["127.0.0.9"])  # nobody is there: it is tried again
    order = client.begin("orphan.test")
    client.respond(order)
    wait_until(lambda: "orphan.test" in str(validating(nodes)), what="the validation", seconds=5)
    nodes.first.kill()
    try:
        nodes.challenges.tell("clear-a", host="orphan.test")
        client = nodes.at(client, nodes.second)
        assert client.get(order.url).json["status"] == "pending"
        # The lease of 30 seconds, and the job that looks every 10 seconds.
        client.wait(order, "ready", seconds=50)
        client.finalize(order)
        client.wait(order, "valid")
        assert nodes.status(nodes.second, client.download(order)) == "good"
    finally:
        nodes.first.start()
    assert nodes.first.cspctl_json("audit", "verify")["sound"]


def validating(nodes: Nodes) -> list[tuple[object, ...]]:
    return nodes.server.execute(
        "SELECT identifier_value FROM acme_authorizations JOIN acme_challenges c ON c.authorization_id ="
        " acme_authorizations.id WHERE c.status = 'processing' AND c.lease_owner IS NOT NULL"
    )


def test_an_outage_of_the_database_is_survived(nodes: Nodes) -> None:
    """Status goes on from memory, enrollment says at once when to come again, and all recovers by itself."""
    client = nodes.client(timeout=10)
    issued = client.enroll("before.test")
    started = client.begin("during.test")
    request = ocsp_request(issued.certificate, issued.issuer)

    def ask(node: Daemon) -> OCSPResponse:
        return ask_ocsp(node.http_url, request)

    for node in (nodes.first, nodes.second):
        # Signatures are random: the same one again is from memory.
        wait_until(lambda node=node: ask(node).signature == ask(node).signature, what="the kept answer", seconds=5)
        crl_of(node)
    nodes.server.stop()
    try:
        for _ in range(10):
            for node in (nodes.first, nodes.second):
                assert ask(node).response_status is OCSPResponseStatus.SUCCESSFUL
                crl_of(node)
            begun = time.monotonic()
            with pytest.raises(Problem) as refusal:
                client.begin("refused.test")
            assert time.monotonic() - begun < 2
            assert (refusal.value.status, refusal.value.type) == (503, "serverInternal")
            assert int(refusal.value.headers["retry-after"]) >= 1
            time.sleep(0.2)
        unknown = x509.load_pem_x509_certificate((nodes.first.folder / "pki" / "tls.pem").read_bytes())
        answer = ask_ocsp(nodes.second.http_url, ocsp_request(unknown, issued.issuer))
        assert answer.response_status is OCSPResponseStatus.TRY_LATER, "nothing is said that is not known"
    finally:
        nodes.server.start()

    def works() -> bool:
        try:
            client.get(started.url)
        except Problem as problem:
            if problem.status != 503:
                raise
            return False
        return True

    wait_until(works, what="the store", seconds=5)
    assert client.pursue(started).serial
    nodes.at(client, nodes.second).revoke(issued)
    wait_until(lambda: nodes.status(nodes.first, issued) == "revoked", what="OCSP of the other node", seconds=5)
    for node in (nodes.first, nodes.second):
        assert node.is_running
        assert "the store answers again" in node.output()
        assert "Traceback" not in node.output()


def test_the_audit_log_of_both_nodes_is_sound(nodes: Nodes) -> None:
    report = nodes.second.cspctl_json("audit", "verify")
    assert report["sound"]
    assert set(report["heads"]) == {"localhost", "cspd2"}
    with psycopg.connect(nodes.server.url()) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT serial) FROM certificates").fetchone()
    assert counted is not None
    assert counted[0] == counted[1]
