"""notBefore and notAfter (R-PRO-005, R-CA-065, R-PLAT-149)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cspd.authority.profile_values import Validity
from cspd.refusals import BadValidity

BACKDATED = timedelta(minutes=5)
"""A certificate begins that long before now, for clients whose clocks are slow; never before its issuer's."""
MAX_BACKDATED = timedelta(days=1)
"""How far in the past a request may let its certificate begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From notBefore to notAfter, both included; whole seconds, UTC."""

    not_before: datetime
    not_after: datetime


def decide_validity(
    validity: Validity,
    *,
    issuer: Period,
    now: datetime,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Period:
    """The period of a certificate; raises :class:`BadValidity`.

    An end that is asked for must lie within the profile's maximum and the issuer's own period (its last second
    included) and is refused, not shortened, beyond. Without one, the profile's default ends where the issuer ends.
    """
    if not validity.request_may_choose and (not_before or not_after):
        raise BadValidity("the profile fixes the validity; a request may not choose it")
    now = now.replace(microsecond=0)
    start = max(now - BACKDATED, issuer.not_before) if not_before is None else not_before.replace(microsecond=0)
    _check_start(start, issuer, now)
    if not_after is None:
        end = _default_end(validity, start, issuer)
    else:
        end = not_after.replace(microsecond=0)
        if not_before is None and _exceeds_maximum(validity, start, end):
            start = now  # the longest period that a client may ask for, counted from now, leaves nothing to backdate
        _check_end(validity, start, end, issuer)
    if end <= max(start, now):
        raise BadValidity("the certificate would be over before it begins")
    return Period(not_before=start, not_after=end)


def _check_start(start: datetime, issuer: Period, now: datetime) -> None:
    if start < issuer.not_before:
        raise BadValidity("notBefore lies before the issuing certificate's")
    if start < now - MAX_BACKDATED:
        raise BadValidity(f"notBefore lies more than {MAX_BACKDATED.days} day in the past")


def _default_end(validity: Validity, start: datetime, issuer: Period) -> datetime:
    try:
        end = validity.default.after(start)
    except OverflowError:
        end = datetime.max.replace(microsecond=0, tzinfo=start.tzinfo)
    return min(end, issuer.not_after) if validity.capped_by_issuer else end


def _check_end(validity: Validity, start: datetime, end: datetime, issuer: Period) -> None:
    if validity.capped_by_issuer and end > issuer.not_after:
        raise BadValidity(
            f"notAfter {end:%Y-%m-%dT%H:%M:%SZ} lies after the issuing certificate's, "
            f"{issuer.not_after:%Y-%m-%dT%H:%M:%SZ}",
            code="end-after-issuer",
        )
    if _exceeds_maximum(validity, start, end):
        raise BadValidity("notAfter lies beyond the profile's maximum")


def _exceeds_maximum(validity: Validity, start: datetime, end: datetime) -> bool:
    try:
        return validity.maximum is not None and end > validity.maximum.after(start)
    except OverflowError:
        return False
