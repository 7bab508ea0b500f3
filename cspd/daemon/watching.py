"""What the monitor watches of a deployment: its protocols, and the certificates of its listeners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cspd.clock import Clock
from cspd.daemon.deployment import Deployment
from cspd.daemon.listeners import ServingFactory, Wanted
from cspd.daemon.serving import Serving
from cspd.monitoring.certificates import TLSSource
from cspd.monitoring.interfaces import Source


def watched(
    deployment: Deployment, factories: Iterable[tuple[Wanted, ServingFactory]], clock: Clock
) -> Mapping[str, Source]:
    """The sources by name; a protocol's is its own name."""
    certificates = {
        wanted.name: factory.tls
        for wanted, factory in factories
        if isinstance(factory, Serving) and factory.tls is not None
    }
    return {"tls": TLSSource(certificates, clock), **deployment.protocols}
