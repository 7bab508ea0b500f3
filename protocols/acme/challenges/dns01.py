"""dns-01: a TXT record below the name (RFC 8555, 8.4)."""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater

from cspd.dns.messages import TXT, DNSMessageError, text_strings
from cspd.dns.resolver import LookupFailed, Resolver
from protocols.acme.challenges.values import Target, ValidationFailed
from protocols.acme.errors import ErrorType
from protocols.acme.json_text import encode_base64url

RETRY_INTERVAL = 1.0
"""Seconds between two looks at the record."""


class DNS01:
    """Implements :class:`protocols.acme.challenges.values.ChallengeType`."""

    name = "dns-01"
    proves_wildcards = True

    def __init__(self, *, reactor: Any, resolver: Resolver, query_timeout: float) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._query_timeout = query_timeout

    async def validate(self, target: Target) -> None:
        """Look for the record until it is there or the time is over (R-CEG-112)."""
        deadline = self._reactor.seconds() + self._query_timeout
        last = ValidationFailed(ErrorType.DNS, f"DNS: no answer for _acme-challenge.{target.name} in time")
        while (left := deadline - self._reactor.seconds()) > 0:
            look = Deferred.fromCoroutine(self._look(target))
            try:
                return await look.addTimeout(left, self._reactor)
            except DeferredTimeout:
                break
            except ValidationFailed as failed:
                last = failed
            if deadline - self._reactor.seconds() <= RETRY_INTERVAL:
                break
            await deferLater(self._reactor, RETRY_INTERVAL)
        raise last

    async def _look(self, target: Target) -> None:
        name = f"_acme-challenge.{target.name}"
        expected = encode_base64url(hashlib.sha256(target.key_authorization.encode("ascii")).digest())
        try:
            records = await self._resolver.lookup(name, TXT)
            texts = [text_strings(data) for data in records]
        except LookupFailed as failed:
            raise ValidationFailed(ErrorType.DNS, str(failed)) from failed
        except DNSMessageError as error:
            raise ValidationFailed(ErrorType.DNS, f"DNS: a TXT record of {name} cannot be read") from error
        if expected.encode("ascii") not in texts:
            found = f"none of {len(texts)} TXT records holds" if texts else "no TXT record holds"
            raise ValidationFailed(ErrorType.INCORRECT_RESPONSE, f"{name}: {found} the digest of the key authorization")
