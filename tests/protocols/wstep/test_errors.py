"""The table of refusals."""

from __future__ import annotations

import pytest

from cspd.http.soap12 import FaultCode
from cspd.refusals import BadName, Forbidden, Refused, Unauthorized, all_refusals
from protocols.wstep import identity, profile_choice, template_rules
from protocols.wstep.errors import FAULTS, HRESULT, HRESULTS, detail_of, fault_of, soap_fault


def test_every_refusal_has_a_fault() -> None:
    assert set(FAULTS) == all_refusals()


@pytest.mark.parametrize("module", [identity, profile_choice, template_rules])
def test_codes_of_names_and_templates_have_their_hresult(module: object) -> None:
    codes = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    told_by_class = {identity.BAD_SUBJECT, identity.FOREIGN_NAME, identity.NAME_FORMAT}
    assert codes - told_by_class <= set(HRESULTS)


def test_a_subclass_is_told_as_its_base() -> None:
    class Finer(Forbidden):
        """Of somebody else."""

    assert fault_of(Finer("no")) is FAULTS[Forbidden]
    assert fault_of(Refused("no")).hresult is HRESULT.DENIED_BY_POLICY


def test_hresults_are_signed_in_details() -> None:
    assert detail_of(BadName("no"))[1].text == "-2146877439"
    assert HRESULT.LACKS_UPN.signed == -2146875379


def test_failed_authentication_is_the_senders() -> None:
    fault = soap_fault(Unauthorized("no"), "urn:x")
    assert (fault.fault_code, fault.subcode and fault.subcode[1]) == (FaultCode.SENDER, "FailedAuthentication")
