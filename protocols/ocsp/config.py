"""``[protocols.ocsp]``."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cspd.config.values import Duration, Section
from cspd.jobs.cron import Cron


def _cron(text: str) -> str:
    Cron.parse(text)  # raises CronError, a ValueError that says what is wrong
    return text


class NoncePolicy(Enum):
    """What becomes of the nonce of a request (RFC 9654)."""

    IGNORE = "ignore"
    """The answer has none and may come from the cache; clients that insist on theirs refuse it."""
    OPTIONAL = "optional"
    """Repeated when the request has one; such an answer is signed for this request alone."""
    REQUIRED = "required"
    """A request without one is malformed."""


class NeverIssued(Enum):
    """What is said about a serial number that the CA never issued (RFC 6960, 2.2)."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"
    """Revoked since 1970 with reason certificateHold, and the extended-revoke extension in the response."""


class OCSPConfig(Section):
    """How the status of this server's own CAs is answered."""

    next_update: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=10))] = timedelta(hours=8)
    """nextUpdate is so long after thisUpdate; at most ten days (Baseline Requirements 4.9.10)."""
    refresh: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(hours=1)
    """An answer without nonce is signed anew after this time, or at once when a status in it changes."""
    http_max_age: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(hours=1)
    """How long HTTP caches may keep the answer to a GET, never beyond nextUpdate: as late do relying parties behind
    such a cache learn of a revocation."""
    nonce: NoncePolicy = NoncePolicy.OPTIONAL
    never_issued: NeverIssued = NeverIssued.UNKNOWN
    http_error: bool = False
    """Errors have an HTTP status of 400 or 404 instead of 200 (``va.md`` 3.2)."""
    max_request_bytes: Annotated[int, Field(ge=256, le=1 << 20)] = 8192
    max_cert_ids: Annotated[int, Field(ge=1, le=10_000)] = 100
    """In one request."""
    cache_entries: Annotated[int, Field(ge=0, le=10_000_000)] = 20_000
    """Answers held in memory, 1 to 3 KiB each; those to long requests are not kept."""
    renew_responders: Annotated[str, AfterValidator(_cron)] = "0 17 * * * *"
    """When responder certificates are looked at for renewal: six cron fields, UTC."""

    @model_validator(mode="after")
    def _refresh_before_the_answer_ends(self) -> OCSPConfig:
        if self.refresh >= self.next_update:
            raise ValueError("refresh must be shorter than next_update")
        return self
