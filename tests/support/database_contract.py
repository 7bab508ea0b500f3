"""What every implementation of :class:`cspd.store.interfaces.Database` has to do; each runs this whole class."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from twisted.internet.defer import Deferred, DeferredList

from cspd.audit.chain import HashChain, head
from cspd.audit.events import AuditEvent
from cspd.audit.verification import BreakKind, export, tail, verify
from cspd.refusals import Conflict, NotFound
from cspd.store.interfaces import Database
from cspd.store.secrets import SharedSecrets
from cspd.store.tables import audit_events, certificates, organizations, shared_secrets, status_changes
from tests.support.clocks import FrozenClock
from tests.support.records import AUTHORITY, MOMENT, add_authority, add_certificate

Run = Callable[[Coroutine[Any, Any, Any]], Any]
LARGEST_SERIAL = (1 << 159) - 1


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(certificates)).scalar_one()


class DatabaseContract:
    """Subclasses give the fixtures ``database`` (with the schema) and ``run`` (a coroutine to its result)."""

    @pytest.fixture(autouse=True)
    def _authority(self, database: Database, run: Run) -> None:
        run(database.write(add_authority))

    def test_what_was_written_is_read(self, database: Database, run: Run) -> None:
        run(database.write(lambda connection: add_certificate(connection, LARGEST_SERIAL, certificate_der=b"\x00\xff")))
        row = run(database.read(lambda connection: connection.execute(select(certificates)).one()))
        assert row.serial == LARGEST_SERIAL
        assert row.certificate_der == b"\x00\xff"
        assert row.revoked_at is None

    @pytest.mark.requirement("R-PLAT-067")
    def test_times_are_utc_whatever_zone_they_were_given_in(self, database: Database, run: Run) -> None:
        tokyo = MOMENT.astimezone(timezone(timedelta(hours=9)))
        run(
            database.write(
                lambda c: c.execute(insert(organizations).values(name="tokyo", administrators=[], created_at=tokyo))
            )
        )
        query = select(organizations.c.created_at).where(organizations.c.name == "tokyo")
        stored = run(database.read(lambda connection: connection.execute(query).scalar_one()))
        assert stored == MOMENT
        assert stored.tzinfo is UTC

    def test_the_result_of_a_write_comes_back(self, database: Database, run: Run) -> None:
        assert run(database.write(lambda connection: ("a", count(connection)))) == ("a", 0)

    def test_a_work_may_find_that_there_is_nothing_to_do(self, database: Database, run: Run) -> None:
        assert run(database.write(lambda connection: "nothing")) == "nothing"

    def test_a_work_that_raises_undoes_all_it_wrote(self, database: Database, run: Run) -> None:
        def work(connection: Connection) -> None:
            add_certificate(connection, 1)
            raise Conflict("no")

        with pytest.raises(Conflict, match="no"):
            run(database.write(work))
        assert run(database.read(count)) == 0

    def test_a_broken_constraint_is_the_works_own_error(self, database: Database, run: Run) -> None:
        run(database.write(lambda connection: add_certificate(connection, 1)))
        with pytest.raises(IntegrityError):
            run(database.write(lambda connection: add_certificate(connection, 1)))
        run(database.write(lambda connection: add_certificate(connection, 2)))
        assert run(database.read(count)) == 2

    @pytest.mark.requirement("R-PLAT-079")
    def test_an_error_does_not_show_the_values_of_its_statement(self, database: Database, run: Run) -> None:
        def work(connection: Connection) -> None:
            row = {"name": "nonces", "value": b"s3cret-value", "created_at": MOMENT}
            connection.execute(insert(shared_secrets).values(row))
            connection.execute(insert(shared_secrets).values(row))

        with pytest.raises(IntegrityError) as raised:
            run(database.write(work))
        assert "s3cret" not in str(raised.value)

    def test_foreign_keys_are_enforced(self, database: Database, run: Run) -> None:
        def work(connection: Connection) -> None:
            add_certificate(connection, 1)
            connection.execute(update(certificates).values(authority_id="b" * 32))

        with pytest.raises(IntegrityError):
            run(database.write(work))

    def test_a_work_may_use_savepoints_of_its_own(self, database: Database, run: Run) -> None:
        def work(connection: Connection) -> None:
            add_certificate(connection, 1)
            with pytest.raises(IntegrityError), connection.begin_nested():
                add_certificate(connection, 1)
            add_certificate(connection, 2)

        run(database.write(work))
        assert run(database.read(count)) == 2

    def test_a_read_raises_what_its_work_raises(self, database: Database, run: Run) -> None:
        def work(connection: Connection) -> None:
            raise NotFound("nothing there")

        with pytest.raises(NotFound, match="nothing there"):
            run(database.read(work))
        assert run(database.read(count)) == 0

    def test_status_changes_number_themselves_upwards(self, database: Database, run: Run) -> None:
        def change(connection: Connection) -> int:
            row = {"authority_id": AUTHORITY, "serial": 1, "state": "revoked", "changed_at": MOMENT}
            key = connection.execute(insert(status_changes).values(row)).inserted_primary_key
            assert key is not None
            return int(key[0])

        first, second = run(database.write(change)), run(database.write(change))
        assert second > first

    def test_a_shared_secret_is_made_once(self, database: Database, run: Run) -> None:
        clock = FrozenClock()
        one = SharedSecrets(database=database, clock=clock, random_bytes=lambda size: b"1" * size)
        two = SharedSecrets(database=database, clock=clock, random_bytes=lambda size: b"2" * size)
        assert run(one.get("nonces")) == b"1" * 32
        assert run(two.get("nonces")) == b"1" * 32
        assert run(two.get("other")) == b"2" * 32

    def test_audit_events_form_a_chain(self, database: Database, run: Run) -> None:
        chain = HashChain(database, FrozenClock(MOMENT), "node-1")
        for number in range(3):
            run(chain.record(AuditEvent(event="ca-created", actor="cspctl:root", fields={"number": number})))
        report = run(database.read(verify))
        assert report.is_sound
        assert report.events == 3
        assert report.heads == {"node-1": run(database.read(lambda connection: head(connection, "node-1")))}

    def test_the_chain_goes_on_after_an_undone_append_and_in_a_new_process(self, database: Database, run: Run) -> None:
        chain = HashChain(database, FrozenClock(), "node-1")
        event = AuditEvent(event="certificate-issued", actor="acme:a")

        def failing(connection: Connection) -> None:
            chain.append(connection, event)
            chain.append(connection, event)
            raise Conflict("no")

        run(chain.record(event))
        with pytest.raises(Conflict):
            run(database.write(failing))
        run(chain.record(event))
        run(HashChain(database, FrozenClock(), "node-1").record(event))
        run(chain.record(event))
        report = run(database.read(verify))
        assert report.breaks == ()
        assert report.heads["node-1"].sequence == 4

    def test_an_actor_of_hostile_characters_is_kept_readable(self, database: Database, run: Run) -> None:
        chain = HashChain(database, FrozenClock(), "node-1")
        hostile = "acme:\x00\ud800\n'--"
        run(chain.record(AuditEvent(event="request-refused", actor=hostile, fields={"name": hostile})))
        (event,) = run(database.read(lambda connection: tail(connection, 5)))
        assert event.actor == "acme:\\x00\\ud800\n'--"
        assert run(database.read(verify)).is_sound

    def test_tampering_shows_where_it_was_done(self, database: Database, run: Run) -> None:
        chain = HashChain(database, FrozenClock(), "node-1")
        for number in range(9):
            run(chain.record(AuditEvent(event="ca-created", actor="cspctl:root", fields={"number": number})))
        published = run(database.read(verify)).heads

        def tamper(connection: Connection) -> None:
            rows = audit_events.c.sequence
            connection.execute(update(audit_events).where(rows == 2).values(actor="cspctl:nobody"))
            connection.execute(delete(audit_events).where(rows == 4))
            connection.execute(update(audit_events).where(rows == 6).values(previous_hash="f" * 64))
            connection.execute(delete(audit_events).where(rows == 9))

        run(database.write(tamper))
        report = run(database.read(verify))
        assert [(found.sequence, found.kind) for found in report.breaks] == [
            (2, BreakKind.CHANGED),
            (5, BreakKind.MISSING),
            (6, BreakKind.CHANGED),
            (6, BreakKind.UNLINKED),
        ]
        with_heads = run(database.read(lambda connection: verify(connection, known_heads=published)))
        assert with_heads.breaks[-1].kind is BreakKind.MISSING
        assert with_heads.breaks[-1].sequence == 9
        assert len(run(database.read(lambda connection: list(export(connection, "node-1"))))) == 7

    def test_concurrent_writes_all_arrive_and_each_knows_its_own_result(self, database: Database, run: Run) -> None:
        chain = HashChain(database, FrozenClock(), "node-1")

        def work(number: int) -> Callable[[Connection], int]:
            def write(connection: Connection) -> int:
                add_certificate(connection, number)
                chain.append(connection, AuditEvent(event="certificate-issued", actor="acme:a"))
                if number % 3 == 0:
                    raise Conflict(str(number))
                return number

            return write

        async def all_of_them() -> list[int | str]:
            waiting = [Deferred.fromCoroutine(database.write(work(number))) for number in range(1, 301)]
            results = await DeferredList(waiting, consumeErrors=True)
            return [result if worked else str(result.value) for worked, result in results]

        assert run(all_of_them()) == [number if number % 3 else str(number) for number in range(1, 301)]
        assert run(database.read(count)) == 200
        report = run(database.read(verify))
        assert (report.events, report.breaks) == (200, ())
