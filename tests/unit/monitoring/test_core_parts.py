"""What the core says about itself: store, keys, CAs and CRLs, jobs, TLS certificates, issued certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from twisted.internet.task import Clock

from cspd.authority.crl import read_states
from cspd.authority.issuance import IssuancePipeline
from cspd.health import HealthState
from cspd.jobs.values import JobHistory
from cspd.keys.providers import ProviderHealth
from cspd.keys.service import Counters
from cspd.monitoring.authorities import AuthoritySource
from cspd.monitoring.certificates import TLSSource
from cspd.monitoring.interfaces import Source
from cspd.monitoring.issuance import IssuanceCounters
from cspd.monitoring.jobs import JobSource
from cspd.monitoring.keys import KeySource
from cspd.monitoring.process import ProcessSource
from cspd.monitoring.store import StoreCounters, StoreSource
from cspd.refusals import Unavailable
from tests.support.authorities import Installation
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.issuing import URLS, House, shipped_profiles
from tests.support.metrics import collected
from tests.support.running import result_of

OK, DEGRADED, FAILED = HealthState.OK, HealthState.DEGRADED, HealthState.FAILED
DAY = timedelta(days=1)


def states(source: Source) -> dict[str, tuple[HealthState, str]]:
    assert source.health is not None
    return {each.part: (each.state, each.reason) for each in source.health()}


# The store.


class LostDatabase(InlineDatabase):
    is_lost = False

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        if self.is_lost:
            raise Unavailable("the store cannot answer now", detail="connection refused")
        return await super().read(work)


@pytest.mark.requirement("R-PLAT-088")
def test_a_lost_store_shows_and_comes_back() -> None:
    database, reactor = LostDatabase(), Clock()
    source = StoreSource(database, reactor)
    seen = []
    for database.is_lost in (False, True, False):
        reactor.advance(1)
        result_of(source.probe.refresh())
        seen.append(states(source)["store"])
    assert seen == [(OK, ""), (FAILED, "connection refused"), (OK, "")]


def test_store_counters() -> None:
    @dataclass
    class Counting:
        batches: int = 2
        writes: int = 5
        reads: int = 7
        waiting_writes: int = 1
        waiting_reads: int = 0

    assert collected(StoreCounters(Counting())) == {
        ("cspd_store_works_total", ("read",)): 7.0,
        ("cspd_store_works_total", ("write",)): 5.0,
        ("cspd_store_commits_total", ()): 2.0,
        ("cspd_store_waiting", ("read",)): 0.0,
        ("cspd_store_waiting", ("write",)): 1.0,
    }


# Keys.


class FakeKeys:
    """Two providers."""

    def __init__(self) -> None:
        self.counters: Mapping[str, Counters] = {"software": Counters(3, 1, 0.5, 0.25), "HSM": Counters()}
        self.problem = ""
        self.checks = 0

    async def check(self) -> Sequence[ProviderHealth]:
        self.checks += 1
        return self.health()

    def health(self) -> Sequence[ProviderHealth]:
        return (
            ProviderHealth(name="software", available=True),
            ProviderHealth(name="HSM", available=not self.problem, reason=self.problem),
        )

    def queue_length(self, provider: str) -> int:
        return {"software": 0, "HSM": 4}[provider]


@pytest.mark.requirement("R-PLAT-088")
def test_a_token_that_fails_shows_by_its_provider_without_another_check() -> None:
    keys, reactor = FakeKeys(), Clock()
    source = KeySource(keys, reactor)
    result_of(source.probe.refresh())
    assert states(source) == {"keys-software": (OK, ""), "keys-hsm": (OK, "")}
    keys.problem = "token removed"
    assert states(source) == {"keys-software": (OK, ""), "keys-hsm": (FAILED, "token removed")}
    keys.problem = ""
    assert states(source)["keys-hsm"] == (OK, "")
    assert keys.checks == 1


def test_key_counters_by_provider() -> None:
    found = collected(KeySource(FakeKeys(), Clock()))
    assert {name: value for (name, labels), value in found.items() if labels == ("software",)} == {
        "cspd_key_signatures_total": 3.0,
        "cspd_key_failures_total": 1.0,
        "cspd_key_signing_seconds_total": 0.5,
        "cspd_key_longest_signing_seconds": 0.25,
        "cspd_key_queue_length": 0.0,
    }
    assert found["cspd_key_queue_length", ("HSM",)] == 4.0


# CAs and CRLs.


class Watched:
    """Root and issuing CA with CRLs of one day and delta CRLs of an hour, and what is said about them."""

    def __init__(self) -> None:
        self.house = Installation()
        _, self.issuing = self.house.make_hierarchy(crl_days=1, delta_crl_hours=1)
        self.source = AuthoritySource(
            self.house.registry, self.house.database, clock=self.house.clock, reactor=self.house.reactor
        )

    def look(self) -> dict[str, tuple[HealthState, str]]:
        self.house.reactor.advance(10)
        result_of(self.source.probe.refresh())
        return states(self.source)

    def publish(self) -> None:
        result_of(self.house.publication.publish(self.issuing))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_ca_without_a_crl_yet_is_well(watched: Watched) -> None:
    assert watched.look() == {"authorities": (OK, ""), "crls": (OK, "")}


def test_a_crl_is_fresh_then_late_then_expired_then_fresh_again(watched: Watched) -> None:
    watched.publish()
    assert watched.look()["crls"] == (OK, "")
    watched.house.clock.advance(timedelta(minutes=62))
    assert watched.look()["crls"] == (OK, "")
    watched.house.clock.advance(timedelta(minutes=2))
    assert watched.look()["crls"] == (DEGRADED, "that of demo~issuing (delta) is late")
    watched.house.clock.advance(timedelta(minutes=10))
    assert watched.look()["crls"] == (FAILED, "that of demo~issuing (delta) has expired")
    watched.house.clock.advance(timedelta(hours=26))
    state, reason = watched.look()["crls"]
    assert state is FAILED
    assert "that of demo~issuing has expired" in reason
    watched.publish()
    assert watched.look()["crls"] == (OK, "")


def test_of_each_crl_one_row_is_read(watched: Watched) -> None:
    """Older full CRLs stay in the table while delta CRLs complete them: many, at a CA that revokes all day."""
    watched.publish()
    watched.publish()

    class Counting:
        rows = 0

        def __init__(self, connection: Connection) -> None:
            self._connection = connection

        def execute(self, query: Any) -> Sequence[Any]:
            rows = self._connection.execute(query).all()
            Counting.rows += len(rows)
            return rows

    found = result_of(watched.house.database.read(lambda connection: read_states(cast(Any, Counting(connection)))))
    assert Counting.rows == len(found) == 2
    assert {state.number for state in found.values()} == {2}


def test_crl_metrics_are_those_of_the_newest(watched: Watched) -> None:
    watched.publish()
    watched.house.clock.advance(timedelta(minutes=30))
    watched.publish()
    watched.look()
    found = collected(watched.source)
    now = watched.house.clock.now().timestamp()
    full, delta = ("demo~issuing", "0", "full"), ("demo~issuing", "0", "delta")
    for labels in (full, delta):
        assert found["cspd_crl_number", labels] == 2.0
        assert found["cspd_crl_this_update_timestamp_seconds", labels] == now
        assert found["cspd_crl_entries", labels] == 0.0
        assert found["cspd_crl_expiration_warning", labels] == 0.0
    assert found["cspd_crl_next_update_timestamp_seconds", full] == now + 26.4 * 3600
    watched.house.clock.advance(timedelta(hours=2))
    found = collected(watched.source)
    assert found["cspd_crl_expiration_warning", delta] == 1.0
    assert found["cspd_crl_expiration_warning", full] == 0.0


@pytest.mark.requirement("R-PLAT-030")
def test_the_end_of_a_cas_certificate_is_a_metric_and_a_warning(watched: Watched) -> None:
    assert watched.issuing.certificate is not None
    end = watched.issuing.certificate.not_valid_after_utc
    watched.look()
    assert (
        collected(watched.source)["cspd_ca_certificate_expiry_timestamp_seconds", ("demo~issuing",)] == end.timestamp()
    )
    watched.house.clock.advance(end - watched.house.clock.now() - timedelta(days=30))
    assert watched.look()["authorities"] == (OK, "")
    watched.house.clock.advance(timedelta(seconds=1))
    assert watched.look()["authorities"] == (DEGRADED, f"the certificate of demo~issuing ends on {end:%Y-%m-%d}")


# TLS.


@dataclass
class Certificate:
    expires: datetime
    warning: timedelta = timedelta(days=30)

    def expires_soon(self, now: datetime) -> bool:
        return now + self.warning >= self.expires


@pytest.mark.requirement("R-PLAT-030")
def test_the_end_of_a_tls_certificate_is_a_metric_and_warned_of_from_the_configured_time_on() -> None:
    clock = FrozenClock()
    end = clock.now() + 60 * DAY
    source = TLSSource({"early": Certificate(end, 50 * DAY), "late": Certificate(end, 5 * DAY)}, clock)
    assert collected(source) == {
        ("cspd_tls_certificate_expiry_timestamp_seconds", (name,)): end.timestamp() for name in ("early", "late")
    }
    seen = []
    for days in (9, 2, 45, 5):
        clock.advance(timedelta(days=days))
        seen.append(states(source)["tls"])
    assert seen == [
        (OK, ""),
        (DEGRADED, f"the certificate of the listener early ends on {end:%Y-%m-%d}"),
        (
            DEGRADED,
            "; ".join(f"the certificate of the listener {name} ends on {end:%Y-%m-%d}" for name in ("early", "late")),
        ),
        (
            FAILED,
            "the certificate of the listener early has expired; the certificate of the listener late has expired",
        ),
    ]


# Jobs.


@dataclass
class FakeJobs:
    history: Mapping[str, JobHistory]


def test_a_job_is_degraded_for_an_hour_after_a_failure_unless_it_succeeds_before() -> None:
    clock = FrozenClock()
    now = clock.now()
    good = JobHistory(runs=2, failures=1, last_success=now, last_failure=now - DAY)
    bad = JobHistory(runs=1, failures=1, last_failure=now, last_run_failed=True)
    source = JobSource(FakeJobs({"good": good, "bad": bad, "new": JobHistory()}), clock)
    assert states(source) == {"jobs": (DEGRADED, "failed when last run: bad")}
    bad.last_run_failed = False
    assert states(source) == {"jobs": (OK, "")}
    bad.last_run_failed = True
    clock.advance(timedelta(hours=1))
    assert states(source) == {"jobs": (OK, "")}


def test_job_metrics() -> None:
    clock = FrozenClock()
    source = JobSource(
        FakeJobs({"a": JobHistory(runs=3, failures=1, last_success=clock.now()), "b": JobHistory()}), clock
    )
    assert collected(source) == {
        ("cspd_job_runs_total", ("a",)): 3.0,
        ("cspd_job_runs_total", ("b",)): 0.0,
        ("cspd_job_failures_total", ("a",)): 1.0,
        ("cspd_job_failures_total", ("b",)): 0.0,
        ("cspd_job_last_success_timestamp_seconds", ("a",)): clock.now().timestamp(),
    }


# Issuance and the process.


def test_certificates_are_counted_when_they_are_stored() -> None:
    house, counters = House(), IssuanceCounters()
    pipeline = IssuancePipeline(
        clock=house.clock,
        random=house.random,
        database=house.database,
        keys=house.keys,
        authorities=house.authorities,
        profiles=shipped_profiles(),
        audit=house.audit,
        urls=URLS,
        after_issue=counters.note,
    )
    for _ in range(2):
        result_of(pipeline.enroll(house.request()))
    request = house.request()
    with pytest.raises(Exception, match="profile"):
        result_of(pipeline.enroll(house.request("no-such-profile")))
    expected = ("cspd_certificates_issued_total", ("tls-client", request.requester.protocol))
    assert collected(counters) == {expected: 2.0}


def test_the_process_tells_its_version_and_memory() -> None:
    found = {name: value for each in ProcessSource().metrics for (name, _), value in collected(each).items()}
    assert found["cspd_build_info"] == 1.0
    assert found["process_resident_memory_bytes"] > 1e6
