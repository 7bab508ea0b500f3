"""Puts the repository together."""

from __future__ import annotations

from cspd.plugin import ProtocolService, Services
from protocols.repository.config import RepositoryConfig
from protocols.repository.endpoint import RepositoryEndpoint
from protocols.repository.service import RepositoryService


def build(configuration: RepositoryConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    service = RepositoryService(
        clock=services.clock,
        authorities=services.authorities,
        publication=services.publication,
        max_age=configuration.max_age,
        certificate_max_age=configuration.certificate_max_age,
    )
    return ProtocolService(routes=RepositoryEndpoint(service).routes())
