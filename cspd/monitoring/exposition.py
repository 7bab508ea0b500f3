"""Metrics as text: OpenMetrics 1.0 for whoever asks for it, the Prometheus text format 0.0.4 for all others.

Each collector is rendered by itself: one that raises, or gives what cannot be written, is logged and left out, and the
rest of the page is as it should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from twisted.logger import Logger

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_END = b"# EOF\n"

_log = Logger()


@dataclass(frozen=True, slots=True)
class Exposition:
    """A page of metrics."""

    body: bytes
    content_type: str


def expose(collectors: Iterable[Collector], accept: str) -> Exposition:
    """The page for an ``Accept`` header; raises nothing, whatever the collectors do.

    A family that an earlier collector has given already is left out: a page that names one twice is no page.
    """
    is_openmetrics = _wants_openmetrics(accept)
    pages: list[bytes] = []
    names: set[str] = set()
    for collector in collectors:
        try:
            families = _unique(collector, names)
            page = _rendered(families, is_openmetrics=is_openmetrics)
        except Exception:  # the edge of somebody else's code: the others are told all the same
            _log.failure("the metrics of {collector} are left out", collector=type(collector).__qualname__)
            continue
        names.update(family.name for family in families)
        pages.append(page)
    if is_openmetrics:
        return Exposition(b"".join(pages) + _END, OPENMETRICS)
    return Exposition(b"".join(pages), PLAIN)


def _wants_openmetrics(accept: str) -> bool:
    kinds = (each.partition(";")[0].strip().lower() for each in accept.split(","))
    return "application/openmetrics-text" in kinds


def _unique(collector: Collector, names: set[str]) -> Sequence[Metric]:
    families = list(collector.collect())
    twice = [family.name for family in families if family.name in names]
    if twice:
        _log.error("metrics that are there already are left out: {names}", names=", ".join(twice))
    return [family for family in families if family.name not in names]


class _Families:
    """A collector that gives what was collected."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _rendered(families: Sequence[Metric], *, is_openmetrics: bool) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    if is_openmetrics:
        page: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # it has no types
        return page.removesuffix(_END)
    return generate_latest(registry)
