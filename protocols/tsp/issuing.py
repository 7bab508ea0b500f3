"""Makes the tokens of one issuer.

``genTime`` is a moment after the request arrived and before its token was signed. A token module that takes seconds
makes it older, never wrong: that the data existed then remains true. But the clock has to be trusted at both ends, when
it is read and again when the signature is there; a token whose clock went bad in between is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256

from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.refusals import Unavailable
from cspd.timekeeping.interfaces import TrustedClock
from cspd.timekeeping.values import BadClock
from protocols.tsp.config import IssuerConfig
from protocols.tsp.errors import TimeStampRejected
from protocols.tsp.hash_algorithms import HASH_ALGORITHMS, SIGNATURE_HASHES
from protocols.tsp.interfaces import GenTimes, LoggedToken, SerialNumbers, TimestampLog, TimeStampUnit, TimeStampUnits
from protocols.tsp.messages import PKIFailureInfo, TimeStampReq
from protocols.tsp.token import TokenEncoder, TokenProfile, accuracy_of, content_digest

LEAP_SECOND = timedelta(seconds=1)
"""What a token near a leap second may be wrong by, beside its accuracy."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that goes to the client."""

    token_der: bytes
    """TimeStampToken."""
    serial_number: int
    gen_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenServices:
    """What all issuers of a timestamping authority share."""

    clock: TrustedClock
    units: TimeStampUnits
    keys: Keys
    serial_numbers: SerialNumbers
    gen_times: GenTimes
    log: TimestampLog
    monotonic: Callable[[], float]
    """Seconds that only grow."""
    signed: Callable[[str, float], None]
    """Told the issuer and the seconds of each signature."""


class TokenIssuer:
    """Makes tokens by one entry of ``[[protocols.tsp.issuers]]``."""

    def __init__(self, config: IssuerConfig, services: TokenServices) -> None:
        self.id = config.id
        self._config = config
        self._services = services
        self._policy = config.profile.policy
        self._serial_octets = config.profile.serial_bytes
        self._ordering = config.profile.ordering
        self._allowed = {
            algorithm_der
            for algorithm_der, algorithm in HASH_ALGORITHMS.items()
            if algorithm in config.profile.allowed_hashes
        }
        self._signing: _Signing | None = None

    async def issue(self, request: TimeStampReq) -> IssuedToken:
        """The token for a request.

        Raises :class:`TimeStampRejected` for what the issuer does not accept,
        :class:`cspd.timekeeping.values.BadClock`, and :class:`cspd.refusals.Unavailable` or
        :class:`cspd.refusals.NotFound` when store, key or certificate cannot be had.
        """
        self._check(request)
        services = self._services
        try:
            services.clock.now()  # before anything that costs: no token while the clock is bad
            signing = self._current_signing()
        except (BadClock, Unavailable):  # after a start or a reload, clock and keys may just not have been looked at
            await services.clock.settled()
            services.clock.now()  # a bad clock is said at once, whatever the units wait for
            await services.units.settled(self.id)
            signing = self._current_signing()
        serial_number = await services.serial_numbers.next(self._serial_octets)
        reading = services.clock.now()
        gen_time = reading.moment
        if self._ordering:
            gen_time = await services.gen_times.next(self.id, gen_time)
        encoder = signing.encoder_near_leap if reading.near_leap else signing.encoder
        tst_info_der = encoder.tst_info(
            request.message_imprint, serial_number=serial_number, gen_time=gen_time, nonce=request.nonce
        )
        attributes_der = encoder.signed_attributes(tst_info_der)
        begun = services.monotonic()
        signature = await signing.signer.sign(attributes_der)
        services.signed(self.id, services.monotonic() - begun)
        services.clock.now()
        token_der = encoder.token(tst_info_der, attributes_der, signature, cert_req=request.cert_req)
        if self._config.log_tokens:
            await services.log.append(
                LoggedToken(
                    issuer=self.id,
                    serial_number=serial_number,
                    gen_time=gen_time,
                    token_sha256=sha256(token_der).digest(),
                )
            )
        return IssuedToken(token_der, serial_number, gen_time)

    def _check(self, request: TimeStampReq) -> None:
        if request.message_imprint.algorithm_der not in self._allowed:
            algorithm = HASH_ALGORITHMS.get(request.message_imprint.algorithm_der)
            raise TimeStampRejected(PKIFailureInfo.BAD_ALG, algorithm.value if algorithm else "an unknown algorithm")
        if request.req_policy is not None and request.req_policy != self._policy:
            raise TimeStampRejected(PKIFailureInfo.UNACCEPTED_POLICY, f"policy {request.req_policy}")

    def _current_signing(self) -> _Signing:
        """Signer and encoder of the unit that signs now; made anew when another unit took over."""
        unit = self._services.units.current(self.id)
        signing = self._signing
        if signing is None or signing.unit is not unit:
            signing = self._signing = _Signing(unit, self._config, self._services.keys)
        return signing


class _Signing:
    """What the tokens of one unit have in common."""

    def __init__(self, unit: TimeStampUnit, config: IssuerConfig, keys: Keys) -> None:
        profile = config.profile
        self.unit = unit
        self.signer = Signer(keys, unit.key, unit.public_key, SIGNATURE_HASHES[profile.signature_digest])
        self._digest = content_digest(unit.public_key, profile.signature_digest)
        self._accuracy = profile.accuracy
        self._profile = TokenProfile(
            policy=profile.policy,
            accuracy=None if profile.accuracy is None else accuracy_of(profile.accuracy),
            ordering=profile.ordering,
            tsa_name=profile.tsa_name,
            qualified=profile.qualified,
        )
        self.encoder = self._encoder(self._profile)

    @cached_property
    def encoder_near_leap(self) -> TokenEncoder:
        """Marks tokens by an accuracy that is a second wider."""
        if self._accuracy is None:
            return self.encoder  # the configuration refuses to mark tokens that have nothing to be marked by
        return self._encoder(replace(self._profile, accuracy=accuracy_of(self._accuracy + LEAP_SECOND)))

    def _encoder(self, profile: TokenProfile) -> TokenEncoder:
        return TokenEncoder(
            self.unit.certificate_der,
            self.unit.chain_der,
            profile,
            digest=self._digest,
            signature_algorithm_der=self.signer.algorithm_der,
        )
