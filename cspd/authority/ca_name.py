"""How conf names a CA."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from cspd.authority.values import CAReference
from cspd.refusals import Malformed


def _ca_name(text: str) -> str:
    try:
        return str(CAReference.parse(text))
    except Malformed as error:
        raise ValueError(error.reason) from error


CAName = Annotated[str, AfterValidator(_ca_name)]
"""``organization~ca-id``, for :meth:`cspd.authority.values.CAReference.parse`."""
