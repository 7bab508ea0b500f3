"""What strongSwan and PyScep sent, and devices send (``tests/fuzz/corpus/scep``), and keys and certificates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cspd.x509 import tlv
from cspd.x509.ber import to_der
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.envelope import RecipientKey
from tests.support.scep_client import ClientKey, ScepClient, certificate_of, recipient_key

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "scep"
VECTORS = {file.stem: file.read_bytes() for file in sorted(CORPUS.glob("strongswan-*.der"))}
PYSCEP = {file.stem.removeprefix("pyscep-"): file.read_bytes() for file in sorted(CORPUS.glob("pyscep-*.der"))}
DEVICES = {file.stem.removeprefix("device-"): file.read_bytes() for file in sorted(CORPUS.glob("device-*.der"))}
RECORDED_RA = x509.load_pem_x509_certificate((CORPUS / "ra.pem").read_bytes())

T = TypeVar("T")

STRICT = AlgorithmPolicy()
_CONSTRUCTED = 0x20


async def at_once(work: Callable[[], T]) -> T:
    """For work that belongs into a thread."""
    return work()


def counted(octets: int) -> bytes:
    """No randomness, so that a failure repeats itself."""
    return bytes(range(octets))


@cache
def recorded_ra_key() -> rsa.RSAPrivateKey:
    """What opens the recorded messages."""
    key = load_pem_private_key((CORPUS / "ra-key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@cache
def rsa_key(owner: str) -> rsa.RSAPrivateKey:
    """The RSA key of somebody."""
    assert owner
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """The key of a device that cannot decrypt."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ra_certificate(which: str = "now") -> x509.Certificate:
    """The certificate of a registration authority; the one before has the same name, and another serial number."""
    ca = (certificate_of(rsa_key("ca"), "a CA").subject, rsa_key("ca"))
    serial_number = {"now": 200, "before": 100}[which]
    return certificate_of(rsa_key(f"ra {which}"), "an RA", issuer=ca, serial_number=serial_number)


def ra_keys() -> list[RecipientKey]:
    """Both registration authorities."""
    return [recipient_key(rsa_key(f"ra {which}"), ra_certificate(which)) for which in ("now", "before")]


def client(key: ClientKey | None = None, **changes: object) -> ScepClient:
    """A device with a self-signed certificate."""
    key = key or rsa_key("device")
    return ScepClient(
        key=key,
        certificate=certificate_of(key, "device"),
        ra_certificate=ra_certificate(),
        **changes,  # type: ignore[arg-type]
    )


def indefinite(message: bytes) -> bytes:
    """The same element in BER, every constructed length indefinite, as devices that stream write it."""
    return _indefinite(to_der(message, limit=1 << 20))


def _indefinite(der: bytes) -> bytes:
    identifier, start, stop = tlv.read_any(der, 0, len(der))
    if not identifier & _CONSTRUCTED:
        return der
    inner, position = b"", start
    while position < stop:
        _, _, end = tlv.read_any(der, position, stop)
        inner += _indefinite(der[position:end])
        position = end
    return bytes((identifier, 0x80)) + inner + b"\x00\x00"
