"""Write messages as devices in the field write them (``tests/support/scep_devices.py``), for the RA of ``make.py``.

Run it from the root of the sources: ``PYTHONPATH=. python tests/fuzz/corpus/scep/make_devices.py``.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.scep.messages import IssuerAndSerialNumber, MessageType
from protocols.scep.transport import decode_message_parameter
from tests.support.scep_devices import Sent, apple, chromeos, cisco, old_apple, windows

FOLDER = Path(__file__).parent


def message_of(sent: Sent) -> bytes:
    """The pkiMessage in a request of HTTP."""
    return sent.body or decode_message_parameter(unquote(sent.query.partition("&message=")[2]))


def main() -> None:
    """Write ``device-NAME.der``."""
    ra = x509.load_pem_x509_certificate((FOLDER / "ra.pem").read_bytes())
    issuer = ra.issuer.public_bytes()
    key, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    router = cisco(key, ra, issuer)
    machine = windows(key, ra)
    sent = {
        "apple": apple(key, ra).enroll("sesame"),
        "apple-poll": apple(key, ra).poll(),
        "apple-2014": old_apple(key, ra).enroll("sesame"),
        "cisco": router.enroll("sesame"),
        "cisco-poll": router.poll(),
        "cisco-get-crl": router.ask(MessageType.GET_CRL, IssuerAndSerialNumber(issuer, 4711)),
        "cisco-md5-des": cisco(key, ra, issuer, is_old=True).enroll("sesame"),
        "chromeos": chromeos(key, ra, other).enroll("sesame"),
        "windows": machine.enroll("sesame"),
        "windows-renewal": windows(other, ra, replaces=(key, machine.own_certificate)).enroll(None),
    }
    for name, each in sent.items():
        (FOLDER / f"device-{name}.der").write_bytes(message_of(each))


if __name__ == "__main__":
    main()
