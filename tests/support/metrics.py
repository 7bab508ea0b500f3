"""Pages of metrics, read back by prometheus_client's own parsers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from prometheus_client.registry import Collector


def samples(page: bytes, *, is_openmetrics: bool = False) -> dict[tuple[str, tuple[str, ...]], float]:
    """The values of a page by the sample's name and its label values, which are in the order of the labels' names."""
    parse = parse_openmetrics if is_openmetrics else parse_plain
    found = {}
    for family in parse(page.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(value for _, value in sorted(sample.labels.items())))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def collected(collector: Collector) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples of one collector."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return samples(generate_latest(registry))
