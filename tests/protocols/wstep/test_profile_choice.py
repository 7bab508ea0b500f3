from __future__ import annotations

from itertools import chain, combinations

import pytest

from cspd.authority.profile_values import KeyUsageBit
from cspd.refusals import BadExtension
from protocols.wstep.profile_choice import (
    NO_PROFILE,
    ChosenProfile,
    ProfilesByKeyUsage,
    choose_profile,
    requested_key_usage,
)
from tests.protocols.wstep.accounts import csr, key_usage, template

PROFILES = ProfilesByKeyUsage(
    digital_signature="ds",
    key_encipherment="ke",
    digital_signature_and_key_encipherment="ds-ke",
    digital_signature_and_non_repudiation="ds-nr",
)
DS, KE, NR = KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.KEY_ENCIPHERMENT, KeyUsageBit.NON_REPUDIATION
FITTING = {frozenset({DS}): "ds", frozenset({KE}): "ke", frozenset({DS, KE}): "ds-ke", frozenset({DS, NR}): "ds-nr"}


@pytest.mark.requirement("R-CEG-137")
@pytest.mark.requirement("R-CEGI-031")
def test_four_combinations_of_key_usage_have_a_profile_and_no_other() -> None:
    for bits in chain.from_iterable(combinations(KeyUsageBit, count) for count in range(len(KeyUsageBit) + 1)):
        usage = frozenset(bits)
        if usage in FITTING:
            chosen = choose_profile(template(), usage, mapped={}, by_key_usage=PROFILES)
            assert chosen == ChosenProfile(FITTING[usage], is_mapped=False)
        else:
            with pytest.raises(BadExtension) as refused:
                choose_profile(template(), usage, mapped={}, by_key_usage=PROFILES)
            assert refused.value.refusal_code == NO_PROFILE


@pytest.mark.requirement("R-CEG-136")
@pytest.mark.requirement("R-CEGI-031")
def test_a_mapped_template_has_its_profile_whatever_the_key_usage() -> None:
    mapped = {"Other": "other", "staff": "staff-profile"}
    for usage in (frozenset[KeyUsageBit](), frozenset({DS}), frozenset({KeyUsageBit.KEY_AGREEMENT})):
        chosen = choose_profile(template(), usage, mapped=mapped, by_key_usage=PROFILES)
        assert chosen == ChosenProfile("staff-profile", is_mapped=True)


def test_the_key_usage_is_the_requests_else_the_templates() -> None:
    assert requested_key_usage(csr(), template()) == {DS, KE}
    assert requested_key_usage(csr(key_usage=key_usage("digital_signature")), template()) == {DS}
    signing = csr(key_usage=key_usage("digital_signature", "content_commitment"))
    assert requested_key_usage(signing, template(key_usage=frozenset())) == {DS, NR}
    with pytest.raises(BadExtension, match="nonRepudiation"):
        requested_key_usage(signing, template())


def test_every_bit_is_read() -> None:
    whole = csr(key_usage=key_usage("digital_signature", "key_agreement", "data_encipherment", "crl_sign"))
    assert requested_key_usage(whole, template(key_usage=frozenset())) == {
        DS,
        KeyUsageBit.KEY_AGREEMENT,
        KeyUsageBit.DATA_ENCIPHERMENT,
        KeyUsageBit.CRL_SIGN,
    }
