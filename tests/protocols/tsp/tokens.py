"""Time-stamp units with throwaway keys, and their tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cspd.keys.signer import Signer
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.x509.algorithms import signature_hash
from protocols.tsp.codec import encode_granted, message_imprint
from protocols.tsp.hash_algorithms import SIGNATURE_HASHES, digest_function
from protocols.tsp.messages import HashAlgorithm, MessageImprint
from protocols.tsp.token import TokenEncoder, TokenProfile, content_digest
from tests.support.keys import InlineKeys
from tests.support.running import result_of

FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
GEN_TIME = datetime(2026, 11, 24, 22, 15, 0, 123_400, tzinfo=UTC)
POLICY = "1.3.6.1.4.1.99999.1"
DATA = b"what gets a timestamp"

TIME_STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
PLAIN = TokenProfile(policy=POLICY)


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ES"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def certify(
    public_key: x509.base.CertificatePublicKeyTypes,
    subject: str,
    issuer: str,
    issuer_key: PrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
    validity: tuple[datetime, datetime] = (FROM, UNTIL),
) -> x509.Certificate:
    """A certificate with these extensions (and whether each is critical)."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, signature_hash(issuer_key.public_key()))


def ca_extensions(path_length: int | None = None) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return (
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (key_usage(key_cert_sign=True), True),
    )


TSA_EXTENSIONS: tuple[tuple[x509.ExtensionType, bool], ...] = (
    (TIME_STAMPING, True),
    (key_usage(digital_signature=True), True),
)


@dataclass(frozen=True, eq=False)
class CertificationAuthority:
    """A root and an issuing CA."""

    root_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    issuing_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def root(self) -> x509.Certificate:
        return _certificates(self)[0]

    @property
    def issuing(self) -> x509.Certificate:
        return _certificates(self)[1]


@cache
def _certificates(authority: CertificationAuthority) -> tuple[x509.Certificate, x509.Certificate]:
    root_key, issuing_key = authority.root_key, authority.issuing_key
    root = certify(root_key.public_key(), "Root", "Root", root_key, *ca_extensions())
    return root, certify(issuing_key.public_key(), "Issuing", "Root", root_key, *ca_extensions(0))


@cache
def authority() -> CertificationAuthority:
    """The CA of all units."""
    return CertificationAuthority()


class Unit:
    """A key of that type, its certificate and chain, and a way to make tokens with them."""

    def __init__(self, key_type: KeyType) -> None:
        self.keys = InlineKeys()
        self.reference: KeyReference = result_of(self.keys.generate(key_type, label="tsa"))
        self.private_key = self.keys.private_keys[self.reference]
        self.public_key = self.private_key.public_key()
        self.certificate = certify(
            self.public_key, "Time-Stamp Unit 1", "Issuing", authority().issuing_key, *TSA_EXTENSIONS
        )

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return authority().issuing, authority().root

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        return tuple(each.public_bytes(Encoding.DER) for each in self.chain)

    def signer(self, signature_digest: HashAlgorithm = HashAlgorithm.SHA256) -> Signer:
        return Signer(self.keys, self.reference, self.public_key, SIGNATURE_HASHES[signature_digest])

    def encoder(
        self,
        profile: TokenProfile = PLAIN,
        *,
        signature_digest: HashAlgorithm = HashAlgorithm.SHA256,
        certificate: x509.Certificate | None = None,
    ) -> TokenEncoder:
        return TokenEncoder(
            (certificate or self.certificate).public_bytes(Encoding.DER),
            self.chain_der,
            profile,
            digest=content_digest(self.public_key, signature_digest),
            signature_algorithm_der=self.signer(signature_digest).algorithm_der,
        )

    def token(
        self,
        profile: TokenProfile = PLAIN,
        imprint: MessageImprint | None = None,
        *,
        serial_number: int = 2**63 - 25,
        gen_time: datetime = GEN_TIME,
        nonce: int | None = None,
        cert_req: bool = True,
        signature_digest: HashAlgorithm = HashAlgorithm.SHA256,
        certificate: x509.Certificate | None = None,
    ) -> bytes:
        """A TimeStampToken, DER, of ``DATA`` if no imprint is given."""
        encoder = self.encoder(profile, signature_digest=signature_digest, certificate=certificate)
        tst_info_der = encoder.tst_info(
            imprint or imprint_of(DATA), serial_number=serial_number, gen_time=gen_time, nonce=nonce
        )
        attributes_der = encoder.signed_attributes(tst_info_der)
        signature = result_of(self.signer(signature_digest).sign(attributes_der))
        return encoder.token(tst_info_der, attributes_der, signature, cert_req=cert_req)

    def response(self, profile: TokenProfile = PLAIN, imprint: MessageImprint | None = None, **options: int) -> bytes:
        """A granted TimeStampResp, DER, around such a token."""
        return encode_granted(self.token(profile, imprint, **options))  # type: ignore[arg-type]  # the same options


@cache
def unit(key_type: KeyType = KeyType.EC_P256) -> Unit:
    """A unit with such a key, the same each time: RSA keys are slow to make."""
    return Unit(key_type)


def imprint_of(octets: bytes, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> MessageImprint:
    """Its MessageImprint."""
    return message_imprint(algorithm, digest_function(algorithm)(octets))
