"""curl and openssl against the real daemon: every way to show who one is, with TLS 1.2 and 1.3."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from cspd.http.channel_bindings import EXPORTER_LABEL, EXPORTER_OCTETS
from cspd.x509.csr import CHALLENGE_PASSWORD, EST_IDENTITY_LINKING
from tests.interop.test_est_clients import PEM, PKCS10, Site
from tests.protocols.est.world import with_attributes
from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.processes import program, run
from tests.unit.http.certificates import CLIENT_AUTH, Party, make

pytestmark = pytest.mark.interop

VERSIONS = ("1.2", "1.3")
LABELS: Mapping[str, Mapping[str, object]] = {
    "secret": {"authentication": ["secret"]},
    "challenge": {"authentication": ["challenge"]},
    "makers": {"authentication": ["certificate"], "trust": ["makers.pem"]},
    "bound": {"channel_binding": "required"},
    "waiting": {"authentication": ["secret"], "approval": True},
}
MAKER = make("maker", is_ca=True)
FACTORY = make("factory", MAKER, is_ca=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One daemon with a label for every method."""
    folder = tmp_path_factory.mktemp("est")
    labels = [{"id": id, "ca": "demo~issuing", "profile": "tls-client", **rules} for id, rules in LABELS.items()]
    demo = {"id": "demo", "ca": "demo~issuing", "profile": "tls-client"}
    changes = {
        "protocols.est.labels": [demo, *labels],
        "listeners.https.tls.client_trust": ["pki/issuing.pem", "makers.pem"],
    }
    daemon = Daemon(folder, changes=changes, start=False)
    (daemon.folder / "makers.pem").write_bytes(MAKER.pem)
    (folder / "client").mkdir()
    with daemon:
        daemon.start()
        yield Site(daemon, folder / "client")


def at(site: Site, label: str) -> str:
    return f"{site.daemon.https_url}/.well-known/est/{label}"


def post(site: Site, label: str, csr: Path, *options: str | Path, version: str) -> tuple[int, str]:
    """simpleenroll of a label, for PEM."""
    body = ("-H", PKCS10, "-H", PEM, "--data-binary", f"@{csr}")
    return site.curl("simpleenroll", *body, *options, url=at(site, label), version=version)


def secret_of(site: Site, *options: str) -> str:
    made = site.daemon.cspctl_json("enrollment-secret", "create", "est", "device 7", *options)
    return f"{made['reference']}:{made['secret']}"


def verified(site: Site, chain: str) -> RelyingParty:
    party = site.party(chain)
    party.verify("-purpose", "sslclient")
    assert party.ocsp() == "good"
    return party


@pytest.mark.parametrize("version", VERSIONS)
def test_a_one_time_password_as_user_and_password(site: Site, version: str) -> None:
    password = secret_of(site, "--ca", "demo~issuing", "--profile", "tls-client")
    _, csr = site.request(f"secret-{version}")
    assert post(site, "secret", csr, version=version)[0] == 401
    status, chain = post(site, "secret", csr, "--user", password, version=version)
    assert status == 200, chain
    verified(site, chain)
    assert post(site, "secret", csr, "--user", password, version=version)[0] == 401
    assert post(site, "secret", csr, "--user", site.user, version=version)[0] == 401


@pytest.mark.parametrize("version", VERSIONS)
def test_a_one_time_password_in_a_request_that_openssl_made(site: Site, version: str) -> None:
    password = secret_of(site)
    key, csr, configuration = (site.folder / f"challenge-{version}.{kind}" for kind in ("key", "csr", "cnf"))
    configuration.write_text(
        "[req]\nprompt = no\ndistinguished_name = dn\nattributes = attributes\n"
        f"[dn]\nCN = challenge-{version}\n[attributes]\nchallengePassword = {password}\n"
    )
    new_key = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
    run([program("openssl"), "req", *new_key, "-config", configuration, "-out", csr])
    status, chain = post(site, "challenge", csr, version=version)
    assert status == 200, chain
    verified(site, chain)
    assert post(site, "challenge", csr, version=version)[0] == 403
    assert password.split(":")[1] not in site.daemon.output()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_with_a_certificate_of_its_maker(site: Site, version: str) -> None:
    device = make(f"device-{version}", FACTORY, usage=CLIENT_AUTH)
    shown = files_of(site, f"maker-{version}", device, FACTORY)
    key, csr = site.request(f"made-{version}")
    status, chain = post(site, "makers", csr, *shown, version=version)
    assert status == 200, chain
    own = verified(site, chain)
    # Its maker's certificate is not ours to renew, and other labels do not know the maker.
    body = ("-H", PKCS10, "--data-binary", f"@{csr}")
    assert site.curl("simplereenroll", *body, *shown, url=at(site, "makers"), version=version)[0] == 403
    assert post(site, "demo", csr, *shown, version=version)[0] == 401
    renewed = ("--cert", own.leaf, "--key", key)
    assert site.curl("simplereenroll", *body, *renewed, url=at(site, "makers"), version=version)[0] == 200
    assert post(site, "makers", csr, *renewed, version=version)[0] == 403


@pytest.mark.parametrize("version", VERSIONS)
def test_what_tls_does_not_trust_gets_no_answer_at_all(site: Site, version: str) -> None:
    stranger = make("stranger", make("maker", is_ca=True), usage=CLIENT_AUTH)
    expired = make("expired", FACTORY, usage=CLIENT_AUTH, days=(-9, -1))
    _, csr = site.request(f"strange-{version}")
    for name, device in (("stranger", stranger), ("expired", expired)):
        shown = files_of(site, f"{name}-{version}", device, FACTORY)
        curl = [program("curl"), "--silent", "--cacert", site.daemon.root_pem, "--tls-max", version, *shown]
        done = run([*curl, "-H", PKCS10, "--data-binary", f"@{csr}", f"{at(site, 'makers')}/simpleenroll"], expect=None)
        assert done.returncode != 0, name
        assert not done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("attribute", [CHALLENGE_PASSWORD, EST_IDENTITY_LINKING], ids=["PKCS#9", "RFC 7894"])
def test_a_request_that_is_tied_to_its_connection(site: Site, version: str, attribute: str) -> None:
    """tls-unique with TLS 1.2, tls-exporter with TLS 1.3, computed by OpenSSL at the client's end."""
    credentials = base64.b64encode(site.user.encode()).decode()
    headers = {"Content-Type": "application/pkcs10", "Authorization": f"Basic {credentials}"}
    key = ec.generate_private_key(ec.SECP256R1())
    with_another = []
    for is_right in (True, False):
        connection = Connection(site, version)
        bound = base64.b64encode(connection.binding if is_right else with_another[0]).decode()
        with_another.append(connection.binding)
        csr_der = with_attributes(key, {attribute: bound})
        status = connection.post("/.well-known/est/bound/simpleenroll", csr_der, headers)
        assert status == (200 if is_right else 400)
        connection.close()
    _, csr = site.request(f"unbound-{version}-{len(attribute)}")
    assert post(site, "bound", csr, "--user", site.user, version=version)[0] == 400


def test_a_request_that_waits_uses_up_its_password_and_is_asked_after_with_it(site: Site) -> None:
    password = secret_of(site)
    reference = password.split(":")[0]
    _, csr = site.request("patient")
    for _ in range(2):
        assert post(site, "waiting", csr, "--user", password, version="1.3")[0] == 202
    [secret] = [each for each in site.daemon.cspctl_json("enrollment-secret", "list") if each["reference"] == reference]
    assert secret["state"] == "used"
    _, another = site.request("impatient")
    assert post(site, "waiting", another, "--user", password, version="1.3")[0] == 409
    [request] = site.daemon.cspctl_json("request", "list")
    site.daemon.cspctl("request", "approve", request["id"])
    status, chain = post(site, "waiting", csr, "--user", password, version="1.3")
    assert status == 200, chain
    verified(site, chain)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_user_revokes_by_serial_number(site: Site, version: str) -> None:
    _, csr = site.request(f"revoked-{version}")
    status, chain = post(site, "demo", csr, "--user", site.user, version=version)
    assert status == 200, chain
    party = verified(site, chain)
    form = ("-d", f"serial={party.serial}", "-d", "reason=keyCompromise")
    assert site.curl("revoke", *form, version=version)[0] == 401
    assert site.curl("revoke", *form, "--user", site.user, version=version)[0] == 200
    assert party.ocsp().startswith("revoked")
    assert site.curl("revoke", *form, "--user", site.user, version=version)[0] == 409
    assert site.curl("revoke", "-d", "serial=1", "--user", site.user, version=version)[0] == 404


def files_of(site: Site, name: str, party: Party, *chain: Party) -> tuple[str | Path, ...]:
    """curl's options that show a certificate and its chain."""
    certificates, key = site.folder / f"{name}.pem", site.folder / f"{name}.key"
    certificates.write_bytes(party.pem + b"".join(each.pem for each in chain))
    key.write_bytes(party.key_pem())
    return ("--cert", certificates, "--key", key)


class Connection:
    """HTTPS over OpenSSL's own API, which tells the channel binding, as Python's ssl does not for TLS 1.3."""

    def __init__(self, site: Site, version: str) -> None:
        number = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[version]
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(number)
        context.set_max_proto_version(number)
        context.load_verify_locations(str(site.daemon.root_pem))
        context.set_verify(SSL.VERIFY_PEER)
        plain = http.client.HTTPConnection("localhost", site.daemon.https_port, timeout=60)
        plain.connect()
        assert plain.sock is not None
        plain.sock.setblocking(True)
        self._tls = SSL.Connection(context, plain.sock)
        self._tls.set_tlsext_host_name(b"localhost")
        self._tls.set_connect_state()
        self._tls.do_handshake()
        self._port = site.daemon.https_port
        self._plain = plain
        self.binding = (
            self._tls.export_keying_material(EXPORTER_LABEL, EXPORTER_OCTETS, b"")
            if version == "1.3"
            else self._tls.get_finished()
        )

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer."""
        lines = [f"POST {path} HTTP/1.1", f"Host: localhost:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = b""
        while b"\r\n" not in answer:
            answer += self._tls.recv(65536)
        return int(answer.split(b" ", 2)[1])

    def close(self) -> None:
        """End it."""
        self._tls.shutdown()
        self._plain.close()


def test_the_certificate_has_the_names_of_a_request_with_a_password(site: Site) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = site.folder / "tied.csr"
    password = secret_of(site)
    csr.write_bytes(with_attributes(key, {CHALLENGE_PASSWORD: password}, name="tied.example.test"))
    status, chain = post(site, "challenge", csr, version="1.3")
    assert status == 200, chain
    certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["tied.example.test"]
    assert certificate.public_key() == key.public_key()
