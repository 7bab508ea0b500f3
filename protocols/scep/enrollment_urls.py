"""What is shown to people who want to try it: URLs, and a command of strongSwan for each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from cspd.plugin import EnrollmentURL, PublicAddress, Services
from protocols.scep.config import SCEPConfig

DEMO_CHALLENGE = "scep-challenge"
"""The file in which the demonstration keeps its challenge for commands."""


def enrollment_urls(configuration: SCEPConfig, services: Services) -> Iterator[EnrollmentURL]:
    """One for each tenant, CA and profile."""
    challenge = _challenge(services.folder / DEMO_CHALLENGE, is_demo=services.demo)
    for tenant in sorted(services.tenants):
        for service in configuration.services:
            for profile in configuration.profiles_of(service):
                url = _url(services.public, tenant, service.ca, profile)
                what = f"SCEP, {service.ca}, {profile}, strongSwan"
                yield EnrollmentURL(what=what, url=url, command=_command(url, challenge))
        for intune in configuration.intune:
            for profile in intune.profiles:
                url = f"{_url(services.public, tenant, intune.ca, profile)}intune/"
                yield EnrollmentURL(what=f"SCEP for Intune, {intune.ca}, {profile}", url=url)


def _url(public: PublicAddress, tenant: str, ca: str, profile: str) -> str:
    return f"{public.http}/scep/{tenant}/{ca}/{profile}/"


def _command(url: str, challenge: str) -> str:
    where = shlex.quote(url)
    return (
        f"pki --scepca --url {where} --caout ca.pem --raout ra.pem --outform pem --force && "
        "pki --gen --type rsa --size 2048 --outform pem > device.key && "
        f"pki --scep --url {where} --in device.key --dn CN=device --password {challenge}"
        " --cacert-enc ra.pem --cacert-sig ra.pem $(printf -- '--cacert %s ' ca*.pem)"
        "--outform pem > device.pem"
    )


def _challenge(file: Path, *, is_demo: bool) -> str:
    """Which one a client takes: that of the demonstration works at once."""
    return f'"$(cat {shlex.quote(str(file.absolute()))})"' if is_demo and file.exists() else "CHALLENGE"
