"""What the last calls have shown, for the health page (R-CEGI-117)."""

from __future__ import annotations

from datetime import datetime

from twisted.logger import Logger

from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.refusals import Unavailable
from plugins.intune.tokens import CredentialRefused
from protocols.scep.intune.config import EXPIRY_WARNING


class Condition:
    """Of the connection to Intune for one CA."""

    _log = Logger()

    def __init__(self, ca: str, *, clock: Clock, credential_ends: datetime | None) -> None:
        """``credential_ends`` is that of the application's certificate; nobody but Azure knows that of a secret."""
        self._ca = ca
        self._clock = clock
        self._credential_ends = credential_ends
        self._fault: Unavailable | None = None

    def note_answer(self) -> None:
        """Intune answered, whatever it said."""
        if self._fault is not None:
            self._log.info("Intune answers again, for {ca}", ca=self._ca)
        self._fault = None

    def note_failure(self, error: Unavailable) -> None:
        """It did not."""
        # A refused credential stays one while the network is down too.
        if not isinstance(self._fault, CredentialRefused) or isinstance(error, CredentialRefused):
            if type(self._fault) is not type(error):
                self._log.error(
                    "Intune does not serve {ca}: {reason}", ca=self._ca, reason=error.detail or error.reason
                )
            self._fault = error

    def health(self) -> Health:
        """How it is."""
        part = f"scep-intune-{self._ca}"
        ends = self._credential_ends
        if self._fault is not None:
            is_refused = isinstance(self._fault, CredentialRefused)
            state = HealthState.FAILED if is_refused else HealthState.DEGRADED
            return Health(part=part, state=state, reason=self._fault.detail or self._fault.reason)
        if ends is not None and self._clock.now() + EXPIRY_WARNING >= ends:
            state = HealthState.FAILED if ends <= self._clock.now() else HealthState.DEGRADED
            word = "ended" if state is HealthState.FAILED else "ends"
            return Health(
                part=part, state=state, reason=f"the application's certificate {word} on {ends:%Y-%m-%d %H:%M} UTC"
            )
        return Health(part=part, state=HealthState.OK)
