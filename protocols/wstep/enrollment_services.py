"""Which enrollment services of a directory stand for a CA of ours."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.directory.values import EnrollmentService
from protocols.wstep.messages import Terms


def services_of(
    certificate_der: bytes | None, services: Sequence[EnrollmentService], terms: Terms
) -> Sequence[EnrollmentService]:
    """Those that conf names (``enrollment_services``), else those that have the CA's certificate."""
    if terms.enrollment_services:
        return [each for each in services if each.name.lower() in terms.enrollment_services]
    return [each for each in services if certificate_der in each.ca_certificates_der]
