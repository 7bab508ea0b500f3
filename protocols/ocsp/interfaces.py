"""What answering needs from outside, beside the core's ``Status`` and ``Keys``."""

from __future__ import annotations

from typing import Protocol

from cspd.authority.responders import Responder
from cspd.authority.values import Authority


class Responders(Protocol):
    """Gives the responder that answers for one key of a CA (``cspd.authority.responders.Responders``)."""

    def cached(self, authority: Authority, key_index: int) -> Responder | None:
        """The responder if that takes no waiting; None otherwise."""
        ...

    async def current(self, authority: Authority, key_index: int) -> Responder:
        """The responder; raises NotFound if there can be none, Unavailable if there is none now."""
        ...
