"""Refusals on the admin socket: one table to HTTP status codes; the body carries code and reason."""

from __future__ import annotations

from collections.abc import Mapping

from cspd import refusals

STATUS: Mapping[type[refusals.Refused], int] = {
    refusals.Malformed: 400,
    refusals.Unauthorized: 401,
    refusals.Forbidden: 403,
    refusals.NotFound: 404,
    refusals.Conflict: 409,
    refusals.AlreadyRevoked: 409,
    refusals.BadRevocationReason: 422,
    refusals.Rejected: 422,
    refusals.BadProofOfPossession: 422,
    refusals.BadPublicKey: 422,
    refusals.BadName: 422,
    refusals.BadExtension: 422,
    refusals.BadValidity: 422,
    refusals.LimitExceeded: 429,
    refusals.Unavailable: 503,
}


def status_of(refusal: refusals.Refused) -> int:
    """The HTTP status of a refusal, by its class or the nearest class above it."""
    return next((STATUS[cls] for cls in type(refusal).__mro__ if cls in STATUS), 500)
