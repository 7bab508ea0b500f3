"""CMP on an installation in memory, asked by octets, as the daemon assembles it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select

from cspd.authentication.secrets import EnrollmentSecrets, NewSecret
from cspd.authority.approvals import Approvals
from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference, CertificateStatus
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.keys.encryption import MasterKey
from cspd.keys.threads import InlinePool
from cspd.plugin import PublicAddress, Services
from cspd.store.tables import certificates
from protocols.cmp.assembly import assemble
from protocols.cmp.config import CMPConfig
from protocols.cmp.endpoint import CMPEndpoint
from protocols.cmp.key_generation_authorities import KeyGenerationAuthorities
from protocols.cmp.labels import Labels
from protocols.cmp.messages import PKIMessage
from protocols.cmp.service import Address
from protocols.cmp.tables import cmp_transactions
from protocols.cmp.transactions import TransactionState
from tests.support.authorities import ALICE, Installation
from tests.support.cmp_client import ByMAC, BySignature, CMPClient, certificate, confirmation, ir, signed_request
from tests.support.running import result_of
from tests.unit.http.certificates import Party, make

PROFILE = "tls-client"
LABEL = {"id": "devices", "ca": "demo~issuing", "profile": PROFILE}
CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")


class CountingDatabase:
    """Counts the writes of another database."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.writes = 0

    async def read(self, work: Any) -> Any:
        return await self._database.read(work)

    async def write(self, work: Any) -> Any:
        self.writes += 1
        return await self._database.write(work)


class World:
    """A server, and what clients have."""

    def __init__(self, folder: Path, *, shares: World | None = None, label: Any = None, **section: Any) -> None:
        self.folder = folder
        database: Any = shares.database if shares else None
        self.house = house = Installation(shares=shares.house if shares else None)
        self.database = database or CountingDatabase(house.database)
        if shares is None:
            house.make_hierarchy(profiles=(PROFILE, "tls-server"))
        self.vendor = shares.vendor if shares else make("vendor", is_ca=True, now=house.clock.now())
        (folder / "vendor.pem").write_bytes(self.vendor.pem)
        values = {
            "labels": [{**LABEL, **(label or {})}],
            "default_label": "devices",
            "profiles": [PROFILE],
            "trust": [{"name": "vendors", "anchors": "vendor.pem"}],
            "registration_authorities": [{"trust": "vendors"}],
            **section,
        }
        self.configuration = CMPConfig.model_validate(values)
        certificate_store = Certificates(house.database)
        self.approvals = Approvals(
            clock=house.clock,
            random=Random(3),
            database=house.database,
            authorities=house.registry,
            certificates=certificate_store,
            issuance=house.issuance,
            audit=house.audit,
        )
        self.secrets = EnrollmentSecrets(
            clock=house.clock,
            random=Random(f"{id(self)}"),
            database=house.database,
            audit=house.audit,
            master_key=MasterKey(b"m" * 32, Random(2).randbytes),
        )
        self.services = cast(
            Services,
            SimpleNamespace(
                clock=house.clock,
                random=Random(f"{id(self)} nonces"),
                database=self.database,
                keys=house.keys,
                authorities=house.registry,
                issuance=house.issuance,
                approvals=self.approvals,
                revocation=house.revocation,
                status=house.status,
                publication=house.publication,
                certificates=certificate_store,
                profiles=house.profiles,
                public=PublicAddress(http="http://pki.example", https="https://pki.example"),
                tenants=frozenset({"demo"}),
                enrollment_secrets=self.secrets,
                folder=folder,
            ),
        )
        self.assembled = assemble(
            self.configuration,
            self.services,
            macs=InlinePool(),
            keys=InlinePool(),
            key_generation_authorities=KeyGenerationAuthorities(clock=house.clock),
        )
        self.labels = Labels(self.configuration, tenants=["demo"])
        endpoint = CMPEndpoint(
            service=self.assembled.service, paths=self.labels, max_message_octets=self.configuration.max_message_bytes
        )
        self.router = Router(endpoint.routes())
        self.key = ec.generate_private_key(ec.SECP256R1())

    # Asking

    def send(self, message_der: bytes, *, operation: str = "") -> bytes:
        """The answer of the label's path."""
        address = Address(
            terms=self.labels.by_label("devices"), operation=operation, peer="192.0.2.7", request_id="r-1"
        )
        return result_of(self.assembled.service.answer(message_der, address))

    def post(self, path: str, body: bytes, content_type: str = "application/pkixcmp", method: str = "POST") -> Response:
        """The answer over HTTP."""
        match = self.router.resolve(method, path)
        request = Request(
            method=method,
            target=path.encode(),
            path=path,
            query="",
            headers=((b"content-type", content_type.encode()),),
            body=body,
            parameters=match.parameters,
            peer="192.0.2.7",
            request_id="r-1",
        )
        return cast(Response, result_of(cast(Any, match.route.handler(request))))

    def secret(self, **values: Any) -> NewSecret:
        """A new secret, good for any number of certificates unless told otherwise."""
        terms = {"identity": "device 7", "lifetime": timedelta(days=30), "one_time": False, **values}
        return result_of(self.secrets.create(purpose="cmp", by=ALICE, **terms))

    def client(self, protection: ByMAC | BySignature | None = None, **values: Any) -> CMPClient:
        """A client of a new secret, unless it has something else."""
        if protection is None:
            new = self.secret()
            protection = ByMAC(new.terms.reference, new.secret.encode())
        return CMPClient(self.send, protection, **{"now": self.house.clock.now(), **values})

    def enrolled(self, name: str = "device", **fields: Any) -> BySignature:
        """A client that has a certificate, confirmed, and signs with it."""
        key = ec.generate_private_key(ec.SECP256R1())
        client = self.client()
        answer = client.ask(ir(signed_request(key, name, **fields)))
        client.ask(confirmation(answer))
        return BySignature(key, certificate(answer).public_bytes(Encoding.DER))

    def by_vendor(self, name: str = "machine", usage: x509.ObjectIdentifier | None = None) -> BySignature:
        """A client with a certificate of the vendor."""
        party: Party = make(name, self.vendor, now=self.house.clock.now(), usage=usage)
        return BySignature(party.key, party.der)

    def registration_authority(self) -> BySignature:
        """One that the vendor vouches for."""
        return self.by_vendor("registration authority", CMC_RA)

    # Looking

    def count(self) -> int:
        """How many certificates were issued."""

        def work(connection: Any) -> int:
            query = select(func.count()).select_from(certificates).where(certificates.c.protocol == "cmp")
            return int(connection.execute(query).scalar_one())

        return result_of(self.house.database.read(work))

    def states(self) -> list[TransactionState]:
        """Of all transactions, the oldest first."""

        def work(connection: Any) -> list[TransactionState]:
            query = select(cmp_transactions.c.state).order_by(cmp_transactions.c.created_at)
            return [TransactionState(each) for each in connection.scalars(query)]

        return result_of(self.house.database.read(work))

    def status(self, certificate: x509.Certificate) -> CertificateStatus:
        """What OCSP would say."""
        authority = self.house.get(CAReference("demo", "issuing"))
        record = result_of(self.services.certificates.find(authority.id, certificate.serial_number))
        return record.status

    def pass_time(self, span: timedelta) -> None:
        """Let time pass, and the job run."""
        self.house.clock.advance(span)
        result_of(self.assembled.unconfirmed.run())

    def decide(self, *, approve: bool) -> None:
        """What an administrator says to the oldest request that waits."""
        [kept, *_] = [each for each in result_of(self.approvals.list()) if each.state.value == "waiting"]
        if approve:
            result_of(self.approvals.approve(kept.id, ALICE))
        else:
            result_of(self.approvals.deny(kept.id, ALICE, "not this one"))


def with_header(message: PKIMessage, **header: Any) -> PKIMessage:
    """The message with other fields of its header."""
    return replace(message, header=replace(message.header, **header))
