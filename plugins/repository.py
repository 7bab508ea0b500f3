"""Declares the repository of CRLs and CA certificates."""

from cspd.plugin import ProtocolDeclaration

repository = ProtocolDeclaration(
    name="repository",
    summary="Repository: CRLs and CA certificates over plain HTTP (RFC 5280, 4.2.1.13 and 4.2.2.1)",
    configuration="protocols.repository.config:RepositoryConfig",
    factory="protocols.repository.factory:build",
    plain_http=True,
)
