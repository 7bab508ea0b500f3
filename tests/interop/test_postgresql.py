"""The store on a real PostgreSQL: the contract, two nodes on one database, and a server that dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError
from twisted.internet.defer import Deferred, DeferredList

from cspd.audit.chain import HashChain
from cspd.audit.events import AuditEvent
from cspd.audit.verification import verify
from cspd.clock import SystemClock
from cspd.jobs import leases
from cspd.jobs.leases import JobRecord
from cspd.refusals import Unavailable
from cspd.store import schema
from cspd.store.config import StoreConfig
from cspd.store.database import ThreadedDatabase, open_database
from cspd.store.secrets import SharedSecrets
from cspd.store.tables import certificates
from tests.support.clocks import FrozenClock
from tests.support.database_contract import DatabaseContract, Run, count
from tests.support.postgresql import PostgreSQLServer, postgresql, postgresql_server
from tests.support.records import MOMENT, add_authority, add_certificate
from tests.support.schemas import differences
from tests.support.threads import CallQueue

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures


@pytest.fixture
def calls() -> CallQueue:
    return CallQueue()


@pytest.fixture
def nodes(postgresql: str, calls: CallQueue) -> Iterator[tuple[ThreadedDatabase, ThreadedDatabase]]:
    schema.upgrade(postgresql)
    nodes = (open_database(postgresql, reactor=calls), open_database(postgresql, reactor=calls))
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        calls.result_of(node.stop())


@pytest.fixture
def database(nodes: tuple[ThreadedDatabase, ThreadedDatabase]) -> ThreadedDatabase:
    return nodes[0]


@pytest.fixture
def run(calls: CallQueue) -> Run:
    return calls.result_of


class TestPostgreSQL(DatabaseContract):
    pass


def test_sessions_are_durable_in_utc_and_never_wait_for_ever(database: ThreadedDatabase, run: Run) -> None:
    def settings(connection: Connection) -> dict[str, object]:
        names = ("synchronous_commit", "timezone", "lock_timeout", "statement_timeout")
        return {name: connection.execute(text(f"SHOW {name}")).scalar() for name in names}

    assert run(database.write(settings)) == {
        "synchronous_commit": "on",
        "timezone": "UTC",
        "lock_timeout": "10s",
        "statement_timeout": "1min",
    }


def test_a_weaker_default_of_the_role_does_not_take_durability_away(
    postgresql_server: PostgreSQLServer, database: ThreadedDatabase, run: Run
) -> None:
    postgresql_server.execute("ALTER ROLE postgres SET synchronous_commit = off")
    try:
        query = text("SHOW synchronous_commit")
        assert run(database.write(lambda connection: connection.execute(query).scalar())) == "on"
    finally:
        postgresql_server.execute("ALTER ROLE postgres RESET synchronous_commit")


def test_a_reader_cannot_write_and_sees_one_snapshot(
    nodes: tuple[ThreadedDatabase, ThreadedDatabase], calls: CallQueue
) -> None:
    one, two = nodes
    calls.result_of(one.write(add_authority))
    with pytest.raises(Unavailable) as refused:
        calls.result_of(one.read(lambda connection: add_certificate(connection, 1)))
    assert "read-only" in refused.value.detail

    between = threading.Event()
    looked = threading.Event()

    def look_twice(connection: Connection) -> tuple[int, int]:
        first = count(connection)
        looked.set()
        assert between.wait(30)
        return first, count(connection)

    reading = Deferred.fromCoroutine(one.read(look_twice))
    assert looked.wait(30)
    calls.result_of(two.write(lambda connection: add_certificate(connection, 1)))
    between.set()
    assert calls.result_of(reading) == (0, 0)
    assert calls.result_of(one.read(count)) == 1


def test_a_work_that_hides_a_failed_statement_is_not_taken_for_durable(database: ThreadedDatabase, run: Run) -> None:
    def hide(connection: Connection) -> None:
        add_certificate(connection, 1)
        with pytest.raises(IntegrityError):
            add_certificate(connection, 1)

    async def among_others() -> list[tuple[bool, object]]:
        works = [lambda connection: add_certificate(connection, 2), hide, lambda c: add_certificate(c, 3)]
        return await DeferredList([Deferred.fromCoroutine(database.write(w)) for w in works], consumeErrors=True)

    run(database.write(add_authority))
    with pytest.raises(RuntimeError, match="went on after a statement"):
        run(database.write(hide))
    assert run(database.read(count)) == 0
    assert [worked for worked, _ in run(among_others())] == [True, False, True]
    assert run(database.read(count)) == 2


def test_a_deadlock_between_nodes_is_run_again_and_both_succeed(
    nodes: tuple[ThreadedDatabase, ThreadedDatabase], calls: CallQueue
) -> None:
    calls.result_of(nodes[0].write(add_authority))
    for serial in (1, 2):
        calls.result_of(nodes[0].write(lambda connection, serial=serial: add_certificate(connection, serial)))
    first_locks = threading.Barrier(2, timeout=30)
    runs = []

    def crosswise(first: int, second: int) -> object:
        def lock(connection: Connection, serial: int) -> None:
            connection.execute(select(certificates.c.state).where(certificates.c.serial == serial).with_for_update())

        def work(connection: Connection) -> None:
            runs.append((first, second))
            lock(connection, first)
            if len(runs) <= 2:
                first_locks.wait()
            lock(connection, second)

        return work

    both = [
        Deferred.fromCoroutine(node.write(crosswise(*order)))
        for node, order in zip(nodes, ((1, 2), (2, 1)), strict=True)
    ]
    assert [worked for worked, _ in calls.result_of(DeferredList(both))] == [True, True]
    assert len(runs) == 3


def test_two_nodes_that_write_one_chain_by_mistake_keep_it_sound(
    nodes: tuple[ThreadedDatabase, ThreadedDatabase], calls: CallQueue
) -> None:
    chains = [HashChain(node, SystemClock(), "node-1") for node in nodes]
    event = AuditEvent(event="certificate-issued", actor="acme:a")
    waiting = [Deferred.fromCoroutine(chain.record(event)) for _ in range(100) for chain in chains]
    assert all(worked for worked, _ in calls.result_of(DeferredList(waiting, consumeErrors=True)))
    report = calls.result_of(nodes[0].read(verify))
    assert (report.events, report.breaks) == (200, ())


def test_two_nodes_that_make_a_secret_at_once_get_the_same(
    nodes: tuple[ThreadedDatabase, ThreadedDatabase], calls: CallQueue
) -> None:
    for name in ("nonces", "identity", "cookies"):
        makers = [
            SharedSecrets(
                database=node, clock=FrozenClock(), random_bytes=lambda size, fill=number: bytes([fill]) * size
            )
            for number, node in enumerate(nodes)
        ]
        results = calls.result_of(DeferredList([Deferred.fromCoroutine(maker.get(name)) for maker in makers]))
        assert len({secret for _, secret in results}) == 1


@pytest.mark.requirement("R-CEG-158")
def test_of_two_nodes_that_claim_a_moment_one_wins(
    nodes: tuple[ThreadedDatabase, ThreadedDatabase], calls: CallQueue
) -> None:
    def find(connection: Connection) -> JobRecord:
        return leases.find_or_create(connection, "acme-clean", MOMENT)

    def claim(owner: str, seen: JobRecord, due: datetime) -> Callable[[Connection], bool]:
        until = due + timedelta(minutes=1)
        return lambda connection: leases.claim(connection, seen, owner=owner, due=due, now=due, until=until)

    for minute in range(20):
        seen = calls.result_of(nodes[0].write(find))
        claims = [
            Deferred.fromCoroutine(node.write(claim(owner, seen, MOMENT + timedelta(minutes=minute))))
            for owner, node in zip(("one", "two"), nodes, strict=True)
        ]
        assert sorted(won for _, won in calls.result_of(DeferredList(claims))) == [False, True]


@pytest.mark.requirement("R-PLAT-115")
def test_a_server_that_dies_is_unavailable_and_used_again_when_it_is_back(calls: CallQueue) -> None:
    server = PostgreSQLServer()
    database = open_database(server.url(), reactor=calls)
    database.start()
    try:
        server.start()
        schema.upgrade(server.url())
        calls.result_of(database.write(add_authority))
        assert calls.result_of(database.read(count)) == 0

        server.kill()
        with pytest.raises(Unavailable) as refused:
            calls.result_of(database.write(lambda connection: add_certificate(connection, 1)))
        assert "127.0.0.1" not in refused.value.reason
        with pytest.raises(Unavailable):
            calls.result_of(database.read(count))
        assert not database.available

        server.start()
        calls.result_of(database.write(lambda connection: add_certificate(connection, 2)))
        assert calls.result_of(database.read(count)) == 1

        server.stop()
        server.start()  # a restart that nobody noticed: the idle connections are stale, and no caller sees that
        calls.result_of(database.write(lambda connection: add_certificate(connection, 3)))
        assert calls.result_of(database.read(count)) == 2
        assert database.available

        def lose_the_session(connection: Connection) -> None:
            add_certificate(connection, 4)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(Unavailable):
            calls.result_of(database.write(lose_the_session))
        assert calls.result_of(database.read(count)) == 2
    finally:
        calls.result_of(database.stop())
        server.remove()


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    encodings = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(*encodings)


@pytest.mark.requirement("R-PLAT-115")
@pytest.mark.requirement("R-CA-002")
def test_the_servers_certificate_and_name_are_verified(tmp_path: Path) -> None:
    tls = self_signed("localhost")
    (tmp_path / "issuer.pem").write_bytes(tls[0])
    (tmp_path / "other.pem").write_bytes(self_signed("localhost")[0])
    server = PostgreSQLServer(tls=tls)

    def upgrade(host: str, mode: str, ca_file: str) -> None:
        section = StoreConfig.model_validate(
            {
                "url": f"postgresql://postgres@{host}:{server.port}/postgres",
                "tls": {"mode": mode, "ca_file": str(tmp_path / ca_file)},
            }
        )
        schema.upgrade(section.engine_url())

    try:
        server.start()
        upgrade("localhost", "verify-full", "issuer.pem")
        upgrade("127.0.0.1", "verify-ca", "issuer.pem")
        for host, mode, ca_file in (
            ("127.0.0.1", "verify-full", "issuer.pem"),
            ("localhost", "verify-full", "other.pem"),
            ("localhost", "verify-ca", "other.pem"),
        ):
            with pytest.raises(Unavailable) as refused:
                upgrade(host, mode, ca_file)
            assert "certificate" in refused.value.detail
    finally:
        server.remove()


def test_nodes_that_start_at_once_make_the_schema_once(postgresql: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            schema.upgrade(postgresql)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert schema.current(postgresql) == schema.newest()


def test_the_steps_lead_to_the_declared_tables(postgresql: str) -> None:
    schema.upgrade(postgresql)
    assert differences(postgresql) == []
