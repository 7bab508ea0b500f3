"""Puts the timestamping authority together for the daemon."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from prometheus_client import Histogram
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.health import Health
from cspd.plugin import EnrollmentURL, ProtocolService, PublicAddress, Services
from cspd.refusals import Refused
from cspd.timekeeping.interfaces import TimeSource
from cspd.timekeeping.metrics import ClockCollector
from cspd.timekeeping.monitor import ClockMonitor
from cspd.timekeeping.settings import ClockSettings, LeapRule
from protocols.tsp import codec
from protocols.tsp.config import UNVERIFIED, ClockConfig, LeapPolicy, TSPConfig
from protocols.tsp.endpoint import TimeStampEndpoint
from protocols.tsp.gen_times import StoredGenTimes
from protocols.tsp.issuing import TokenIssuer, TokenServices
from protocols.tsp.log_operations import LogOperations
from protocols.tsp.operations import AuthorityOperations
from protocols.tsp.request_events import RequestEvents
from protocols.tsp.serials import StoredSerialNumbers
from protocols.tsp.service import TimeStampService
from protocols.tsp.timestamp_log import StoredTimestampLog
from protocols.tsp.timestamp_records import TimestampRecords
from protocols.tsp.unit_assembly import build_units

_log = Logger()


def build(configuration: TSPConfig, services: Services) -> ProtocolService:
    """Build the authority with all its issuers.

    Raises Rejected for a certificate that must not sign tokens, and NotFound for a time source that there is not.
    """
    source, settings = _time_source(configuration.clock, services)
    clock = ClockMonitor(
        source, settings, reactor=services.reactor, clock=services.clock, monotonic=monotonic, part="tsp-clock"
    )
    clock_metrics = ClockCollector(
        clock.state, source=configuration.clock.source, max_error=configuration.clock.max_error.total_seconds()
    )
    units = build_units(configuration, services)
    serial_numbers = StoredSerialNumbers(services.database, services.clock, services.random.randbytes)
    gen_times = StoredGenTimes(services.database, services.clock, tolerance=2 * configuration.clock.max_error)
    log = StoredTimestampLog(services.database, services.node)
    events = RequestEvents(configuration.issuers, log_requests=configuration.log_requests)
    signing = Histogram("cspd_tsp_signing_seconds", "Making the signature of a token.", ("issuer",), registry=None)
    observe = {issuer.id: signing.labels(issuer.id).observe for issuer in configuration.issuers}
    token_services = TokenServices(
        clock=clock,
        units=units.units,
        keys=services.keys,
        serial_numbers=serial_numbers,
        gen_times=gen_times,
        log=log,
        monotonic=monotonic,
        signed=lambda issuer, seconds: observe[issuer](seconds),
    )
    service = TimeStampService(
        issuers={issuer.id: TokenIssuer(issuer, token_services) for issuer in configuration.issuers},
        events=events,
        limits=codec.RequestLimits(request_octets=configuration.max_request_bytes),
    )

    def start() -> None:
        if configuration.clock.source == UNVERIFIED:
            _log.warn("timestamps are made by the clock of this machine, which nobody verifies")
        clock.start()
        units.start()
        Deferred.fromCoroutine(_reserve(serial_numbers))

    async def stop() -> None:
        await clock.stop()
        await units.stop()
        units.units.give_up()
        await serial_numbers.drain()
        await gen_times.drain()
        await log.drain()

    def health() -> tuple[Health, ...]:
        return (clock.health(), *units.units.health())

    operations = AuthorityOperations(
        clock=services.clock,
        source=source,
        settings=settings,
        issuers=configuration.issuers,
        units=units.units,
        base_url=services.public.http,
    )
    return ProtocolService(
        routes=TimeStampEndpoint(service=service, config=configuration).routes(),
        jobs=units.jobs,
        start=start,
        stop=lambda: Deferred.fromCoroutine(stop()),
        enrollment_urls=[_url(issuer.id, services.public) for issuer in configuration.issuers],
        operations=(*operations.operations(), *LogOperations(TimestampRecords(services.database)).operations()),
        health=health,
        metrics=(*events.metrics, signing, units.units, clock_metrics),
    )


def _time_source(config: ClockConfig, services: Services) -> tuple[TimeSource, ClockSettings]:
    make_source = services.connector("time-source", config.source)
    source: TimeSource = make_source(
        config.address,
        timeout=config.connect_timeout,
        reactor=services.reactor,
        random=services.random,
    )
    settings = ClockSettings(
        poll_interval=config.poll_interval,
        connect_timeout=config.connect_timeout,
        max_error=config.max_error,
        leap=LeapRule.MARK if config.leap is LeapPolicy.MARK else LeapRule.REFUSE,
    )
    return source, settings


async def _reserve(serial_numbers: StoredSerialNumbers) -> None:
    with suppress(Refused):  # logged where it failed; the first request tries again
        await serial_numbers.start()


def _url(issuer: str, public: PublicAddress) -> EnrollmentURL:
    url = f"{public.http}/tsa/{issuer}"
    anchor = public.trust_anchor
    verify = "" if anchor is None else f" && openssl ts -verify -queryfile q.tsq -in r.tsr -CAfile {anchor}"
    return EnrollmentURL(
        what=f"Timestamps of {issuer}",
        url=url,
        command="date > data.txt && openssl ts -query -data data.txt -sha256 -cert -out q.tsq"
        f" && curl -sS -H 'Content-Type: application/timestamp-query' --data-binary @q.tsq -o r.tsr {url}{verify}",
    )
