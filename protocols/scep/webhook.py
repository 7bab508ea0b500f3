"""The webhook by which an MDM asks for a challenge: ``SCEPChallenge`` of Jamf Pro, which Fleet and others send too.

::

    -> POST, application/json: {"webhook": {"webhookEvent": "SCEPChallenge", ...}, "event": {...}}
    <- 200, text/plain: the challenge, and nothing else

Jamf Pro authenticates by HTTP Basic. Whoever can do better signs a delivery:

::

    X-Cspd-Timestamp: 1764057600                          seconds since 1970
    X-Cspd-Signature: sha256=HMAC-SHA256(key, TIMESTAMP + "." + body), hexadecimal

A delivery that comes again within the tolerance of its timestamp is the same one, whose answer was lost maybe, and gets
the same challenge as long as that was not used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, new
from typing import Any

from cspd.refusals import Forbidden, Malformed

MAX_EVENT = 64 * 1024
"""Octets; Jamf Pro sends about 300."""
MIN_KEY = 16
"""Octets: who has seen a delivery can try keys as fast as he can compute."""
MAX_IDENTITY = 200
EVENT = "SCEPChallenge"
_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9A-Fa-f]{64})")
_NAMES = (("device", "serialNumber"), ("device", "uuid"), ("serialNumber",), ("udid",), ("payloadIdentifier",))
"""Where an event may say whom the challenge is for, the best first: with ``device``, Fleet; without, Jamf Pro."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One POST of a webhook, as it came."""

    body: bytes
    timestamp: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySignatures:
    """Verifies who signed a delivery."""

    key: bytes = field(repr=False)
    tolerance: timedelta
    """How far its timestamp may be from now, in both directions."""

    def verify(self, delivery: Delivery, now: datetime) -> bytes:
        """Check a signed delivery; returns the octets of its signature, which are those of no other.

        Raises Forbidden, with one text for a wrong and a malformed signature.
        """
        wrong = Forbidden("the signature of the delivery is wrong", code="signature-wrong")
        timestamp = delivery.timestamp or ""
        signature = _SIGNATURE.fullmatch(delivery.signature or "")
        if signature is None or not _TIMESTAMP.fullmatch(timestamp):
            raise wrong
        expected = new(self.key, timestamp.encode("ascii") + b"." + delivery.body, sha256).digest()
        if not compare_digest(expected, bytes.fromhex(signature[1])):
            raise wrong
        if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > self.tolerance:
            raise Forbidden("the timestamp of the delivery is not about now", code="timestamp-wrong")
        return expected


def read_event(body: bytes) -> str:
    """Whom the challenge is for that an event asks for: printable text, empty if the event does not say it.

    Raises Malformed for what is not an event ``SCEPChallenge``.
    """
    if len(body) > MAX_EVENT:
        raise Malformed(f"the event has more than {MAX_EVENT} octets")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the event is not JSON") from error
    if _member(value, ("webhook", "webhookEvent")) != EVENT:
        raise Malformed(f"the event is not webhook.webhookEvent = {EVENT}")
    found = (_member(value, ("event", *names)) for names in _NAMES)
    name = next((each for each in found if isinstance(each, str) and each), "")
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_IDENTITY])


def _member(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
