"""Asking a timestamping authority as people do: ``openssl ts -query``, curl, ``openssl ts -verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asn1crypto import tsp

from tests.support.daemon import Daemon
from tests.support.processes import program, run

DEMO_POLICY = "1.3.6.1.4.1.32473.1"
HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512")


def issuer_entry(issuer: str, *, key_type: str = "ec-p256", keys: str | None = None, **changes: Any) -> dict[str, Any]:
    """An entry of ``protocols.tsp.issuers`` certified by the demo's CA; other keys than its own go to its profile."""
    certification = {"ca": "demo~issuing", "subject": f"CN={issuer},O=cspd demo", "key_type": key_type}
    if keys is not None:
        certification["keys"] = keys
    own = {name: changes.pop(name) for name in ("log_response", "log_tokens") if name in changes}
    profile = {"policy": DEMO_POLICY, "accuracy": "1s", **changes}
    return {"id": issuer, "profile": profile, "certification": certification, **own}


class TimestampClient:
    """Asks one daemon; its files are in ``folder``."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        self.folder = folder
        self.daemon = daemon
        self.data = folder / "data.txt"
        self.data.write_text("what gets a timestamp\n")
        self.query = folder / "request.tsq"
        self.reply = folder / "response.tsr"

    def url(self, issuer: str) -> str:
        """Where an issuer is asked."""
        return f"{self.daemon.http_url}/tsa/{issuer}"

    def make_query(self, *options: str, digest: str = "sha256") -> None:
        """Write a query for the data, with the certificate wanted unless ``options`` are others."""
        asked = [*(options or ("-cert",)), "-out", self.query]
        run([program("openssl"), "ts", "-query", "-data", self.data, f"-{digest}", *asked])

    def post(self, issuer: str) -> int:
        """Send the query by the guide's command; gives the HTTP status."""
        sent = ["-H", "Content-Type: application/timestamp-query", "-H", "Accept: application/timestamp-reply"]
        written = ["--output", self.reply, "--write-out", "%{http_code} %{content_type}"]
        done = run(
            [program("curl"), "-sS", *sent, "--data-binary", f"@{self.query}", self.url(issuer), *map(str, written)]
        )
        status, _, answered_type = done.stdout.partition(" ")
        assert answered_type == ("application/timestamp-reply" if status == "200" else "text/plain")
        return int(status)

    def verify(self) -> None:
        """``openssl ts -verify`` against the data and against the query."""
        for known in (["-data", str(self.data)], ["-queryfile", str(self.query)]):
            command = [program("openssl"), "ts", "-verify", "-in", self.reply, "-CAfile", self.daemon.root_pem, *known]
            assert "Verification: OK" in run(command).stdout

    def timestamp(self, issuer: str, *options: str, digest: str = "sha256") -> None:
        """Get a timestamp of the data, and verify it."""
        self.make_query(*options, digest=digest)
        assert self.post(issuer) == 200
        self.verify()

    def rejection(self) -> tuple[str, str]:
        """What ``openssl ts -reply`` reads of a rejection: status and failure."""
        done = run([program("openssl"), "ts", "-reply", "-in", self.reply, "-text"], expect=None)
        fields = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        return fields["Status"], fields["Failure info"]

    def token(self) -> Any:
        """The token of the last answer (asn1crypto's ContentInfo)."""
        return tsp.TimeStampResp.load(self.reply.read_bytes(), strict=True)["time_stamp_token"]

    def tst_info(self) -> Any:
        """The TSTInfo of the last answer."""
        return self.token()["content"]["encap_content_info"]["content"].parsed
