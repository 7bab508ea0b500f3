"""rr, genm and ccr against the real daemon: by ``openssl cmp``, and by the codec for what that does not know."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cspd.x509.crmf.messages import CertTemplate
from cspd.x509.general_name_encoding import encode_general_names
from protocols.cmp import info_types
from protocols.cmp.info_types import CRLStatus
from protocols.cmp.messages import (
    BodyType,
    GenMsgContent,
    InfoTypeAndValue,
    PKIBody,
    RevDetails,
    RevRepContent,
    RevReqContent,
)
from protocols.cmp.status import PKIStatus
from tests.support.cmp_client import ByMAC, BySignature, CMPClient, certificate, info_of, requests, said, signed_request
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ocsp_status
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

PROFILE, CA_PROFILE = "cmp-digital-signature", "azure-firewall-ca-subord"
CMC_RA = "1.3.6.1.5.5.7.3.28"
FIXED = {
    "protocols.cmp.profiles": [PROFILE, CA_PROFILE],
    "protocols.cmp.registration_authorities": [{"profile": PROFILE}],
    "listeners.http.protocols": ["monitoring", "ocsp", "repository", "cmp"],
}


class Site:
    """A server, and a folder for a client's files."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        self.issuing = x509.load_pem_x509_certificate(daemon.issuing_pem.read_bytes())
        self.root = x509.load_pem_x509_certificate(daemon.root_pem.read_bytes())

    def secret(self, identity: str, ca: str = "demo~issuing", profile: str = PROFILE) -> tuple[str, str]:
        """Reference number and secret, for any number of certificates."""
        made = self.daemon.cspctl_json(
            *("cmp", "secret", "create", identity, "--reusable", "--ca", ca, "--profile", profile)
        )
        return made["reference"], made["secret"]

    def url(self, ca: str = "demo~issuing", profile: str = PROFILE) -> str:
        return f"{self.daemon.http_url}/cmp/demo/{ca}/{profile}"

    def send(self, url: str) -> Callable[[bytes], bytes]:
        def send(message_der: bytes) -> bytes:
            request = urllib.request.Request(url, message_der, {"Content-Type": "application/pkixcmp"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        return send

    def openssl(self, command: str, *options: str | Path, expect: int = 0) -> str:
        """``openssl cmp``; what it said."""
        fixed = [program("openssl"), "cmp", "-config", "", "-cmd", command, "-server", self.url()]
        done = run([*fixed, "-trusted", self.daemon.root_pem, *options], expect=expect)
        return done.stdout

    def enroll(self, name: str, secret: tuple[str, str], *extensions: str) -> tuple[Path, Path]:
        """A certificate and its key, PEM, by a p10cr."""
        key, csr, pem = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "pem"))
        new_key = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
        added = [part for each in extensions for part in ("-addext", each)]
        run([program("openssl"), "req", *new_key, "-subj", f"/CN={name}", *added, "-out", csr])
        self.openssl("p10cr", "-csr", csr, "-certout", pem, *by_secret(secret))
        return pem, key

    def ocsp(self, pem: Path) -> str:
        leaf = x509.load_pem_x509_certificate(pem.read_bytes())
        return ocsp_status(self.daemon.http_url, leaf, self.issuing)


def by_secret(secret: tuple[str, str]) -> list[str]:
    reference, password = secret
    return ["-ref", reference, "-secret", f"pass:{password}"]


@contextmanager
def site_of(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "client"
    folder.mkdir()
    with Daemon(tmp_path, changes=FIXED) as daemon:
        yield Site(daemon, folder)


def genm(*items: InfoTypeAndValue) -> PKIBody:
    return PKIBody(BodyType.GENM, GenMsgContent(items))


def test_openssl_revokes_holds_and_releases(tmp_path: Path) -> None:
    """OCSP shows each change at once."""
    with site_of(tmp_path) as site:
        secret = site.secret("device")
        device, device_key = site.enroll("device", secret)
        authority, authority_key = site.enroll("registration", site.secret("ra"), f"extendedKeyUsage={CMC_RA}")
        by_authority = ["-cert", authority, "-key", authority_key]
        assert site.ocsp(device) == "good"
        site.openssl("rr", "-oldcert", device, "-revreason", "6", *by_secret(secret))
        assert site.ocsp(device) == "revoked"
        refused = site.openssl("rr", "-oldcert", device, "-revreason", "8", *by_secret(secret), expect=1)
        assert "notAuthorized" in refused
        site.openssl("rr", "-oldcert", device, "-revreason", "8", *by_authority)
        assert site.ocsp(device) == "good"
        refused = site.openssl("rr", "-oldcert", authority, "-revreason", "1", *by_secret(secret), expect=1)
        assert "notAuthorized" in refused
        own = ["-cert", device, "-key", device_key]
        site.openssl("rr", "-oldcert", device, "-revreason", "4", *own)
        assert site.ocsp(device) == "revoked"
        again = site.openssl("rr", "-oldcert", device, "-revreason", "4", *by_authority, expect=1)
        assert "certRevoked" in again
        wrong_issuer = site.openssl("rr", "-oldcert", site.daemon.issuing_pem, *by_authority, expect=1)
        assert "wrongAuthority" in wrong_issuer


@pytest.mark.parametrize("protected_by", ["secret", "certificate"])
def test_openssl_asks(tmp_path: Path, protected_by: str) -> None:
    with site_of(tmp_path) as site:
        protection: list[str | Path] = [*by_secret(site.secret("device"))]
        if protected_by == "certificate":
            device, device_key = site.enroll("device", site.secret("other"))
            protection = ["-cert", device, "-key", device_key]
        for name in ("signKeyPairTypes", "caCerts", "currentCRL", "preferredSymmAlg", "caProtEncCert"):
            said_by_openssl = site.openssl("genm", "-infotype", name, *protection)
            assert f"id-it-{name}" in said_by_openssl, said_by_openssl
        said_by_openssl = site.openssl("genm", "-infotype", "revPassphrase", *protection)
        assert "id-it-unsupportedOIDs" in said_by_openssl, said_by_openssl


def test_what_openssl_does_not_ask(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        reference, password = site.secret("device")

        def ask(*items: InfoTypeAndValue) -> tuple[InfoTypeAndValue, ...]:
            client = CMPClient(site.send(site.url()), ByMAC(reference, password.encode()))
            content = client.ask(genm(*items)).body.content
            assert isinstance(content, GenMsgContent), content
            return content.items

        [crls] = ask(info_types.crl_status_list([crl_of(site.issuing.subject)]))
        [crl_der] = info_types.read_structures(crls)
        crl = x509.load_der_x509_crl(crl_der)
        known = CRLStatus(issuer_der=crl_of(site.issuing.subject).issuer_der, this_update=crl.last_update_utc)
        # the daemon may publish another one at any time
        for newer in ask(info_types.crl_status_list([known])):
            if newer.info_value_der:
                [newer_der] = info_types.read_structures(newer)
                assert x509.load_der_x509_crl(newer_der).last_update_utc > crl.last_update_utc
        template, unsupported = ask(InfoTypeAndValue("1.2.3"), InfoTypeAndValue(info_types.CERT_REQ_TEMPLATE))
        assert info_types.read_cert_req_template(template).key_spec_der
        assert info_types.read_unsupported_oids(unsupported) == ("1.2.3",)
        root_der = site.root.public_bytes(Encoding.DER)
        assert ask(InfoTypeAndValue(info_types.ROOT_CA_CERT, root_der)) == (
            InfoTypeAndValue(info_types.ROOT_CA_KEY_UPDATE),
        )
        site.daemon.cspctl("ca", "renew", "demo~root", "--rekey")
        [answer] = ask(InfoTypeAndValue(info_types.ROOT_CA_CERT, root_der))
        update = info_types.read_root_ca_key_update(answer)
        new = x509.load_der_x509_certificate(update.new_with_new_der)
        x509.load_der_x509_certificate(update.new_with_old_der).verify_directly_issued_by(site.root)
        x509.load_der_x509_certificate(update.old_with_new_der).verify_directly_issued_by(new)


def test_several_revocations_in_one_message(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        secret = site.secret("device")
        pem, key = site.enroll("device", secret)
        device = x509.load_pem_x509_certificate(pem.read_bytes())
        private_key = load_pem_private_key(key.read_bytes(), None)
        assert isinstance(private_key, ec.EllipticCurvePrivateKey)
        client = CMPClient(site.send(site.url()), BySignature(private_key, device.public_bytes(Encoding.DER)))
        details = (
            RevDetails(CertTemplate(issuer=site.issuing.subject, serial_number=4711)),
            RevDetails(CertTemplate(issuer=site.issuing.subject, serial_number=device.serial_number)),
        )
        answer = client.ask(PKIBody(BodyType.RR, RevReqContent(details)))
        assert isinstance(answer.body.content, RevRepContent), said(answer)
        assert [each.status for each in answer.body.content.status] == [PKIStatus.REJECTION, PKIStatus.ACCEPTED]
        assert [each.serial_number for each in answer.body.content.rev_certs] == [4711, device.serial_number]
        assert site.ocsp(pem) == "revoked"


def test_a_ca_elsewhere_is_certified(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        reference, password = site.secret("partner", "demo~root", CA_PROFILE)
        url = site.url("demo~root", CA_PROFILE)
        key = ec.generate_private_key(ec.SECP256R1())
        client = CMPClient(site.send(url), ByMAC(reference, password.encode()))
        answer = client.ask(requests(BodyType.CCR, signed_request(key, "CA elsewhere")))
        assert answer.body.type is BodyType.CCP, said(answer)
        assert info_of(answer, info_types.IMPLICIT_CONFIRM) is not None
        cross = certificate(answer)
        cross.verify_directly_issued_by(site.root)
        assert cross.public_key() == key.public_key()
        assert cross.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert ocsp_status(site.daemon.http_url, cross, site.root, ca="demo/root") == "good"


def crl_of(issuer: x509.Name) -> CRLStatus:
    return CRLStatus(issuer_der=encode_general_names([x509.DirectoryName(issuer)]))
