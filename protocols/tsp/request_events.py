"""What is remembered of each answer: a log line, in the words of the guide (``tsa.md`` 3.5, 6.4), and a count."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Counter
from prometheus_client.registry import Collector
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from cspd.refusals import Refused
from cspd.timekeeping.values import BadClock
from protocols.tsp.config import IssuerConfig, RequestLog
from protocols.tsp.errors import TimeStampRejected
from protocols.tsp.issuing import IssuedToken
from protocols.tsp.messages import PKIFailureInfo

SUCCEEDED = "ProcessTimeStampRequest.Succeeded"
FAILED = "ProcessTimeStampRequest.Failed"
RESPONSE_FIELD = "tsa-timestampresponse-encoded"

STATUS_NAMES: Mapping[PKIFailureInfo, str] = {
    PKIFailureInfo.BAD_ALG: "BadAlgTSError",
    PKIFailureInfo.BAD_REQUEST: "BadRequestTSError",
    PKIFailureInfo.BAD_DATA_FORMAT: "BadDataFormatTSError",
    PKIFailureInfo.TIME_NOT_AVAILABLE: "TimeNotAvailableTSError",
    PKIFailureInfo.UNACCEPTED_POLICY: "UnacceptedPolicyTSError",
    PKIFailureInfo.UNACCEPTED_EXTENSION: "UnacceptedExtensionTSError",
    PKIFailureInfo.ADD_INFO_NOT_AVAILABLE: "AddInfoNotAvailableTSError",
    PKIFailureInfo.SYSTEM_FAILURE: "SystemFailureTSError",
}
"""``tsa-log.tsa-pkistatus-string``: the name that the guide gives to timeNotAvailable (R-TSA-052), and its like."""

GRANTED = "granted"
"""The outcome of a granted request in the metrics; the others are the RFC's names of the failures."""


def outcome(fail_info: PKIFailureInfo) -> str:
    """The RFC's name of a failure: ``timeNotAvailable``."""
    first, *others = fail_info.name.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


class RequestEvents:
    """Logs and counts the answers of all issuers."""

    _log = Logger()

    def __init__(self, issuers: Iterable[IssuerConfig], *, log_requests: RequestLog) -> None:
        self._logs_all = log_requests is RequestLog.ALL
        self._logged_responses = {issuer.id for issuer in issuers if issuer.log_response}
        self._requests = Counter(
            "cspd_tsp_requests", "Answered requests for timestamps.", ("issuer", "outcome"), registry=None
        )
        # Made once: looking a child up by its labels costs more than counting.
        self._granted = {issuer.id: self._requests.labels(issuer.id, GRANTED) for issuer in issuers}
        self._rejected = {
            (issuer.id, fail_info): self._requests.labels(issuer.id, outcome(fail_info))
            for issuer in issuers
            for fail_info in PKIFailureInfo
        }

    @property
    def metrics(self) -> tuple[Collector, ...]:
        """For :attr:`cspd.plugin.ProtocolService.metrics`."""
        return (self._requests,)

    def granted(self, issuer_id: str, token: IssuedToken, response_der: bytes) -> None:
        """A token goes to the client (R-TSA-092)."""
        self._granted[issuer_id].inc()
        logs_response = issuer_id in self._logged_responses
        if not (self._logs_all or logs_response):
            return
        record = _record("info", SUCCEEDED, issuer_id)
        record["tsa-log"] = {
            "tsa-serial-number": f"{token.serial_number:x}",
            "tsa-gen-time": token.gen_time.isoformat().replace("+00:00", "Z"),
        }
        if logs_response:
            record[RESPONSE_FIELD] = b64encode(response_der).decode("ascii")
        self._log.info("{msg} for {endpoint}", msg=SUCCEEDED, endpoint=issuer_id, record=record)

    def rejected(self, issuer_id: str, fail_info: PKIFailureInfo, error: Exception, response_der: bytes) -> None:
        """A rejection goes to the client; what went wrong inside goes to the log alone (R-TSA-052, R-TSA-092)."""
        self._rejected[issuer_id, fail_info].inc()
        level = LogLevel.error if fail_info is PKIFailureInfo.SYSTEM_FAILURE else LogLevel.info
        reason = _reason(error)
        record = _record(level.name, FAILED, issuer_id)
        record["tsa-log"] = {"tsa-pkistatus-string": STATUS_NAMES[fail_info]}
        record["cause"] = _cause(error, reason)
        record["reason"] = reason
        if issuer_id in self._logged_responses:
            record[RESPONSE_FIELD] = b64encode(response_der).decode("ascii")
        fields: dict[str, Any] = {}
        if not isinstance(error, TimeStampRejected | BadClock | Refused):  # not foreseen: its traceback says where
            fields["log_failure"] = Failure(error)  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._log.emit(
            level,
            "{msg} for {endpoint}: {status}, {reason}",
            msg=FAILED,
            endpoint=issuer_id,
            status=STATUS_NAMES[fail_info],
            reason=reason,
            record=record,
            **fields,
        )


def _record(level: str, msg: str, issuer_id: str) -> dict[str, Any]:
    return {"level": level, "app": "tsa", "namespace": "tsa", "msg": msg, "endpoint": issuer_id}


def _reason(error: Exception) -> str:
    if isinstance(error, Refused) and error.detail:
        return f"{error.reason} ({error.detail})"
    return str(error) or type(error).__name__


def _cause(error: Exception, reason: str) -> dict[str, Any]:
    """What the guide's people look for: three levels down, the name of what is to blame."""
    if isinstance(error, BadClock):
        return {"msg": "no token", "cause": {"msg": reason, "cause": {"msg": "BadClock"}}}
    return {"msg": "no token", "cause": {"msg": reason}}
