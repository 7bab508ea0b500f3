"""An ACME client in memory: request values through the routes to response values."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cspd.http.message import Request, Response, Route
from tests.support.running import result_of

PUBLIC = "https://pki.example.com"
PREFIX = "/acme/tenant1/demo~issuing/privatessl-tls-server"
ACCOUNT_KEYS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def integer(number: int, size: int | None = None) -> str:
    return b64(number.to_bytes(size or (number.bit_length() + 7) // 8))


def jwk_of(key: Any) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": integer(numbers.n), "e": integer(numbers.e)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point, size = public.public_numbers(), (public.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": {256: "P-256", 384: "P-384", 521: "P-521"}[public.key_size],
            "x": integer(point.x, size),
            "y": integer(point.y, size),
        }
    curve = "Ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "Ed448"
    return {"kty": "OKP", "crv": curve, "x": b64(public.public_bytes_raw())}


def algorithm_of(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {256: "ES256", 384: "ES384", 521: "ES512"}[key.key_size]
    return "EdDSA"


def sign(key: Any, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        hash_ = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}[key.key_size]()
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hash_)))
        return r.to_bytes(size) + s.to_bytes(size)
    assert isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return key.sign(octets)


def jws(key: Any, header: Mapping[str, Any], payload: bytes) -> bytes:
    protected = b64(json.dumps(header).encode())
    body = b64(payload)
    signature = sign(key, f"{protected}.{body}".encode())
    return json.dumps({"protected": protected, "payload": body, "signature": b64(signature)}).encode()


def csr(
    key: Any, names: Sequence[str], *, common_name: str | None = None, extra: Sequence[x509.GeneralName] = ()
) -> bytes:
    subject = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    alternatives = [*(x509.DNSName(name) for name in names), *extra]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    algorithm = None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


class Answer:
    """A response and what tests want of it."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.body = response.body
        self.headers = response.headers

    def header(self, name: bytes) -> str | None:
        found = [value.decode() for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        assert self.header(b"content-type") == "application/problem+json"
        return self.status, self.json["type"].removeprefix("urn:ietf:params:acme:error:")


class Web:
    """Finds the route of a request, as the server's router does, and runs its handler."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    def send(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        content_type: str = "application/jose+json",
        is_secure: bool = True,
        host: str = "pki.example.com",
    ) -> Answer:
        path, _, query = url.removeprefix(PUBLIC).partition("?")
        for route in self._routes:
            parameters = _match(route.path, path)
            if parameters is not None and (method in route.methods or method == "HEAD"):
                request = Request(
                    method=method,
                    target=url.removeprefix(PUBLIC).encode(),
                    path=path,
                    query=query,
                    headers=((b"host", host.encode()), (b"content-type", content_type.encode())),
                    body=body,
                    parameters=parameters,
                    peer="192.0.2.7",
                    is_secure=is_secure,
                    request_id="request-1",
                )

                async def run(handler: Any = route.handler, request: Request = request) -> Response:
                    response: Response = await handler(request)
                    return response

                return Answer(result_of(run()))
        raise AssertionError(f"no route for {method} {path}")


def _match(template: str, path: str) -> dict[str, str] | None:
    segments, parts = template.split("/"), path.split("/")
    if len(segments) != len(parts):
        return None
    found = {}
    for segment, part in zip(segments, parts, strict=True):
        if segment.startswith("{") and part:
            found[segment.strip("{}")] = unquote(part)
        elif segment != part:
            return None
    return found


class Client:
    """A well-behaved client with one account key; every part of a request can be spoiled."""

    def __init__(self, web: Web, key: Any = None, *, prefix: str = PREFIX) -> None:
        self.web = web
        self.key = key or ACCOUNT_KEYS["ES256"]()
        self.base = PUBLIC + prefix
        self.kid: str | None = None

    @property
    def thumbprint(self) -> str:
        canonical = json.dumps(jwk_of(self.key), sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(canonical.encode()).digest())

    def nonce(self) -> str:
        return str(self.web.send("HEAD", f"{self.base}/new-nonce").header(b"replay-nonce"))

    def request(self, url: str, payload: Any, /, *, key: Any = None, uses_jwk: bool = False, **header: Any) -> bytes:
        key = key or self.key
        members: dict[str, Any] = {"alg": algorithm_of(key), "nonce": self.nonce(), "url": url}
        members |= {"jwk": jwk_of(key)} if uses_jwk else {"kid": self.kid}
        members |= header
        members = {name: value for name, value in members.items() if value is not None}
        octets = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return jws(key, members, octets)

    def post(self, url: str, payload: Any, /, **options: Any) -> Answer:
        url = url if url.startswith("https:") else f"{self.base}/{url}"
        return self.web.send("POST", url, self.request(url, payload, **options))

    def get(self, url: str) -> Answer:
        return self.post(url, b"")

    def register(self, **members: Any) -> Answer:
        answer = self.post("new-account", {"termsOfServiceAgreed": True, **members}, uses_jwk=True)
        self.kid = answer.header(b"location")
        return answer

    def order(self, *names: str, **members: Any) -> Answer:
        identifiers = [{"type": "dns", "value": name} for name in names]
        return self.post("new-order", {"identifiers": identifiers, **members})

    def challenge(self, authorization_url: str, type: str = "http-01") -> dict[str, Any]:
        authorization = self.get(authorization_url).json
        found: dict[str, Any] = next(element for element in authorization["challenges"] if element["type"] == type)
        return found
