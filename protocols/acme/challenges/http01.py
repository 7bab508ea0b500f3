"""http-01: a document on port 80 of the host (RFC 8555, 8.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater

from cspd.dns.messages import AAAA, A
from cspd.dns.resolver import LookupFailed, Resolver
from protocols.acme.challenges.addresses import AddressRules, IPAddress
from protocols.acme.challenges.http_client import Fetch, Fetched, FetchFailed, HTTPClient
from protocols.acme.challenges.values import Target, ValidationFailed
from protocols.acme.config import HTTP01Config
from protocols.acme.errors import ErrorType
from protocols.acme.identifiers import normalize_dns_name

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 50
"""R-CEG-108."""
MAX_ADDRESSES = 4
"""Addresses of one host tried in one attempt."""
MAX_TARGET = 2048
"""Characters of a redirect's path and query."""

# RFC 6761, 6.3: never asked of a nameserver.
_LOCALHOST: tuple[IPAddress, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the document is looked for next."""

    scheme: str
    name: str
    port: int
    target: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}:{self.port}{self.target}"


class HTTP01:
    """Implements :class:`protocols.acme.challenges.values.ChallengeType`."""

    name = "http-01"
    proves_wildcards = False

    def __init__(
        self,
        *,
        reactor: Any,
        client: HTTPClient,
        resolver: Resolver,
        rules: AddressRules,
        configuration: HTTP01Config,
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._resolver = resolver
        self._rules = rules
        self._configuration = configuration
        self._ports: Mapping[str, int] = {"http": configuration.port, "https": configuration.https_port}

    async def validate(self, target: Target) -> None:
        """Fetch and compare; connection errors, timeouts and 503 are tried again (R-CEG-110, R-CEG-111)."""
        retries = 0
        while True:
            try:
                return await self._attempt(target)
            except ValidationFailed as failed:
                if not failed.may_pass_later or retries >= self._configuration.retry_count:
                    raise
            await deferLater(self._reactor, self._configuration.retry_interval or (2 if retries else 1))
            retries += 1

    async def _attempt(self, target: Target) -> None:
        attempt = Deferred.fromCoroutine(self._fetch_and_compare(target))
        try:
            await attempt.addTimeout(self._configuration.attempt_timeout, self._reactor)
        except DeferredTimeout as error:
            raise ValidationFailed(
                ErrorType.CONNECTION, f"{target.name} did not answer in time", may_pass_later=True
            ) from error

    async def _fetch_and_compare(self, target: Target) -> None:
        place = _Place("http", target.name, self._ports["http"], f"/.well-known/acme-challenge/{target.token}")
        for _ in range(MAX_REDIRECTS + 1):
            fetched = await self._fetch(place)
            if fetched.status not in REDIRECTS:
                return _compare(fetched, target, place)
            if not self._configuration.follow_redirects:
                raise _wrong(f"{place.url} redirects ({fetched.status}); redirects are not followed here")
            place = self._redirected(place, fetched)
        raise _wrong(f"{target.name} redirects more than {MAX_REDIRECTS} times")

    async def _fetch(self, place: _Place) -> Fetched:
        addresses = [address for address in await self._addresses(place.name) if self._rules.permit(address)]
        if not addresses:
            raise ValidationFailed(ErrorType.CONNECTION, f"{place.name} has no address that validation may connect to")
        is_default_port = place.port == {"http": 80, "https": 443}[place.scheme]
        last = FetchFailed("", may_pass_later=False)
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._client.fetch(
                    Fetch(
                        address=address,
                        port=place.port,
                        host=place.name if is_default_port else f"{place.name}:{place.port}",
                        target=place.target,
                        tls_name=place.name if place.scheme == "https" else None,
                    )
                )
            except FetchFailed as failed:
                last = failed
                if not failed.may_pass_later:
                    break
        raise ValidationFailed(
            ErrorType.CONNECTION, f"{place.url}: {last.detail}", may_pass_later=last.may_pass_later
        ) from last

    async def _addresses(self, name: str) -> tuple[IPAddress, ...]:
        """The host's addresses, IPv4 first."""
        if name == "localhost" or name.endswith(".localhost"):
            return _LOCALHOST if self._configuration.ipv6 else _LOCALHOST[:1]
        try:
            found: list[IPAddress] = [
                ipaddress.IPv4Address(data) for data in await self._resolver.lookup(name, A) if len(data) == 4
            ]
            if self._configuration.ipv6:
                found += [
                    ipaddress.IPv6Address(data) for data in await self._resolver.lookup(name, AAAA) if len(data) == 16
                ]
        except LookupFailed as failed:
            raise ValidationFailed(ErrorType.DNS, str(failed), may_pass_later=failed.may_pass_later) from failed
        if not found:
            raise ValidationFailed(ErrorType.DNS, f"DNS: {name} has no address")
        return tuple(found)

    def _redirected(self, place: _Place, fetched: Fetched) -> _Place:
        """Where a redirect leads; only to a DNS name on the ports of http-01."""
        try:
            location = (fetched.location or b"").decode("ascii")
            parts = urlsplit(urljoin(place.url, location))
            name = normalize_dns_name(parts.hostname or "")
            port = parts.port
        except ValueError as error:
            raise _wrong(f"{place.url} redirects to what is not a URL with a DNS name") from error
        if not location or parts.scheme not in self._ports or parts.username is not None:
            raise _wrong(f"{place.url} redirects to what is not an http or https URL")
        if port is None:
            port = {"http": 80, "https": 443}[parts.scheme]
        if port != self._ports[parts.scheme]:
            raise _wrong(f"{place.url} redirects to a port other than {self._ports[parts.scheme]}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if len(target) > MAX_TARGET or not target.isprintable() or " " in target or not target.startswith("/"):
            raise _wrong(f"{place.url} redirects to what is not a URL with a DNS name")
        return _Place(parts.scheme, name, port, target)


def _compare(fetched: Fetched, target: Target, place: _Place) -> None:
    if fetched.status == 503:
        raise ValidationFailed(ErrorType.CONNECTION, f"{place.url} is not available now (503)", may_pass_later=True)
    if fetched.status != 200:
        raise _wrong(f"{place.url} answers {fetched.status}, not 200")
    # RFC 8555, 8.3: white space behind the key authorization is ignored.
    if fetched.body.rstrip() != target.key_authorization.encode("ascii"):
        raise _wrong(f"{place.url} does not hold the key authorization")


def _wrong(detail: str) -> ValidationFailed:
    return ValidationFailed(ErrorType.INCORRECT_RESPONSE, detail)
