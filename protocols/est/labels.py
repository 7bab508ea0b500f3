"""Which CA and profile a path means (RFC 7030, 3.2.2; R-CEG-152)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cspd.authority.values import CAReference
from cspd.refusals import NotFound
from protocols.est.config import ESTConfig, LabelConfig
from protocols.est.messages import Terms
from protocols.est.trust import read_trust_anchors


class Labels:
    """Finds the terms of a label, or of tenant, CA and profile."""

    def __init__(self, configuration: ESTConfig, *, tenants: Collection[str], folder: Path = Path()) -> None:
        """Relative paths of ``trust`` are below ``folder``; raises Malformed for files that cannot be used."""
        self._configuration = configuration
        self._tenants = frozenset(tenants)
        self._trusted = read_trust_anchors(configuration.trust, folder)
        self._labels = {label.id: _terms(configuration, label, folder) for label in configuration.labels}

    def default(self) -> Terms:
        """The terms without a label; raises NotFound if there are none."""
        if self._configuration.default_label is None:
            raise NotFound("there is no default label")
        return self._labels[self._configuration.default_label]

    def by_label(self, label: str) -> Terms:
        """A configured label, or ``TENANT_CA_PROFILE`` whose parts have no underscore; raises NotFound."""
        if label in self._labels:
            return self._labels[label]
        parts = label.split("_")
        if len(parts) != 3:
            raise NotFound("there is no such label")
        return self.by_parts(*parts)

    def by_parts(self, tenant: str, ca: str, profile: str) -> Terms:
        """A profile of a CA; raises NotFound for tenants and profiles that are not served, Malformed for the CA."""
        if tenant not in self._tenants or profile not in self._configuration.profiles:
            raise NotFound("there is no such tenant, CA or profile")
        return self._configuration.terms(CAReference.parse(ca), profile, self._trusted)


def _terms(configuration: ESTConfig, label: LabelConfig, folder: Path) -> Terms:
    section = configuration.of_label(label)
    return section.terms(CAReference.parse(label.ca), label.profile, read_trust_anchors(section.trust, folder))
