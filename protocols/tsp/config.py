"""``[protocols.tsp]``: the timestamping authority (``spec/tsa.md`` 2).

::

    [protocols.tsp.clock]
    source = "chrony"
    poll_interval = "10s"
    max_error = "500ms"

    [[protocols.tsp.issuers]]
    id = "qualified"
    certificate = "tsa.pem"
    ca_chain = ["issuing.pem", "root.pem"]

    [protocols.tsp.issuers.profile]
    policy = "1.3.6.1.4.1.99999.1"
    accuracy = "1s"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cspd.authority.ca_name import CAName
from cspd.config.inspection import Inspection
from cspd.config.model import Insecure
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import PositiveDuration, Section
from cspd.jobs.cron import Cron
from cspd.keys.config import ProviderName
from cspd.keys.values import KeyType
from cspd.x509.names import parse_name
from protocols.tsp.messages import HashAlgorithm
from protocols.tsp.unit_checks import EXPIRY_WARNING
from protocols.tsp.unit_files import BadUnitFiles, read_unit_files

_OID = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]{0,9}))(?:\.(?:0|[1-9][0-9]{0,38})){0,30}")
_DEFAULT_HASHES = (HashAlgorithm.SHA224, HashAlgorithm.SHA256, HashAlgorithm.SHA384, HashAlgorithm.SHA512)


def _object_identifier(text: str) -> str:
    if not _OID.fullmatch(text):
        raise ValueError('an object identifier, for example "1.3.6.1.4.1.99999.1"')
    return text


def _cron(text: str) -> str:
    Cron.parse(text)  # raises CronError, a ValueError that says what is wrong
    return text


def _distinguished_name(text: str) -> str:
    if not parse_name(text).rdns:  # raises NameSyntaxError, a ValueError that says what is wrong
        raise ValueError("a distinguished name that is not empty")
    return text


UNVERIFIED = "system"
"""The time source that compares nothing."""

IssuerID = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]


class LeapPolicy(Enum):
    """What becomes of tokens in the neighbourhood of an announced leap second."""

    STOP = "stop"
    """None are issued: timeNotAvailable."""
    MARK = "mark"
    """They are issued with an accuracy that is a second wider."""


class RequestLog(Enum):
    """Which requests get a line in the log."""

    ALL = "all"
    FAILED = "failed"


class ClockConfig(Section):
    """``[protocols.tsp.clock]``: who says whether the system clock is right."""

    source: str = "chrony"
    """The name of a time source among the plugins; ``system`` takes the machine's clock as it is, for trying out."""
    address: str = "udp:127.0.0.1:323"
    """Where it is asked; for chrony ``udp:ADDRESS:PORT`` or ``unix:/run/chrony/chronyd.sock``."""
    connect_timeout: PositiveDuration = timedelta(seconds=1)
    """How long an answer may take (R-TSA-050)."""
    poll_interval: PositiveDuration
    """Between two questions."""
    max_error: PositiveDuration
    """The largest tolerated difference between our clock and the source's; above it no token is issued."""
    leap: LeapPolicy = LeapPolicy.STOP


class ProfileConfig(Section):
    """``profile`` of an issuer: how its tokens are made."""

    policy: Annotated[str, AfterValidator(_object_identifier)]
    """TSTInfo.policy; a request may name only this one."""
    accuracy: PositiveDuration | None = None
    """TSTInfo.accuracy, down to a microsecond; absent if not given."""
    allowed_hashes: tuple[HashAlgorithm, ...] = _DEFAULT_HASHES
    """Of message imprints."""
    ordering: bool = False
    """genTime grows strictly from token to token, over all processes and nodes."""
    qualified: bool = False
    """Tokens carry the statement of ETSI EN 319 422, 9.1: esi4-qtstStatement-1."""
    serial_bytes: Annotated[int, Field(ge=8, le=20)] = 8
    signature_digest: HashAlgorithm = HashAlgorithm.SHA256
    """Digest of the CMS signature, and hash of the signature where the key leaves the choice."""
    tsa_name: bool = False
    """TSTInfo.tsa names the subject of the certificate."""

    @model_validator(mode="after")
    def _digest_is_allowed(self) -> ProfileConfig:
        if self.signature_digest not in self.allowed_hashes:
            allowed = ", ".join(each.value for each in self.allowed_hashes)
            raise ValueError(f"signature_digest: one of allowed_hashes ({allowed}), not {self.signature_digest.value}")
        return self


class CertificationConfig(Section):
    """``certification`` of an issuer: our own CA gives it its certificate, and a new one in time."""

    ca: CAName
    """``organization~ca``."""
    profile: str = "timestamping"
    """A certificate profile whose extendedKeyUsage is timeStamping alone, critical."""
    subject: Annotated[str, AfterValidator(_distinguished_name)]
    """A distinguished name, for example ``CN=Time-Stamp Unit 1,O=Example``."""
    key_type: KeyType = KeyType.EC_P256
    keys: ProviderName | None = None
    """Where the key is made: ``software`` or a ``[keys.pkcs11.NAME]``; the default of ``[keys]`` if not given."""
    key_lifetime: PositiveDuration | None = None
    """How long one key signs before the next takes over; half of its certificate's life if not set."""


class IssuerConfig(Section):
    """``[[protocols.tsp.issuers]]``: one time-stamp unit, at ``/tsa/ID``."""

    id: IssuerID
    profile: ProfileConfig
    certificate: str | None = None
    """A PEM file with one certificate, whose key is among ours (``cspctl tsa create-key``)."""
    ca_chain: tuple[str, ...] = ()
    """PEM files with one certificate each, from the issuer upwards."""
    certification: CertificationConfig | None = None
    """Instead of the two files."""
    log_response: bool = False
    """Each answer is logged, in base64, as ``tsa-timestampresponse-encoded``."""
    log_tokens: bool = False
    """Each token leaves a line in the timestamp log of the store, before the client gets it."""

    @model_validator(mode="after")
    def _one_way_to_a_certificate(self) -> IssuerConfig:
        if (self.certificate is None) == (self.certification is None):
            raise ValueError("certificate and ca_chain, or certification")
        if self.certificate is not None and not self.ca_chain:
            raise ValueError("ca_chain: the certificates of the CA, from the issuer of the certificate upwards")
        if self.certification is not None and self.ca_chain:
            raise ValueError("ca_chain: nothing beside certification, whose CA is known")
        return self


class TSPConfig(Section):
    """The timestamping authority."""

    clock: ClockConfig
    issuers: Annotated[tuple[IssuerConfig, ...], Field(min_length=1)]
    max_request_bytes: Annotated[int, Field(ge=256, le=1 << 20)] = 8192
    log_requests: RequestLog = RequestLog.ALL
    """``ProcessTimeStampRequest.Succeeded`` and ``.Failed`` lines, or only the latter."""
    renew_certificates: Annotated[str, AfterValidator(_cron)] = "0 23 * * * *"
    """When issuers with ``certification`` are looked at for renewal: six cron fields, UTC."""

    @model_validator(mode="after")
    def _ids_are_unique(self) -> TSPConfig:
        twice = _repeated([issuer.id for issuer in self.issuers])
        if twice:
            raise ValueError(f"issuers: {', '.join(twice)} stands there twice")
        return self

    @model_validator(mode="after")
    def _marks_have_a_place(self) -> TSPConfig:
        unmarked = [issuer.id for issuer in self.issuers if issuer.profile.accuracy is None]
        if self.clock.leap is LeapPolicy.MARK and unmarked:
            raise ValueError(f'clock.leap = "mark" widens the accuracy, which {", ".join(unmarked)} has not')
        return self

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """Check the time source and all issuers; see :class:`cspd.config.inspection.Inspected`."""
        problems: list[Problem] = []
        warnings: list[Problem] = []
        for index, issuer in enumerate(self.issuers):
            at: KeyPath = ("issuers", index)
            if issuer.profile.signature_digest is HashAlgorithm.SHA1:
                key = (*at, "profile", "signature_digest")
                warnings.append(Problem(what="verifiers refuse signatures with SHA-1", remedy='Use "sha256"', key=key))
            if issuer.certificate is None:
                continue
            try:
                files = read_unit_files(issuer.certificate, issuer.ca_chain, folder=folder, now=now)
            except BadUnitFiles as error:
                problems += _file_problems(error, at)
                continue
            if files.sign_until - now <= EXPIRY_WARNING:
                what = f"{folder / issuer.certificate} signs until {files.sign_until:%Y-%m-%d %H:%M} UTC only"
                warnings.append(Problem(what=what, remedy="Get its successor", key=(*at, "certificate")))
        return Inspection(problems, warnings, tuple(self._insecurities()))

    def _insecurities(self) -> Iterator[tuple[Insecure, Problem]]:
        if self.clock.source == UNVERIFIED:
            what = "takes the clock of this machine for true time, and nobody checks it"
            yield "unverified-clock", Problem(what=what, remedy='Use "chrony"', key=("clock", "source"))


def _file_problems(error: BadUnitFiles, at: KeyPath) -> Iterator[Problem]:
    for fault in error.faults:
        key: KeyPath = ("ca_chain", fault.position - 1) if fault.position else ("certificate",)
        yield Problem(what=fault.what, key=(*at, *key))


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
