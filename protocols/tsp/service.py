"""Answers requests for timestamps (RFC 3161, 2.4; ``tsa.md`` 3.3).

A request is a straight line: what is cheap to find wrong comes first, the signature last::

    decode                    badDataFormat, badRequest, unacceptedExtension   protocols.tsp.codec
    hash algorithm, policy    badAlg, unacceptedPolicy                         protocols.tsp.issuing
    clock                     timeNotAvailable
    unit, serial, genTime     systemFailure
    signature, timestamp log  systemFailure
    answer, log line          granted                                          protocols.tsp.request_events

Whatever goes wrong on the way, the client gets a TimeStampResp that was encoded before anything could.
"""

from __future__ import annotations

from collections.abc import Mapping

from cspd.refusals import NotFound, Refused
from cspd.timekeeping.values import BadClock
from protocols.tsp import codec
from protocols.tsp.errors import TimeStampRejected, failure_info
from protocols.tsp.issuing import TokenIssuer
from protocols.tsp.messages import PKIFailureInfo
from protocols.tsp.request_events import RequestEvents


class TimeStampService:
    """Answers for all issuers."""

    def __init__(
        self,
        *,
        issuers: Mapping[str, TokenIssuer],
        events: RequestEvents,
        limits: codec.RequestLimits,
    ) -> None:
        """``issuers`` by their id."""
        self._issuers = issuers
        self._events = events
        self._limits = limits

    async def answer(self, issuer_id: str, request_der: bytes) -> bytes:
        """The TimeStampResp, DER, to a TimeStampReq; a rejection is an answer too.

        Raises :class:`NotFound` for an issuer that there is not, and nothing else.
        """
        issuer = self._issuers.get(issuer_id)
        if issuer is None:
            raise NotFound("there is no such issuer of timestamps")
        try:
            request = codec.decode_request(request_der, self._limits)
            token = await issuer.issue(request)
        except Exception as error:  # the edge of a request: whatever it is, RFC 3161 has an answer for it
            fail_info = _failure_info(error)
            response_der = codec.REJECTIONS[fail_info]
            self._events.rejected(issuer_id, fail_info, error, response_der)
            return response_der
        response_der = codec.encode_granted(token.token_der)
        self._events.granted(issuer_id, token, response_der)
        return response_der


def _failure_info(error: Exception) -> PKIFailureInfo:
    if isinstance(error, TimeStampRejected):
        return error.fail_info
    if isinstance(error, BadClock):
        return PKIFailureInfo.TIME_NOT_AVAILABLE
    if isinstance(error, Refused):
        return failure_info(error)
    return PKIFailureInfo.SYSTEM_FAILURE
