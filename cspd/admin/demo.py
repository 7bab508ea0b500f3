"""The demonstration: a two-tier PKI that works at once, with settings that production refuses.

Nothing in it is a default: every secret is made at random, and the folder is made once.
"""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from secrets import token_hex, token_urlsafe

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cspd.admin.installation import write_private
from cspd.authentication.secrets import GivenSecret
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.new_authorities import NewIssuingCA, NewRoot
from cspd.authority.profiles import load_profiles
from cspd.authority.values import AuthorityKind, CAReference, EnrollmentRequest, Issued, Requester
from cspd.config.model import RootConfig
from cspd.config.secrets import Secrets, SecretStore
from cspd.config.shipped import shipped_profiles
from cspd.daemon.authority_services import build_authority_services
from cspd.daemon.core import Core
from cspd.daemon.offline import offline_core, run
from cspd.keys.values import KeyType

ORGANIZATION = "demo"
TENANT = "demo"
ROOT = CAReference(ORGANIZATION, "root")
ISSUING = CAReference(ORGANIZATION, "issuing")
TLS_PROFILE = "tls-server"
EST_LABEL = "demo"
EST_PROFILE = "tls-client"
EST_USER = "demo"
EST_PASSWORD = "est-password"  # noqa: S105  # the id of the secret
CMP_LABEL = "demo"
CMP_PROFILE = "tls-client"
CMP_REFERENCE = "demo"
CMP_SECRET_FILE = "cmp-secret"  # noqa: S105  # where the demonstration keeps it
SCEP_PROFILES = (
    "scep-digital-signature-key-encipherment",
    "scep-digital-signature",
    "scep-key-encipherment",
    "scep-non-repudiation",
)
SCEP_CHALLENGE = "scep-challenge"
"""The id of the secret, and the file where the demonstration keeps it for commands."""
MDM_DIGITAL_ID = "demo-device"
MDM_PROFILE = "mdmws-p12-digital-signature-key-encipherment"
MDM_USER = "demo"
MDM_PASSWORD = "mdm-password"  # noqa: S105  # the id of the secret
WSTEP_USER = "demo"
WSTEP_PASSWORD = "wstep-password"  # noqa: S105  # the id of the secret
_CMP_LIFETIME = timedelta(days=3650)
_CMP_TRIES = 1_000_000
TSA_ISSUER = "demo"
TSA_POLICY = "1.3.6.1.4.1.32473.1"
"""Of the arc for documentation (RFC 5612)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A PKCS#11 token that keeps the CAs' keys."""

    module: str
    label: str
    pin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What ``cspctl init --demo`` can be told."""

    bind: str = "127.0.0.1"
    hostname: str = "localhost"
    http_port: int = 8080
    https_port: int = 8443
    store_url: str = "sqlite:///store.sqlite"
    token: Token | None = None


def fill_demo(folder: Path, options: DemoOptions, *, user: str) -> None:
    """Make the demonstration in an empty folder; raises Refused, ValueError, OSError for what does not work."""
    state, pki = folder / "state", folder / "pki"
    for each in (state, pki, folder / "conf.d"):
        each.mkdir(mode=0o700)
    store = SecretStore(state / "secrets")
    store.set("software-master-key", token_hex(32).encode())
    est_password = token_urlsafe(24)
    store.set(EST_PASSWORD, est_password.encode())
    cmp_secret = GivenSecret(CMP_REFERENCE, token_urlsafe(24))
    write_private(folder / CMP_SECRET_FILE, f"{cmp_secret.secret}\n".encode())
    scep_challenge = token_urlsafe(24)
    store.set(SCEP_CHALLENGE, scep_challenge.encode())
    write_private(folder / SCEP_CHALLENGE, f"{scep_challenge}\n".encode())
    mdm_password = token_urlsafe(24)
    store.set(MDM_PASSWORD, mdm_password.encode())
    wstep_password = token_urlsafe(24)
    store.set(WSTEP_PASSWORD, wstep_password.encode())
    if options.token is not None:
        store.set("token-pin", options.token.pin.encode())
    text = demo_configuration(options)
    write_private(folder / "cspd.toml", text.encode(), 0o640)
    root = RootConfig.model_validate(tomllib.loads(text))
    secrets = Secrets(folder=folder, store=store, environment={})
    with offline_core(root, state=state, secrets=secrets) as core:
        run(_make_pki(core, pki, options, cmp_secret, Requester(protocol="cspctl", identity=user)))
    facts = _demo_facts(
        options,
        est_password=est_password,
        cmp_secret=cmp_secret.secret,
        scep_challenge=scep_challenge,
        mdm_password=mdm_password,
        wstep_password=wstep_password,
    )
    write_private(folder / "demo.toml", facts.encode())


async def _make_pki(core: Core, pki: Path, options: DemoOptions, cmp_secret: GivenSecret, requester: Requester) -> None:
    await core.keys.start()
    profiles = load_profiles([shipped_profiles()])
    services = build_authority_services(core, profiles, is_tenant=lambda name: name == requester.identity)
    await services.organizations.create(ORGANIZATION, requester)
    administrators = (requester.identity,)
    top = await services.creation.create_root(
        NewRoot(
            reference=ROOT,
            key_type=KeyType.EC_P384,
            subject=_name("cspd demo root"),
            administrators=administrators,
            crl_days=7,
        ),
        requester,
    )
    issuing = await services.creation.create_issuing(
        NewIssuingCA(
            reference=ISSUING,
            issuer=ROOT.ca_id,
            key_type=KeyType.EC_P256,
            subject=_name("cspd demo issuing"),
            profiles=tuple(each.id for each in profiles.values() if each.may_be_enabled_on(AuthorityKind.ISSUING)),
            administrators=administrators,
            ocsp_key_type=KeyType.EC_P256,
            crl_days=1,
            delta_crl_hours=1,
        ),
        requester,
    )
    assert top.certificate_der is not None
    assert issuing.certificate_der is not None
    (pki / "root.pem").write_bytes(_pem([top.certificate_der]))
    (pki / "issuing.pem").write_bytes(_pem([issuing.certificate_der]))
    await _make_tls_certificate(core.issuance(profiles), pki, options, requester)
    await core.enrollment_secrets.create(
        purpose="cmp",
        identity="demo",
        lifetime=_CMP_LIFETIME,
        by=requester,
        ca=ISSUING,
        one_time=False,
        tries=_CMP_TRIES,
        given=cmp_secret,
    )
    await core.keys.stop()


async def _make_tls_certificate(
    pipeline: IssuancePipeline, pki: Path, options: DemoOptions, requester: Requester
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(("localhost", options.hostname))]
    addresses = dict.fromkeys(("127.0.0.1", options.bind))
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses if each not in ("0.0.0.0", "::")]  # noqa: S104  # not bound, left out
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, options.hostname)]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    issued = await pipeline.enroll(
        EnrollmentRequest(
            ca=ISSUING, profile=TLS_PROFILE, requester=requester, csr_der=request.public_bytes(Encoding.DER)
        )
    )
    assert isinstance(issued, Issued)
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(pki / "tls.key", key_pem)
    (pki / "tls.pem").write_bytes(_pem([issued.certificate_der, *issued.chain_der]))


def demo_configuration(options: DemoOptions) -> str:
    """The text of the demonstration's ``cspd.toml``."""
    interface = f"[{options.bind}]" if ":" in options.bind else options.bind
    return f'''\
# The demonstration that `cspctl init --demo` made. What it allows is for trying out only.
# The reference configuration, conf/cspd.toml, explains every key.

[server]
mode = "demo"
hostname = "{options.hostname}"
public_http = "http://{options.hostname}:{options.http_port}"
public_https = "https://{options.hostname}:{options.https_port}"
trust_anchor = "pki/root.pem"
state = "state"

[tenants]
ids = ["{TENANT}"]

[log]
format = "text"

[store]
{_store(options)}
[keys]
default = "{"token" if options.token else "software"}"

[keys.software]
master_key = {{ store = "software-master-key" }}
{_token(options)}
[listeners.http]
endpoint = "tcp:{options.http_port}:interface={interface}"
protocols = ["cmp", "monitoring", "ocsp", "repository", "scep", "tsp"]

[listeners.https]
endpoint = "tcp:{options.https_port}:interface={interface}"
protocols = ["acme", "cmp", "est", "mdm", "ocsp", "repository", "scep", "tsp", "wstep"]

[listeners.https.tls]
certificate = "pki/tls.pem"
key = "pki/tls.key"
# EST clients renew by the certificate that they have.
client_certificates = "optional"
client_trust = "pki/issuing.pem"

[protocols.acme]
profiles = ["tls-server", "privatessl-tls-server"]
# Validation on loopback and the name localhost, so that `lego -d localhost` works at once.
allow_addresses = ["127.0.0.0/8"]
single_label_names = ["localhost"]

[authentication.demo]

[[authentication.demo.users]]
name = "{EST_USER}"
password = {{ store = "{EST_PASSWORD}" }}

[authentication.mdm]

[[authentication.mdm.users]]
name = "{MDM_USER}"
password = {{ store = "{MDM_PASSWORD}" }}

[authentication.wstep]

[[authentication.wstep.users]]
name = "{WSTEP_USER}"
password = {{ store = "{WSTEP_PASSWORD}" }}

[digital_ids]
token_lifetime = "1h"
cleanup_schedule = "0 30 * * * *"
allow_server_made_verification_keys = true

[[digital_ids.configurations]]
name = "{MDM_DIGITAL_ID}"
ca = "{ISSUING}"
profile = "{MDM_PROFILE}"
parent_dn = "ou=Devices,o=cspd demo"
rdn_format = "cn=<user> <device>"

[protocols.cmp]
profiles = ["{CMP_PROFILE}"]
default_label = "{CMP_LABEL}"
key_generation = true

[[protocols.cmp.labels]]
id = "{CMP_LABEL}"
ca = "{ISSUING}"
profile = "{CMP_PROFILE}"

[protocols.est]
users = ["demo"]
profiles = ["{EST_PROFILE}"]
default_label = "{EST_LABEL}"
server_key_generation = true

[[protocols.est.labels]]
id = "{EST_LABEL}"
ca = "{ISSUING}"
profile = "{EST_PROFILE}"

[protocols.mdm]
users = ["mdm"]

[protocols.monitoring]

[protocols.ocsp]

[protocols.repository]

[protocols.scep]
profiles = {json.dumps(SCEP_PROFILES)}

[[protocols.scep.services]]
ca = "{ISSUING}"
challenge = {{ store = "{SCEP_CHALLENGE}" }}

[[protocols.scep.registration_authorities]]
ca = "{ISSUING}"

# Not every machine has chrony: the demo takes the machine's clock as it is.
[protocols.tsp.clock]
source = "system"
poll_interval = "10s"
max_error = "500ms"

[[protocols.tsp.issuers]]
id = "{TSA_ISSUER}"

[protocols.tsp.issuers.profile]
policy = "{TSA_POLICY}"
accuracy = "1s"

[protocols.tsp.issuers.certification]
ca = "{ISSUING}"
subject = "CN=cspd demo time-stamp unit,O=cspd demo"

# Without a directory: static users get certificates of their names.
[protocols.wstep]
users = ["wstep"]

[protocols.wstep.policy]
friendly_name = "cspd demo"

[[protocols.wstep.services]]
ca = "{ISSUING}"

[protocols.wstep.services.templates]
WSTEPUser = "wstep-digital-signature"
'''


def _store(options: DemoOptions) -> str:
    tls = '\ntls = { mode = "disable" }' if options.store_url.startswith("postgresql") else ""
    return f"url = {json.dumps(options.store_url)}{tls}\n"


def _token(options: DemoOptions) -> str:
    if options.token is None:
        return ""
    return f"""
[keys.pkcs11.token]
module = {json.dumps(options.token.module)}
token_label = {json.dumps(options.token.label)}
pin = {{ store = "token-pin" }}
"""


def _demo_facts(
    options: DemoOptions,
    *,
    est_password: str,
    cmp_secret: str,
    scep_challenge: str,
    mdm_password: str,
    wstep_password: str,
) -> str:
    base = f"https://{options.hostname}:{options.https_port}"
    return f'''\
# Made at random by `cspctl init --demo`; of this demonstration alone.
trust_anchor = "pki/root.pem"
tenant = "{TENANT}"
acme_directory = "{base}/acme/{TENANT}/{ISSUING}/{TLS_PROFILE}/directory"
est = "{base}/.well-known/est/{EST_LABEL}"
est_user = "{EST_USER}"
cmp = "http://{options.hostname}:{options.http_port}/.well-known/cmp/p/{CMP_LABEL}"
cmp_reference = "{CMP_REFERENCE}"
mdm = "{base}/mdm/services/{TENANT}"
mdm_user = "{MDM_USER}"
mdm_digital_id = "{MDM_DIGITAL_ID}"
scep = "http://{options.hostname}:{options.http_port}/scep/{TENANT}/{ISSUING}/{SCEP_PROFILES[0]}/"
timestamps = "http://{options.hostname}:{options.http_port}/tsa/{TSA_ISSUER}"
wstep = "{base}/wstep/usertoken/services/{TENANT}/{ISSUING}"
wstep_user = "{WSTEP_USER}"

[secrets]
est_password = "{est_password}"
cmp_secret = "{cmp_secret}"
scep_challenge = "{scep_challenge}"
mdm_password = "{mdm_password}"
wstep_password = "{wstep_password}"
'''


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cspd demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _pem(certificates_der: Sequence[bytes]) -> bytes:
    return b"".join(
        x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM) for certificate in certificates_der
    )
