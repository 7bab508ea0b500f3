"""What all tests share."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import HealthCheck, settings

from tests.support.conformance import load_requirements

# The same examples each time: a red run can be repeated; long random runs are `make fuzz`.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse claims of requirements that nobody wrote down, so that a typing error proves nothing."""
    requirements = load_requirements()
    for item in items:
        for marker in item.iter_markers("requirement"):
            for name in marker.args:
                if not re.fullmatch(r"R-[A-Z]+-\d{3}", name) or name not in requirements:
                    raise pytest.UsageError(
                        f"{item.nodeid} claims {name!r}, which docs/requirements.toml does not have"
                    )
