"""What a protocol's section knows to be wrong with itself and the files that it names, for ``cspctl config check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from cspd.authority.profile_values import Profile
from cspd.config.model import Insecure
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import SecretReference


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; the keys of problems start at the section."""

    problems: Sequence[Problem] = ()
    """What prevents the protocol from being built."""
    warnings: Sequence[Problem] = ()
    insecurities: Sequence[tuple[Insecure, Problem]] = ()
    """What production refuses unless ``server.allow_insecure`` names it."""
    client_trust: Sequence[tuple[KeyPath, str]] = ()
    """PEM files of CAs whose clients its listeners should let through TLS, and the keys that name them."""


@runtime_checkable
class Inspected(Protocol):
    """An ability that the model of ``[protocols.NAME]`` may have, beside being a section."""

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """Check settings together and the files they name; relative paths are below ``folder``. Raises nothing."""
        ...


@runtime_checkable
class UsesProfiles(Protocol):
    """Another: its settings name certificate profiles."""

    def inspect_profiles(self, profiles: Mapping[str, Profile]) -> Sequence[Problem]:
        """What prevents the protocol from being built with these profiles, by their ids; keys start at the section."""
        ...


@runtime_checkable
class InspectedWithSecrets(Protocol):
    """An ability that the model may have as well: it names files that only open with a secret."""

    def inspect_secrets(self, folder: Path, now: datetime, secret: Callable[[SecretReference], bytes]) -> Inspection:
        """Check what secrets open; ``secret`` raises ValueError for one that is missing, which is told already."""
        ...
