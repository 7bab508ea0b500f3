"""``[protocols.cmp]``: the Certificate Management Protocol.

::

    [protocols.cmp]
    profiles = ["tls-client"]                      # at /cmp/TENANT/CA/PROFILE
    default_label = "base-stations"                # at /.well-known/cmp

    [[protocols.cmp.labels]]
    id = "base-stations"                           # at /.well-known/cmp/p/base-stations
    ca = "demo~issuing"
    profile = "tls-client"
    vendor_trust = "vendors"

    [[protocols.cmp.trust]]
    name = "vendors"
    anchors = "vendor-roots.pem"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from cspd.authority.ca_name import CAName
from cspd.authority.profile_values import Profile
from cspd.authority.values import CAReference
from cspd.config.inspection import Inspection
from cspd.config.problems import Problem
from cspd.config.values import DurationOfSeconds, Section
from protocols.cmp.algorithm_rules import (
    AlgorithmRules,
    Curve,
    Digest,
    MACName,
    SignatureClass,
    SigningName,
    derived_macs,
    derived_signing_algorithms,
)
from protocols.cmp.interfaces import Terms
from protocols.cmp.key_generation_authority_config import KeyGenerationAuthorityConfig
from protocols.cmp.trust import BadTrust, read_anchors

DEFAULT_RULES = "default"


LabelID = Annotated[str, Field(pattern=r"^[A-Za-z0-9.~-]{1,64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class ExcludedCheck(Enum):
    """Checks of messages that a rule may leave out (R-CAGW-215); no other can be, and none of the protection."""

    MESSAGE_TIME = "message-time"
    """messageTime is about now: for devices without a clock."""
    RECIPIENT = "recipient"
    """recipient is the CA, or nobody: for devices that are set up with another name of it."""


class RuleConfig(Section):
    """``[[protocols.cmp.rules]]``: what messages may be protected with, and ask certificates for (R-CAGW-211)."""

    id: Name
    digest_algorithms: Annotated[tuple[Digest, ...], Field(min_length=1)] = (Digest.SHA256, Digest.SHA384)
    mac_algorithms: tuple[MACName, ...] | None = None
    """If not given: HMAC with each of the digests, and HMAC-SHA1, which openssl sends unless it is told otherwise."""
    signature_classes: Annotated[tuple[SignatureClass, ...], Field(min_length=1)] = (
        SignatureClass.RSA,
        SignatureClass.ECDSA,
    )
    signing_algorithms: tuple[SigningName, ...] | None = None
    """If not given: each of the signature classes with each of the digests."""
    curves: tuple[Curve, ...] = (Curve.SECP256R1, Curve.SECP384R1)
    min_rsa_bits: Annotated[int, Field(ge=512, le=16384)] = 2048
    min_ec_bits: Annotated[int, Field(ge=100, le=521)] = 256
    min_iterations: Annotated[int, Field(ge=1, le=10_000_000)] = 100
    """Of the derivation of a MAC's key (RFC 9481, 6.1.1)."""
    max_iterations: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """100,000 take a processor 40 milliseconds."""
    excluded_checks: tuple[ExcludedCheck, ...] = ()

    @model_validator(mode="after")
    def _has_iterations(self) -> Self:
        if self.min_iterations > self.max_iterations:
            raise ValueError("min_iterations: not more than max_iterations")
        return self

    def algorithm_rules(self) -> AlgorithmRules:
        """The rules as messages are checked by them; lists that are not given are derived (R-CAGW-212)."""
        macs, signing = self.mac_algorithms, self.signing_algorithms
        return AlgorithmRules(
            digests=frozenset(self.digest_algorithms),
            macs=derived_macs(self.digest_algorithms) if macs is None else frozenset(macs),
            signing_algorithms=(
                derived_signing_algorithms(self.signature_classes, self.digest_algorithms)
                if signing is None
                else frozenset(signing)
            ),
            curves=frozenset(self.curves),
            min_rsa_bits=self.min_rsa_bits,
            min_ec_bits=self.min_ec_bits,
            min_iterations=self.min_iterations,
            max_iterations=self.max_iterations,
        )


class TrustConfig(Section):
    """``[[protocols.cmp.trust]]``: whose certificates a label or registration authorities go back to."""

    name: Name
    anchors: str
    """A PEM file of CA certificates."""


class RegistrationAuthorityConfig(Section):
    """``[[protocols.cmp.registration_authorities]]``: who may vouch for others (RFC 9483, 5).

    Their certificates have id-kp-cmcRA in extendedKeyUsage, and either go back to a trust, or are of the CA itself.
    """

    trust: Name | None = None
    """The name of a ``[[protocols.cmp.trust]]``."""
    profile: str | None = None
    """Instead: certificates that the CA issued by this profile."""
    cas: tuple[CAName, ...] = ()
    """For these CAs only; none is for all."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.trust is None) == (self.profile is None):
            raise ValueError("trust, or profile")
        return self


class LabelConfig(Section):
    """``[[protocols.cmp.labels]]``: a short path for one CA and profile; the rest is the section's unless set here."""

    id: LabelID
    ca: CAName
    profile: str
    rules: Name = DEFAULT_RULES
    """Which of ``[[protocols.cmp.rules]]``."""
    mac: bool | None = None
    certificate: bool | None = None
    vendor_trust: Name | None = None
    implicit_confirm: bool | None = None
    confirm_wait: DurationOfSeconds | None = None
    approval: bool | None = None
    check_after: DurationOfSeconds | None = None
    approval_lifetime: DurationOfSeconds | None = None
    revoke_replaced: bool | None = None
    key_generation: bool | None = None


class CMPConfig(Section):
    """The Certificate Management Protocol."""

    profiles: tuple[str, ...] = ()
    """Profiles that are served at ``/cmp/TENANT/CA/PROFILE``, where the CA has them enabled."""
    labels: tuple[LabelConfig, ...] = ()
    default_label: LabelID | None = None
    """Which label is served without one: ``/.well-known/cmp``."""
    mac: bool = True
    """Requests protected by an enrollment secret (``cspctl cmp secret create``)."""
    certificate: bool = True
    """Requests signed with a certificate of the CA."""
    vendor_trust: Name | None = None
    """Requests signed with a certificate that devices are made with: the name of a ``[[protocols.cmp.trust]]``."""
    implicit_confirm: bool = True
    """Clients that ask for it need not confirm that they got their certificate."""
    confirm_wait: DurationOfSeconds = timedelta(minutes=5)
    """A certificate that is not confirmed by then is revoked."""
    approval: bool = False
    """Each request waits for ``cspctl request approve``."""
    check_after: DurationOfSeconds = timedelta(minutes=1)
    """When a client whose request waits is to ask again."""
    approval_lifetime: DurationOfSeconds = timedelta(days=7)
    revoke_replaced: bool = False
    """A certificate is revoked as superseded once its successor by kur is confirmed."""
    key_generation: bool = False
    """Keys are made for clients that send none; they leave the server once and are not kept."""
    rules: tuple[RuleConfig, ...] = ()
    """Limits of algorithms; ``default`` is there without being written, and is what labels have that name none."""
    trust: tuple[TrustConfig, ...] = ()
    registration_authorities: tuple[RegistrationAuthorityConfig, ...] = ()
    key_generation_authorities: tuple[KeyGenerationAuthorityConfig, ...] = ()
    """Who signs keys that are made here; a CA that none is named for signs them itself."""
    time_tolerance: DurationOfSeconds = timedelta(minutes=5)
    """How far messageTime may be from the time of the server."""
    max_message_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 64 * 1024
    max_requests: Annotated[int, Field(ge=1, le=100)] = 16
    """Certificates, revocations or confirmations in one message."""
    transaction_lifetime: DurationOfSeconds = timedelta(minutes=60)
    """How long a transaction that nobody goes on with is kept; one that waits for approval is kept longer."""
    max_transactions: Annotated[int, Field(ge=0)] = 10_000
    """Transactions in progress; with 0 none is kept, and certificates are confirmed implicitly (R-CAGW-214)."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("labels", [label.id for label in self.labels]),
            ("rules", [rule.id for rule in self.rules]),
            ("trust", [trust.name for trust in self.trust]),
            ("key_generation_authorities", [each.ca for each in self.key_generation_authorities]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {', '.join(twice)} stands there twice")
        return self

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        if self.default_label is not None and self.default_label not in {label.id for label in self.labels}:
            raise ValueError(f"default_label: {self.default_label} is not the id of a label")
        rules = {DEFAULT_RULES, *(rule.id for rule in self.rules)}
        trusts = {trust.name for trust in self.trust}
        for label in self.labels:
            if label.rules not in rules:
                raise ValueError(f"labels: {label.id}: rules: {label.rules} is not the id of rules")
        for vendors in (self.vendor_trust, *(label.vendor_trust for label in self.labels)):
            if vendors is not None and vendors not in trusts:
                raise ValueError(f"vendor_trust: {vendors} is not the name of a trust")
        for authority in self.registration_authorities:
            if authority.trust is not None and authority.trust not in trusts:
                raise ValueError(f"registration_authorities: {authority.trust} is not the name of a trust")
        return self

    def terms_of(self, label: LabelConfig) -> Terms:
        """The terms of a label, what it does not say taken from the section."""
        own = {name: value for name, value in label if name not in ("id", "ca", "profile") and value is not None}
        return replace(self.terms(CAReference.parse(label.ca), label.profile), **own)

    def terms(self, ca: CAReference, profile: str) -> Terms:
        """The terms of the section for a CA and profile."""
        return Terms(
            ca=ca,
            profile=profile,
            rules=DEFAULT_RULES,
            mac=self.mac,
            certificate=self.certificate,
            vendor_trust=self.vendor_trust,
            implicit_confirm=self.implicit_confirm,
            confirm_wait=self.confirm_wait,
            approval=self.approval,
            check_after=self.check_after,
            approval_lifetime=self.approval_lifetime,
            revoke_replaced=self.revoke_replaced,
            key_generation=self.key_generation,
        )

    def rules_named(self, name: str) -> RuleConfig:
        """One of ``rules``, or the default."""
        return next((rule for rule in self.rules if rule.id == name), RuleConfig(id=DEFAULT_RULES))

    def rules_by_name(self) -> dict[str, AlgorithmRules]:
        """What messages are checked by, by ``Terms.rules``."""
        names = (DEFAULT_RULES, *(rule.id for rule in self.rules))
        return {name: self.rules_named(name).algorithm_rules() for name in names}

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """Check the files of trust anchors; see :class:`cspd.config.inspection.Inspected`."""
        problems: list[Problem] = []
        warnings: list[Problem] = []
        for index, trust in enumerate(self.trust):
            key = ("trust", index, "anchors")
            try:
                anchors = read_anchors(folder / trust.anchors)
            except BadTrust as error:
                problems.append(Problem(what=str(error), remedy="A PEM file of CA certificates", key=key))
                continue
            if all(anchor.not_valid_after_utc <= now for anchor in anchors):
                what = f"every certificate of {folder / trust.anchors} has expired"
                warnings.append(Problem(what=what, remedy="Get its successors", key=key))
        return Inspection(problems, (*warnings, *self._warnings_of_rules()))

    def inspect_profiles(self, profiles: Mapping[str, Profile]) -> Sequence[Problem]:
        """Check those of key generation authorities; see :class:`cspd.config.inspection.UsesProfiles`."""
        return [
            Problem(
                what=f"the key generation authority of {each.ca} cannot be made: profile {each.profile} {fault}",
                remedy="Name one that fits",
                key=("key_generation_authorities", index, "profile"),
            )
            for index, each in enumerate(self.key_generation_authorities)
            if (fault := each.fault_of(profiles.get(each.profile)))
        ]

    def _warnings_of_rules(self) -> Sequence[Problem]:
        """RSA below 512 and EC below 100 bits cannot be configured; what is weak today is told."""
        return [
            Problem(
                what=f"keys of RSA with {rule.min_rsa_bits} bits can be broken",
                remedy="2048 at least",
                key=("rules", index, "min_rsa_bits"),
            )
            for index, rule in enumerate(self.rules)
            if rule.min_rsa_bits < 2048
        ]
