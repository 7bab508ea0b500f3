"""``[protocols.repository]``."""

from __future__ import annotations

from datetime import timedelta

from cspd.config.values import Duration, Section


class RepositoryConfig(Section):
    """How CRLs and CA certificates are handed out."""

    max_age: Duration = timedelta(hours=1)
    """The longest time a cache may keep a CRL, should it be valid longer: a revocation must not hide behind a cache."""
    certificate_max_age: Duration = timedelta(days=1)
    """The time a cache may keep a CA certificate or chain."""
