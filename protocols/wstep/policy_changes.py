"""Whether what a client would be told is what it has: ``lastUpdate`` ([MS-XCEP] 3.1.4.1.3.9)."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

MAX_REMEMBERED: Final = 10_000
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a client's clock may be ahead of ours; Kerberos does not allow more either."""


class Changes:
    """Remembers since when a client's answer is as it is. What is forgotten, or was never seen here, has changed.

    Nothing is stored: after a start, and by another node, a client is told everything once more, which is never wrong.
    """

    def __init__(self, *, limit: int = MAX_REMEMBERED) -> None:
        self._since: OrderedDict[str, tuple[bytes, datetime]] = OrderedDict()
        self._limit = limit

    def is_unchanged(self, key: str, digest: bytes, *, last_update: datetime | None, now: datetime) -> bool:
        """Whether a client that was told everything at ``last_update``, by its own clock, has been told this.

        ``key`` is of whom and what is asked, ``digest`` of what would be answered.
        """
        known, since = self._since.pop(key, (b"", now))
        if known != digest:
            since = now
        self._since[key] = digest, since
        if len(self._since) > self._limit:
            self._since.popitem(last=False)
        if known != digest or last_update is None:
            return False
        # Beyond now it is no time of ours at all.
        return since + CLOCK_SKEW <= last_update <= now + CLOCK_SKEW
