"""Which CA and profile a path means (RFC 9811, 3.3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cspd.authority.values import CAReference
from cspd.refusals import NotFound
from protocols.cmp.config import DEFAULT_RULES, CMPConfig
from protocols.cmp.interfaces import Terms


class Labels:
    """Finds the terms of a label, or of tenant, CA and profile."""

    def __init__(self, configuration: CMPConfig, *, tenants: Collection[str]) -> None:
        self._configuration = configuration
        self._tenants = frozenset(tenants)
        self._rules = frozenset(configuration.rules_by_name())
        self._labels = {label.id: configuration.terms_of(label) for label in configuration.labels}

    def default(self) -> Terms:
        """The terms without a label; raises NotFound if there are none."""
        if self._configuration.default_label is None:
            raise NotFound("there is no default label")
        return self._labels[self._configuration.default_label]

    def by_label(self, label: str) -> Terms:
        """The terms of a configured label; raises NotFound."""
        try:
            return self._labels[label]
        except KeyError:
            raise NotFound("there is no such label") from None

    def by_parts(self, tenant: str, ca: str, profile: str, rules: str = DEFAULT_RULES) -> Terms:
        """A profile of a CA; raises NotFound for what is not served, Malformed for the CA."""
        if tenant not in self._tenants or profile not in self._configuration.profiles:
            raise NotFound("there is no such tenant, CA or profile")
        if rules not in self._rules:
            raise NotFound("there are no such rules")
        return replace(self._configuration.terms(CAReference.parse(ca), profile), rules=rules)
