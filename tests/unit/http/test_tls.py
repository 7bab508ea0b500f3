"""TLS files and their faults, and two TLS ends in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from OpenSSL import SSL

from cspd.http.config import TLSConfig
from cspd.http.hostnames import unmatched
from cspd.http.selfsigned import self_signed
from cspd.http.tls import Credentials, ServerTLS, TLSProblems, load_credentials, peer_certificates
from tests.unit.http.certificates import CLIENT_AUTH, SERVER_AUTH, Party, make

ROOT = make("root", is_ca=True)
ISSUING = make("issuing", ROOT, is_ca=True)
SERVER = make("server", ISSUING, names=["a.example", "192.0.2.1"], usage=SERVER_AUTH)
NOW = datetime.now(UTC)  # noqa: TID251  # OpenSSL looks at the real time


@dataclass
class Files:
    """What conf would name."""

    folder: Path

    def load(
        self,
        *chain: Party,
        key: bytes | None = None,
        passphrase: bytes | None = None,
        **config: Any,
    ) -> Credentials:
        (self.folder / "server.pem").write_bytes(b"".join(party.pem for party in chain))
        (self.folder / "server.key").write_bytes(key if key is not None else chain[0].key_pem())
        section = TLSConfig.model_validate({"certificate": "server.pem", "key": "server.key", **config})
        return load_credentials(section, now=NOW, passphrase=passphrase, directory=self.folder)

    def faults(self, *chain: Party, **options: Any) -> list[str]:
        with pytest.raises(TLSProblems) as refused:
            self.load(*chain, **options)
        assert all(str(self.folder) in problem.file for problem in refused.value.problems)
        return [problem.reason for problem in refused.value.problems]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


# Reading and checking.


@pytest.mark.requirement("R-CEG-153")
@pytest.mark.requirement("R-PLAT-021")
def test_leaf_first_is_accepted(files: Files) -> None:
    for chain in ((SERVER,), (SERVER, ISSUING), (SERVER, ISSUING, ROOT)):
        credentials = files.load(*chain, host_names=("a.example", "192.0.2.1"))
        assert credentials.certificate == SERVER.certificate
        assert credentials.chain == tuple(party.certificate for party in chain[1:])


@pytest.mark.requirement("R-CEG-153")
@pytest.mark.requirement("R-PLAT-021")
@pytest.mark.parametrize("chain", [(ISSUING, SERVER), (SERVER, ROOT, ISSUING), (SERVER, ROOT), (SERVER, SERVER)])
def test_wrong_order_is_refused(files: Files, chain: tuple[Party, ...]) -> None:
    assert any("the server's comes first, then its issuer" in fault for fault in files.faults(*chain))


@pytest.mark.requirement("R-PLAT-021")
def test_chain_without_its_leaf_is_refused(files: Files) -> None:
    assert files.faults(ISSUING, ROOT) == ["the first certificate is a CA's: the server's comes first"]


@pytest.mark.requirement("R-CEG-153")
@pytest.mark.requirement("R-PLAT-021")
def test_key_of_another_certificate_is_refused(files: Files) -> None:
    (fault,) = files.faults(SERVER, key=ISSUING.key_pem())
    assert fault == f"the first certificate is not for the key in {files.folder / 'server.key'}"


@pytest.mark.requirement("R-PLAT-021")
def test_expired_and_early_certificates_are_refused(files: Files) -> None:
    expired = make("server", days=(-9, -1))
    (fault,) = files.faults(expired)
    assert fault.startswith("certificate 1 (CN=server) expired on 20")
    early = make("server", days=(1, 9))
    (fault,) = files.faults(early)
    assert fault.startswith("certificate 1 (CN=server) is not valid before 20")
    old_root = make("root", is_ca=True, days=(-9, -1))
    (fault,) = files.faults(make("server", old_root), old_root)
    assert fault.startswith("certificate 2 (CN=root) expired on 20")


@pytest.mark.requirement("R-PLAT-021")
def test_certificate_of_another_host_is_refused(files: Files) -> None:
    faults = files.faults(SERVER, host_names=("a.example", "b.example", "192.0.2.2"))
    assert faults == ["is not for b.example, 192.0.2.2, but for a.example, 192.0.2.1"]


def test_certificate_for_clients_is_refused(files: Files) -> None:
    assert files.faults(make("server", usage=CLIENT_AUTH)) == [
        "the first certificate's extended key usage does not allow TLS servers"
    ]


@pytest.mark.requirement("R-PLAT-022")
@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["RSA 2048", "P-256", "P-384"],
)
def test_strong_keys_are_accepted_in_every_form(files: Files, key: Any) -> None:
    party = make("server", key=key)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        assert files.load(party, key=party.key_pem(form=form)).certificate == party.certificate


@pytest.mark.requirement("R-PLAT-022")
@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits: at least 2048"),
        (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1: P-256, P-384 or P-521"),
        (dsa.generate_private_key(2048), "TLS needs an RSA, ECDSA or EdDSA key"),
    ],
    ids=["RSA 1024", "secp256k1", "DSA"],
)
def test_weak_and_foreign_keys_are_refused(files: Files, key: Any, fault: str) -> None:
    assert files.faults(SERVER, key=Party(SERVER.certificate, key).key_pem()) == [fault]


@pytest.mark.requirement("R-PLAT-024")
def test_encrypted_key_needs_its_passphrase(files: Files) -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        key = SERVER.key_pem(b"correct", form)
        (fault,) = files.faults(SERVER, key=key)
        assert fault == "the key is encrypted: passphrase has to say where its passphrase is"
        (fault,) = files.faults(SERVER, key=key, passphrase=b"wrong")
        assert fault == "the passphrase is wrong, or the key is damaged"
        assert files.load(SERVER, key=key, passphrase=b"correct").certificate == SERVER.certificate


def test_files_that_are_none_are_named(files: Files) -> None:
    section = TLSConfig(certificate="none.pem", key="none.key")
    with pytest.raises(TLSProblems) as refused:
        load_credentials(section, now=NOW, directory=files.folder)
    assert str(refused.value) == (
        f"{files.folder}/none.pem: cannot be read: No such file or directory; "
        f"{files.folder}/none.key: cannot be read: No such file or directory"
    )


def test_all_problems_are_told(files: Files) -> None:
    expired = make("server", ISSUING, names=["b.example"], days=(-9, -1))
    assert len(files.faults(expired, ROOT, key=b"nonsense", host_names=("a.example",))) == 4


def test_key_is_not_printed() -> None:
    assert "private_key" not in repr(Credentials(SERVER.certificate, (), SERVER.key))


# Host names.


@pytest.mark.requirement("R-PLAT-023")
def test_common_name_counts_only_without_alternative_names() -> None:
    assert unmatched(make("a.example").certificate, ["A.Example."]) == ()
    assert unmatched(make("a.example", names=["b.example"]).certificate, ["a.example"]) == ("a.example",)


@pytest.mark.parametrize(
    ("name", "host", "is_for"),
    [
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "a.b.example.org", False),
        ("*.org", "a.org", False),
        ("a.example.org", "A.EXAMPLE.ORG", True),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("192.0.2.1", "192.0.2.10", False),
    ],
)
def test_names_match_as_rfc_9525_says(name: str, host: str, is_for: bool) -> None:
    assert (unmatched(make("x", names=[name]).certificate, [host]) == ()) == is_for


# Self-signed and expiry.


@pytest.mark.requirement("R-PLAT-020")
def test_self_signed_is_for_host_names_and_addresses(files: Files) -> None:
    credentials = self_signed(["host.example"], ["192.0.2.1", "::1"], now=NOW)
    names = credentials.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["host.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.1"), ip_address("::1")]
    assert credentials.is_self_signed
    (files.folder / "a.pem").write_bytes(credentials.certificate_pem())
    (files.folder / "a.key").write_bytes(credentials.private_key_pem())
    section = TLSConfig(certificate="a.pem", key="a.key", host_names=("host.example", "::1"))
    assert load_credentials(section, now=NOW, directory=files.folder).certificate == credentials.certificate


@pytest.mark.requirement("R-CEG-155")
@pytest.mark.requirement("R-PLAT-030")
def test_expiry_is_that_of_the_first_to_end_and_the_warning_is_configurable() -> None:
    issuer = make("issuing", is_ca=True, days=(-1, 20))
    credentials = Credentials(make("server", issuer).certificate, (issuer.certificate,), SERVER.key)
    assert credentials.expires == issuer.certificate.not_valid_after_utc
    tls = ServerTLS(replace(credentials, private_key=SERVER.key, certificate=SERVER.certificate), TLSConfig())
    assert tls.expires == issuer.certificate.not_valid_after_utc
    assert tls.expires_soon(NOW)
    tls = ServerTLS(tls.credentials, TLSConfig.model_validate({"expiry_warning": "5d"}))
    assert not tls.expires_soon(tls.expires - timedelta(days=5, seconds=1))
    assert tls.expires_soon(tls.expires - timedelta(days=5))


# Two ends in memory.


@dataclass
class Ended:
    """A handshake that is over."""

    client: SSL.Connection
    server: SSL.Connection

    def getHandle(self) -> SSL.Connection:
        """As the server's transport does."""
        return self.server


def shake_hands(tls: ServerTLS, configure: Callable[[SSL.Context], Any] = lambda _: None) -> Ended:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    configure(context)
    client, server = SSL.Connection(context, None), tls.serverConnectionForTLS(None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(6):
        for here, there in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                here.do_handshake()
            with suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65536))
    client.do_handshake()
    server.do_handshake()
    return Ended(client, server)


def tls_of(folder: Path | None = None, **config: Any) -> ServerTLS:
    chain = (ISSUING.certificate, ROOT.certificate)
    section = TLSConfig.model_validate(config)
    return ServerTLS(Credentials(SERVER.certificate, chain, SERVER.key), section, directory=folder or Path())


@pytest.mark.requirement("R-PLAT-029")
def test_configured_chain_is_sent() -> None:
    ended = shake_hands(tls_of())
    sent = ended.client.get_peer_cert_chain(as_cryptography=True)
    assert sent == [SERVER.certificate, ISSUING.certificate, ROOT.certificate]
    assert peer_certificates(ended) == ()


@pytest.mark.requirement("R-PLAT-025")
@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_obsolete_versions_are_refused_unless_enabled(version: int) -> None:
    def speak_only(context: SSL.Context) -> None:
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)

    with pytest.raises(SSL.Error):
        shake_hands(tls_of(), speak_only)
    enabled = tls_of(minimum_version="1.0", allow_obsolete_versions=True)
    assert shake_hands(enabled, speak_only).client.get_protocol_version() == version


@pytest.mark.requirement("R-PLAT-025")
@pytest.mark.requirement("R-PLAT-026")
@pytest.mark.parametrize("suite", [b"AES128-SHA", b"AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-SHA"])
def test_suites_without_aead_or_forward_secrecy_are_no_default(suite: bytes) -> None:
    def speak_only(context: SSL.Context) -> None:
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(suite + b":@SECLEVEL=0")

    with pytest.raises(SSL.Error):
        shake_hands(tls_of(), speak_only)


@pytest.mark.requirement("R-PLAT-026")
def test_default_suites_have_aead_and_forward_secrecy() -> None:
    suites = tls_of().serverConnectionForTLS(None).get_cipher_list()
    assert suites
    for suite in suites:
        assert suite.startswith(("TLS_", "ECDHE-")), suite
        assert "GCM" in suite or "CHACHA20" in suite, suite


@pytest.mark.requirement("R-PLAT-026")
def test_suites_are_configurable() -> None:
    def speak_1_2(context: SSL.Context) -> None:
        context.set_max_proto_version(SSL.TLS1_2_VERSION)

    only = tls_of(ciphers="ECDHE-ECDSA-AES128-SHA")
    assert shake_hands(only, speak_1_2).client.get_cipher_name() == "ECDHE-ECDSA-AES128-SHA"
    with pytest.raises(TLSProblems, match="knows no suite"):
        tls_of(ciphers="NONSENSE")


def test_http_1_1_is_negotiated() -> None:
    ended = shake_hands(tls_of(), lambda context: context.set_alpn_protos([b"h2", b"http/1.1"]))
    assert ended.client.get_alpn_proto_negotiated() == b"http/1.1"


def test_client_certificate_is_verified_and_given_with_its_chain(tmp_path: Path) -> None:
    (tmp_path / "trust.pem").write_bytes(ROOT.pem)
    client = make("client", ISSUING, usage=CLIENT_AUTH)

    def show(context: SSL.Context) -> None:
        context.use_certificate(client.certificate)
        context.add_extra_chain_cert(ISSUING.certificate)
        context.use_privatekey(client.key)

    for mode in ("optional", "required"):
        tls = tls_of(tmp_path, client_certificates=mode, client_trust="trust.pem")
        assert peer_certificates(shake_hands(tls, show)) == (client.der, ISSUING.der)


def test_optional_and_required_differ_without_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "trust.pem").write_bytes(ROOT.pem)
    assert (
        peer_certificates(shake_hands(tls_of(tmp_path, client_certificates="optional", client_trust="trust.pem"))) == ()
    )
    with pytest.raises(SSL.Error):
        shake_hands(tls_of(tmp_path, client_certificates="required", client_trust="trust.pem"))


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_client_certificate_of_others_is_refused(tmp_path: Path, mode: str) -> None:
    (tmp_path / "trust.pem").write_bytes(ISSUING.pem)  # an issuing CA may be the anchor
    tls = tls_of(tmp_path, client_certificates=mode, client_trust="trust.pem")

    def show(party: Party) -> Callable[[SSL.Context], None]:
        def configure(context: SSL.Context) -> None:
            context.use_certificate(party.certificate)
            context.use_privatekey(party.key)

        return configure

    shake_hands(tls, show(make("client", ISSUING)))
    stranger = make("issuing", is_ca=True)
    for party in (
        make("client"),
        make("client", stranger),
        make("client", ISSUING, days=(-9, -1)),
        make("client", ISSUING, usage=SERVER_AUTH),
    ):
        with pytest.raises(SSL.Error):
            shake_hands(tls, show(party))


def test_clients_may_have_their_cas_in_several_files(tmp_path: Path) -> None:
    """The same CA in two of them is one CA."""
    maker = make("maker", is_ca=True)
    (tmp_path / "ours.pem").write_bytes(ROOT.pem)
    (tmp_path / "makers.pem").write_bytes(maker.pem + ROOT.pem)
    tls = tls_of(tmp_path, client_certificates="optional", client_trust=["ours.pem", "makers.pem"])
    for issuer in (ROOT, maker):
        client = make("client", issuer, usage=CLIENT_AUTH)

        def show(context: SSL.Context, client: Party = client) -> None:
            context.use_certificate(client.certificate)
            context.use_privatekey(client.key)

        ended = shake_hands(tls, show)
        assert peer_certificates(ended) == (client.der,)
        assert len(ended.client.get_client_ca_list()) == 2


@pytest.mark.parametrize("is_pem", [False, True])
def test_trust_file_has_to_hold_certificates(tmp_path: Path, is_pem: bool) -> None:
    der = ISSUING.certificate.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09")
    of_version_10 = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    (tmp_path / "trust.pem").write_bytes(of_version_10 if is_pem else b"nothing")
    with pytest.raises(TLSProblems, match=r"trust\.pem: is not a PEM file of certificates"):
        tls_of(tmp_path, client_certificates="required", client_trust="trust.pem")


@pytest.mark.requirement("R-PLAT-027")
def test_replaced_credentials_are_for_new_connections() -> None:
    tls = tls_of()
    before = shake_hands(tls)
    other = make("other")
    tls.replace(Credentials(other.certificate, (), other.key), TLSConfig())
    after = shake_hands(tls)
    assert after.client.get_peer_certificate(as_cryptography=True) == other.certificate
    before.client.send(b"still here")
    before.server.bio_write(before.client.bio_read(65536))
    assert before.server.recv(100) == b"still here"


@pytest.mark.requirement("R-PLAT-027")
def test_replacement_that_fails_changes_nothing() -> None:
    tls = tls_of()
    with pytest.raises(TLSProblems):
        tls.replace(tls.credentials, TLSConfig(ciphers="NONSENSE"))
    assert tls.config.ciphers is None
    assert shake_hands(tls).client.get_peer_certificate(as_cryptography=True) == SERVER.certificate


def test_self_signed_serves() -> None:
    credentials = self_signed(["a.example"], [], now=NOW)
    ended = shake_hands(ServerTLS(credentials, TLSConfig()))
    der = ended.client.get_peer_certificate(as_cryptography=True)
    assert der is not None
    assert der.public_bytes(Encoding.PEM) == credentials.certificate_pem()
