"""A client of the timestamping authority: openssl makes the request and verifies the answer."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from tests.support.processes import program, run


@dataclass(frozen=True)
class Answer:
    """What came back."""

    reply: Path
    """The TimeStampResp, DER."""
    text: str
    """The same as ``openssl ts -reply -text`` prints it."""

    @property
    def is_granted(self) -> bool:
        return "Status: Granted." in self.text


class TSAClient:
    """Asks with one request, again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._openssl = program("openssl")
        self.query = folder / "query.tsq"
        data = folder / "data.txt"
        data.write_text("something to be timestamped\n")
        run([self._openssl, "ts", "-query", "-data", data, "-sha256", "-cert", "-out", self.query])

    def ask(self, http_url: str, issuer: str) -> Answer:
        """The answer of one issuer; raises for an HTTP status above 399."""
        request = urllib.request.Request(
            f"{http_url}/tsa/{issuer}",
            data=self.query.read_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
        )
        reply = self._folder / "reply.tsr"
        with urllib.request.urlopen(request, timeout=30) as answer:
            reply.write_bytes(answer.read())
        return Answer(reply, run([self._openssl, "ts", "-reply", "-in", reply, "-text"]).stdout)

    def verify(self, answer: Answer, root: Path) -> None:
        """openssl accepts the token for the request, trusting ``root`` alone."""
        done = run([self._openssl, "ts", "-verify", "-queryfile", self.query, "-in", answer.reply, "-CAfile", root])
        assert "Verification: OK" in done.stdout

    def certificates(self, answer: Answer) -> list[x509.Certificate]:
        """The certificates of the token: the unit's and its chain, in any order."""
        token = self._folder / "token.der"
        run([self._openssl, "ts", "-reply", "-in", answer.reply, "-token_out", "-out", token])
        return pkcs7.load_der_pkcs7_certificates(token.read_bytes())

    def unit(self, answer: Answer) -> x509.Certificate:
        """The certificate of the unit that signed."""
        [unit] = [each for each in self.certificates(answer) if is_time_stamping(each)]
        return unit


def is_time_stamping(certificate: x509.Certificate) -> bool:
    """Whether it is a time-stamp unit's."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.ExtendedKeyUsageOID.TIME_STAMPING in usage
