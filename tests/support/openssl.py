"""The openssl program as the independent relying party."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import program, run


def split_chain(chain_pem: str) -> list[str]:
    """The PEM certificates of a file, in order."""
    end = "-----END CERTIFICATE-----"
    return [part[part.index("-----BEGIN") :] + end + "\n" for part in chain_pem.split(end) if "-----BEGIN" in part]


class RelyingParty:
    """Verifies one certificate against one trust anchor, by openssl alone."""

    def __init__(self, folder: Path, chain_pem: str, root_pem: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        leaf, *issuers = split_chain(chain_pem)
        assert issuers, "the chain holds no issuer"
        self.root = root_pem
        self.leaf, self.issuer, self.intermediates = folder / "leaf.pem", folder / "issuer.pem", folder / "chain.pem"
        self.leaf.write_text(leaf)
        self.issuer.write_text(issuers[0])
        self.intermediates.write_text("".join(issuers))
        self._openssl = program("openssl")

    def verify(self, *options: str) -> None:
        """``openssl verify`` accepts the chain."""
        run([self._openssl, "verify", *options, "-CAfile", self.root, "-untrusted", self.intermediates, self.leaf])

    def field(self, name: str) -> str:
        """What ``openssl x509 -NAME`` prints, for example ``serial``, ``subject``, ``ocsp_uri``."""
        return run([self._openssl, "x509", "-in", self.leaf, "-noout", f"-{name}"]).stdout.strip()

    @property
    def serial(self) -> str:
        """Upper-case hexadecimal, as openssl prints it."""
        return self.field("serial").removeprefix("serial=")

    def extension(self, name: str) -> str:
        """One extension as text."""
        return run([self._openssl, "x509", "-in", self.leaf, "-noout", "-ext", name]).stdout

    def crl_url(self) -> str:
        """The first distribution point of the certificate."""
        text = self.extension("crlDistributionPoints")
        return next(line.split("URI:", 1)[1].strip() for line in text.splitlines() if "URI:" in line)

    def ocsp(self, *options: str) -> str:
        """Ask the responder named in the certificate; gives openssl's verdict, which must verify."""
        done = run(
            [
                *(self._openssl, "ocsp", "-issuer", self.issuer, "-cert", self.leaf, "-url", self.field("ocsp_uri")),
                *("-CAfile", self.root, *options),
            ]
        )
        assert "Response verify OK" in done.stdout, done.stdout
        return next(
            line.split(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith(f"{self.leaf}: ")
        ).strip()

    def crl(self, folder: Path) -> str:
        """Fetch the CRL named in the certificate, verify its signature, and give it as text."""
        path = folder / "fetched.crl"
        run([program("curl"), "--silent", "--show-error", "--fail", "--output", path, self.crl_url()])
        done = run(
            [self._openssl, "crl", "-inform", "DER", "-in", path, "-noout", "-text", "-CAfile", self.issuer],
        )
        assert "verify OK" in done.stdout, done.stdout
        return done.stdout
