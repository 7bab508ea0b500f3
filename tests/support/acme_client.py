"""A small ACME client for load, crashes and several nodes: what certbot does, under the test's control.

    client = ACMEClient(daemon.acme_directory(), trust=daemon.root_pem, solve=solver)
    client.register()
    issued = client.enroll("a.example.test")
    client.revoke(issued)

It speaks to one TCP port at a time over one connection, whatever the URLs say: :attr:`ACMEClient.port` sends it to
another node behind the same public name. A lost connection comes out as :class:`ServerGone`; an order survives it, and
:meth:`ACMEClient.pursue` takes it up where it stands.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

Solver = Callable[[str, str], None]
"""Told the token and the key authorization of an http-01 challenge before the server is told to look."""

POLL_SECONDS = 0.05


class ServerGone(Exception):
    """The connection was refused or broke; what was asked may or may not have happened."""


class Problem(Exception):
    """The server answered with a problem document."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.body.decode(errors='replace')}")
        self.status = answer.status
        self.headers = answer.headers
        self.type = str(answer.json.get("type", "")).removeprefix("urn:ietf:params:acme:error:")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Order:
    """An order under way, with the key of its certificate; ``url`` is all the server needs to go on with it."""

    url: str
    csr_der: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True)
class Issued:
    """A certificate that the client has in its hands."""

    chain_pem: str
    order_url: str

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain_pem.encode())

    @property
    def issuer(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.chain_pem.encode())[1]

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


class ACMEClient:
    """One account; not for several threads at once."""

    def __init__(self, directory: str, *, trust: Path, solve: Solver, timeout: float = 30) -> None:
        self.port = urlsplit(directory).port or 443
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.account: str | None = None
        self.slowest = 0.0
        """Seconds that the slowest answer took."""
        self._base = directory.removesuffix("/directory")
        self._host = urlsplit(directory).netloc
        self.solve = solve
        self._tls = ssl.create_default_context(cafile=str(trust))
        self._timeout = timeout
        self._connection: http.client.HTTPSConnection | None = None
        self._nonce: str | None = None

    # The protocol's steps

    def register(self) -> str:
        """Make or find the account of our key; gives its URL."""
        answer = self.post(f"{self._base}/new-account", {"termsOfServiceAgreed": True}, by_key=True)
        self.account = answer.headers["location"]
        return self.account

    def begin(self, *names: str) -> Order:
        """A new order."""
        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        csr_der = csr.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        identifiers = [{"type": "dns", "value": name} for name in names]
        answer = self.post(f"{self._base}/new-order", {"identifiers": identifiers})
        return Order(answer.headers["location"], csr_der, key)

    def respond(self, order: Order) -> None:
        """Tell the server to look at every challenge of the order that waits for that."""
        for url in self.get(order.url).json["authorizations"]:
            authorization = self.get(url).json
            challenge = next(each for each in authorization["challenges"] if each["type"] == "http-01")
            if authorization["status"] == challenge["status"] == "pending":
                self.solve(challenge["token"], f"{challenge['token']}.{self.thumbprint}")
                self.post(challenge["url"], {})

    def wait(self, order: Order, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """The order once it has one of these statuses; AssertionError when it ends otherwise or late."""
        deadline = time.monotonic() + seconds
        while (found := self.get(order.url).json)["status"] not in statuses:
            assert found["status"] != "invalid", f"the order ended: {found}"
            assert time.monotonic() < deadline, f"the order is still {found['status']} after {seconds} s"
            time.sleep(POLL_SECONDS)
        return dict(found)

    def finalize(self, order: Order) -> dict[str, Any]:
        """Send the CSR; gives the order as it is then."""
        answer = self.post(f"{order.url}/finalize", {"csr": _base64url(order.csr_der)})
        return dict(answer.json)

    def download(self, order: Order) -> Issued:
        """The certificate of a valid order, checked to be for our key."""
        chain = self.get(self.get(order.url).json["certificate"]).body.decode("ascii")
        issued = Issued(chain, order.url)
        assert issued.certificate.public_key() == order.key.public_key(), "the certificate is for another key"
        return issued

    def pursue(self, order: Order, *, seconds: float = 60) -> Issued:
        """Go on with an order from wherever it stands to its certificate."""
        status = self.get(order.url).json["status"]
        if status == "pending":
            self.respond(order)
            status = self.wait(order, "ready", "processing", "valid", seconds=seconds)["status"]
        if status == "ready":
            status = self.finalize(order)["status"]
        self.wait(order, "valid", seconds=seconds)
        return self.download(order)

    def enroll(self, *names: str) -> Issued:
        """A certificate for these names."""
        return self.pursue(self.begin(*names))

    def revoke(self, issued: Issued) -> None:
        """Revoke it, by the account."""
        certificate = _base64url(issued.certificate.public_bytes(Encoding.DER))
        self.post(f"{self._base}/revoke-cert", {"certificate": certificate, "reason": 4})

    # Requests

    def get(self, url: str) -> Answer:
        """POST-as-GET."""
        return self.post(url, None)

    def post(self, url: str, payload: dict[str, Any] | None, *, by_key: bool = False) -> Answer:
        """A signed request, sent again once for a bad nonce; raises Problem and ServerGone."""
        try:
            return self._posted(url, payload, by_key, self.take_nonce())
        except Problem as problem:
            if problem.type != "badNonce":
                raise
        return self._posted(url, payload, by_key, self.take_nonce())

    def post_with_nonce(self, url: str, payload: dict[str, Any] | None, nonce: str) -> Answer:
        """A request with just this nonce."""
        return self._posted(url, payload, False, nonce)

    def take_nonce(self) -> str:
        """The nonce of the last answer, or a new one."""
        nonce, self._nonce = self._nonce, None
        if nonce is None:
            nonce = self._exchange("HEAD", f"{self._base}/new-nonce", None).headers["replay-nonce"]
            self._nonce = None
        return nonce

    def forget_nonce(self) -> None:
        """Let the next request ask for one."""
        self._nonce = None

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @property
    def thumbprint(self) -> str:
        """RFC 7638, of the account's key."""
        canonical = json.dumps(_jwk(self.key), sort_keys=True, separators=(",", ":"))
        return _base64url(hashlib.sha256(canonical.encode()).digest())

    def _posted(self, url: str, payload: dict[str, Any] | None, by_key: bool, nonce: str) -> Answer:
        header: dict[str, Any] = {"alg": "ES256", "nonce": nonce, "url": url}
        header |= {"jwk": _jwk(self.key)} if by_key else {"kid": self.account}
        protected = _base64url(json.dumps(header).encode())
        body = "" if payload is None else _base64url(json.dumps(payload).encode())
        r, s = decode_dss_signature(self.key.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        signature = _base64url(r.to_bytes(32) + s.to_bytes(32))
        jws = json.dumps({"protected": protected, "payload": body, "signature": signature})
        return self._exchange("POST", url, jws.encode())

    def _exchange(self, method: str, url: str, body: bytes | None) -> Answer:
        begun = time.monotonic()
        try:
            if self._connection is None or self._connection.port != self.port:
                self.close()
                self._connection = http.client.HTTPSConnection(
                    "localhost", self.port, context=self._tls, timeout=self._timeout
                )
            headers = {"Host": self._host, "Content-Type": "application/jose+json"}
            self._connection.request(method, urlsplit(url).path, body, headers)
            response = self._connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._nonce = None
            raise ServerGone(f"{method} {url}: {error!r}") from error
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self._nonce = answer.headers.get("replay-nonce")
        if answer.status >= 400:
            raise Problem(answer)
        return answer


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _base64url(point.x.to_bytes(32)), "y": _base64url(point.y.to_bytes(32))}
