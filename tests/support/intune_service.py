"""A stand-in for Microsoft's side of Intune: login authority, Graph, the validation and the connector service.

It believes nobody: tokens are given for the right tenant, application and secret or signed assertion only, and each
request is checked down to its headers and the names in its body. :class:`IntuneStandIn` answers values, for tests
without sockets; :class:`IntuneServer` puts it on HTTPS on loopback.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID

from cspd.http.outbound.values import OutboundRequest, OutboundResponse, RequestFailed
from tests.support.processes import free_port
from tests.unit.http.certificates import SERVER_AUTH, Party, make

TENANT = "test.example.com"
APPLICATION = "6731de76-14a6-49ae-97bc-6eba6914391e"
INTUNE_APPLICATION = "0000000a-0000-0000-c000-000000000000"
SECRET = "the application's secret"  # of the stand-in
CHALLENGE = "what Intune gave the device"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

VALIDATE = "/scep/ScepActions/validateRequest"
SUCCESS = "/scep/ScepActions/successNotification"
FAILURE = "/scep/ScepActions/failureNotification"
DOWNLOAD = "/pki/CertificateAuthorityRequests/downloadRevocationRequests"
UPLOAD = "/pki/CertificateAuthorityRequests/uploadRevocationResults"
GRAPH = f"/graph/v1.0/servicePrincipals/appId={INTUNE_APPLICATION}/endpoints"
TOKEN = f"/login/{TENANT}/oauth2/v2.0/token"
DISCOVERY = f"/login/{TENANT}/v2.0/.well-known/openid-configuration"

_BODIES: Mapping[str, tuple[str, frozenset[str]]] = {
    VALIDATE: ("request", frozenset({"transactionId", "certificateRequest", "callerInfo"})),
    SUCCESS: (
        "notification",
        frozenset(
            {
                "transactionId",
                "certificateRequest",
                "certificateThumbprint",
                "certificateSerialNumber",
                "certificateExpirationDateUtc",
                "issuingCertificateAuthority",
                "callerInfo",
            }
        ),
    ),
    FAILURE: (
        "notification",
        frozenset({"transactionId", "certificateRequest", "hResult", "errorDescription", "callerInfo"}),
    ),
}
_VERSIONS = {VALIDATE: "2018-02-20", SUCCESS: "2018-02-20", FAILURE: "2018-02-20"}
_VERSIONS |= {DOWNLOAD: "5019-05-05", UPLOAD: "5019-05-05"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An answer other than the right one."""

    status: int = 500
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    """Seconds before it; with ``status`` 200 the right answer follows."""
    is_reset: bool = False
    """The connection ends instead."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that arrived."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> Mapping[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


class IntuneStandIn:
    """What it does, without a socket."""

    def __init__(self, base: str = "https://127.0.0.1:1") -> None:
        self.base = base
        self.secrets = {SECRET}
        self.certificate: x509.Certificate | None = None
        """Registered for the application."""
        self.secret_error: int = 7000215
        """What a secret that is not among ``secrets`` is: wrong, or (7000222) expired."""
        self.codes: dict[str, str] = {}
        """Other answers than Success, by path."""
        self.orders: list[dict[str, Any]] = []
        """What downloadRevocationRequests has, and gives until results are uploaded."""
        self.results: list[dict[str, Any]] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        """By path; the first is used up by the next request to it."""
        self.complaints: list[str] = []
        """What was wrong with requests."""
        self.asked: list[Asked] = []
        self._tokens: dict[str, str] = {}
        self._count = 0
        self._lock = threading.Lock()

    @property
    def endpoints(self) -> dict[str, str]:
        """The overrides that lead here."""
        return {
            "authentication_authority": f"{self.base}/login/",
            "graph_resource_url": f"{self.base}/graph/",
            "intune_resource_url": f"{self.base}/intune/",
        }

    @property
    def intune_scope(self) -> str:
        return f"{self.base}/intune//.default"

    @property
    def graph_scope(self) -> str:
        return f"{self.base}/graph/.default"

    def withdraw_tokens(self) -> None:
        """None of those given so far is good any more."""
        self._tokens.clear()

    def asked_for(self, path: str) -> list[Asked]:
        """The requests to a path."""
        with self._lock:
            return [each for each in self.asked if each.path == path]

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path, without the object around it."""
        return [next(iter(each.json.values())) for each in self.asked_for(path)]

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Implements :class:`cspd.http.outbound.values.Outbound`."""
        assert request.url.startswith(self.base), request.url
        headers = {name.lower(): value for name, value in request.headers}
        fault = self._next_fault(request.url.removeprefix(self.base))
        if fault is not None and fault.is_reset:
            raise RequestFailed("127.0.0.1: the connection was closed without an answer")
        status, extra, body = self.answer(
            request.method, request.url.removeprefix(self.base), headers, request.body, fault
        )
        return OutboundResponse(status=status, headers=tuple((k.lower(), v) for k, v in extra.items()), body=body)

    def _next_fault(self, target: str) -> Fault | None:
        faults = self.faults[urlsplit(target).path]
        return faults.pop(0) if faults else None

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, fault: Fault | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body."""
        path = urlsplit(target).path
        with self._lock:
            self.asked.append(Asked(path=path, headers=dict(headers), body=body))
        if fault is not None and fault.status != 200:
            return fault.status, fault.headers, fault.body
        if fault is not None and fault.body != b"{}":
            return 200, fault.headers, fault.body
        status, found = self._answer(method, path, headers, body)
        return status, {"Content-Type": "application/json"}, json.dumps(found).encode()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        if (method, path) == ("GET", DISCOVERY):
            return 200, {
                "token_endpoint": self.base + TOKEN,
                "authorization_endpoint": f"{self.base}/login/{TENANT}/oauth2/v2.0/authorize",
                "issuer": f"{self.base}/login/{TENANT}/v2.0",
            }
        if (method, path) == ("POST", TOKEN):
            return self._token(Asked(path=path, headers=headers, body=body).form)
        scope = self._tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if scope is None:
            return 401, {"error": {"code": "InvalidAuthenticationToken"}}
        UUID(headers["client-request-id"])
        if (method, path) == ("GET", GRAPH):
            self._expect(scope == self.graph_scope, "a token for Graph")
            return 200, {"value": self._listed()}
        self._expect(method == "POST" and path in _VERSIONS, f"a path that there is: {path}")
        self._expect(scope == self.intune_scope, "a token for Intune")
        self._expect(headers.get("api-version") == _VERSIONS[path], "the right api-version")
        self._expect(headers.get("content-type", "").startswith("application/json"), "JSON")
        self._expect(headers.get("user-agent", "").startswith("cspd/"), "a User-Agent")
        if path in _BODIES:
            return 200, self._scep(path, json.loads(body))
        return 200, self._connector(path, json.loads(body))

    def _listed(self) -> list[dict[str, str]]:
        return [
            {"capability": "x", "providerName": "SomethingElse", "uri": f"{self.base}/else"},
            {"providerName": "ScepRequestValidationFEService", "uri": f"{self.base}/scep"},
            {"providerName": "PkiConnectorFEService", "uri": f"{self.base}/pki/"},
        ]

    def _expect(self, is_so: bool, what: str) -> None:
        if not is_so:
            self.complaints.append(what)

    def _token(self, form: Mapping[str, str]) -> tuple[int, Any]:
        self._expect(form.get("grant_type") == "client_credentials", "grant_type=client_credentials")
        self._expect(form.get("scope") in (self.graph_scope, self.intune_scope), f"a scope: {form.get('scope')}")
        if form.get("client_id") != APPLICATION:
            return 400, _login_error("unauthorized_client", 700016)
        if "client_assertion" in form:
            self._expect(form.get("client_assertion_type") == ASSERTION_TYPE, "client_assertion_type")
            if not self._is_signed(form["client_assertion"]):
                return 401, _login_error("invalid_client", 700027)
        elif form.get("client_secret") not in self.secrets:
            return 401, _login_error("invalid_client", self.secret_error)
        self._count += 1
        token = f"token-{self._count}"
        self._tokens[token] = form["scope"]
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token}

    def _is_signed(self, assertion: str) -> bool:
        """Whether a JWT is signed with the registered certificate's key, and says what it should (RFC 7523, 3)."""
        header, claims, signature = (_unbase64url(each) for each in assertion.split("."))
        said, claimed = json.loads(header), json.loads(claims)
        if self.certificate is None:
            return False
        thumbprint = sha256(self.certificate.public_bytes(Encoding.DER)).digest()
        if said["alg"] != "PS256" or _unbase64url(said["x5t#S256"]) != thumbprint:
            return False
        key = self.certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        try:
            key.verify(signature, assertion.rpartition(".")[0].encode(), pss, hashes.SHA256())
        except InvalidSignature:
            return False
        now = time.time()  # noqa: TID251  # as MSAL does
        return bool(
            claimed["iss"] == claimed["sub"] == APPLICATION
            and claimed["aud"] == self.base + TOKEN
            and claimed["exp"] > now
        )

    def _scep(self, path: str, body: Any) -> Any:
        name, members = _BODIES[path]
        self._expect(set(body) == {name} and set(body[name]) == members, f"the members of {path}")
        said = body[name]
        self._expect(said.get("callerInfo", "").startswith("cspd/"), "callerInfo")
        code = self.codes.get(path) or self._judged(path, said)
        return {"code": code, "errorDescription": "" if code == "Success" else f"{code}, says the stand-in"}

    def _judged(self, path: str, said: Mapping[str, Any]) -> str:
        csr = x509.load_der_x509_csr(base64.b64decode(said["certificateRequest"], validate=True))
        try:
            challenge = csr.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD).value
        except x509.AttributeNotFound:
            return "ChallengePasswordMissing"
        if challenge.decode() != CHALLENGE:
            return "ChallengeDecryptionError"
        if path == FAILURE:
            self._expect(0 < len(said["errorDescription"]) <= 255, "an errorDescription of 255 characters")
            self._expect(0x80000000 <= said["hResult"] <= 0xFFFFFFFF, "an HRESULT that is a failure")
        return "Success"

    def _connector(self, path: str, body: Any) -> Any:
        if path == DOWNLOAD:
            asked = body["downloadParameters"]
            self._expect(1 <= asked["maxRequests"] <= 500, "maxRequests of 1 to 500")
            given = [each for each in self.orders if each["issuerName"] in (None, asked["issuerName"])]
            return {"@odata.context": "x", "value": given[: asked["maxRequests"]]}
        self._expect(set(body) == {"results"}, "the members of the upload")
        done = {each["requestContext"] for each in body["results"]}
        self.results += body["results"]
        self.orders = [each for each in self.orders if each["requestContext"] not in done]
        return {"value": True}


class IntuneServer(IntuneStandIn):
    """The same on HTTPS; its certificate is of a CA of the test, in ``ca_pem``."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(f"https://localhost:{self.port}")
        root = make("Stand-in root", is_ca=True)
        self.ca_pem = folder / "intune-ca.pem"
        self.ca_pem.write_bytes(root.pem)
        self._server = _server(self, make("localhost", root, names=["localhost"], usage=SERVER_AUTH), folder)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _server(stand_in: IntuneServer, party: Party, folder: Path) -> ThreadingHTTPServer:
    (folder / "intune-server.pem").write_bytes(party.pem + party.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "intune-server.pem")

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            self._reply(b"")

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["content-length"])))

        def _reply(self, body: bytes) -> None:
            fault = stand_in._next_fault(self.path)
            if fault is not None:
                time.sleep(fault.delay)
                if fault.is_reset:
                    self.close_connection = True
                    return
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, content = stand_in.answer(self.command, self.path, headers, body, fault)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            connection.settimeout(30)
            # The handshake is for the thread of the connection: a client that does not speak holds nobody up.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed, or does not trust us."""

    return Server(("127.0.0.1", stand_in.port), Handler)


def _login_error(error: str, code: int) -> dict[str, Any]:
    return {
        "error": error,
        "error_description": f"AADSTS{code}: the stand-in says no. Trace ID: 1",
        "error_codes": [code],
    }


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
