"""What was asked and how it was answered, for ``/metrics``: CMP says everything in answers of HTTP status 200."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from protocols.cmp.messages import BodyType, CertRepMessage, ErrorMsgContent, PKIBody, RevRepContent
from protocols.cmp.status import PKIFailureInfo, PKIStatusInfo

_UNREADABLE = "unreadable"


class AnsweredMessages(Collector):
    """Counts messages; there are as many series as kinds of messages, answers and bits occur together."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def note(self, asked: BodyType | None, answer: PKIBody) -> None:
        """One more answer; ``asked`` is None for a message that could not be read."""
        name = _UNREADABLE if asked is None else asked.name.lower()
        self._counts[name, answer.type.name.lower(), _refusal(answer)] += 1

    def collect(self) -> Iterable[Metric]:
        """For prometheus-client."""
        family = CounterMetricFamily(
            "cspd_cmp_messages", "CMP messages answered", labels=("message", "answer", "fail_info")
        )
        for labels, count in sorted(self._counts.items()):
            family.add_metric(labels, count)
        yield family


def _refusal(answer: PKIBody) -> str:
    """The first bit of PKIFailureInfo in an answer; empty without one."""
    bits = [bit for info in _statuses(answer) for bit in info.fail_info]
    return _name(bits[0]) if bits else ""


def _statuses(answer: PKIBody) -> Iterable[PKIStatusInfo]:
    content = answer.content
    if isinstance(content, ErrorMsgContent):
        return (content.pki_status_info,)
    if isinstance(content, CertRepMessage):
        return [each.status for each in content.response]
    return content.status if isinstance(content, RevRepContent) else ()


def _name(bit: PKIFailureInfo) -> str:
    """As RFC 9810, 5.2.3 writes it, but for capitals: ``bad_message_check``."""
    return bit.name.lower()
