"""A configuration that has been checked, as the rest of the server sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cspd.authority.profiles import Profile
from cspd.config.model import RootConfig
from cspd.config.problems import Problem
from cspd.config.secrets import Secrets
from cspd.config.values import Section
from cspd.plugin import ProtocolDeclaration, ProtocolFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class EnabledProtocol:
    """A protocol that conf switches on."""

    declaration: ProtocolDeclaration
    factory: ProtocolFactory
    settings: Section
    """Its ``[protocols.NAME]``, an instance of the model that its declaration names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The whole of it; made by :func:`cspd.config.loader.load_configuration`, never changed."""

    path: Path
    """The ``cspd.toml``; ``folder`` is where its relative paths start."""
    root: RootConfig
    protocols: Mapping[str, EnabledProtocol]
    profiles: Mapping[str, Profile]
    secrets: Secrets
    warnings: tuple[Problem, ...] = ()

    @property
    def folder(self) -> Path:
        """See ``path``."""
        return self.path.parent

    @property
    def is_demo(self) -> bool:
        """Whether ``[server] mode`` is ``demo``."""
        return self.root.server.mode == "demo"

    @property
    def state(self) -> Path:
        """The folder of everything the daemon keeps."""
        return self.folder / self.root.server.state

    @property
    def admin_socket(self) -> Path:
        """The Unix socket of ``cspctl``."""
        configured = self.root.admin.socket
        return self.state / "admin.sock" if configured is None else self.folder / configured

    @property
    def trust_anchor(self) -> Path | None:
        """What clients have to be given to trust our TLS certificate."""
        configured = self.root.server.trust_anchor
        return None if configured is None else self.folder / configured

    @property
    def log_file(self) -> Path | None:
        """The file to log to; None for standard output."""
        return None if self.root.log.file is None else self.folder / self.root.log.file
