"""``[protocols.mdm]``: the web service for products that manage devices.

::

    [protocols.mdm]
    users = ["mdm-products"]              # an [authentication.mdm-products]

What may be ordered stands in ``[digital_ids]``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from cspd.authentication.config import AuthenticationName
from cspd.config.values import DurationOfSeconds, Section


class MDMConfig(Section):
    """The web service for mobile device management."""

    users: Annotated[tuple[AuthenticationName, ...], Field(min_length=1)]
    """Who knows user names and passwords: ``[authentication.NAME]`` sections, asked in this order (R-CEG-084)."""
    realm: Annotated[str, Field(pattern=r"^[ !#-\[\]-~]{1,64}$")] = "cspd MDM"
    """What clients show to people who are asked for a password."""
    legacy_pkcs12: bool = False
    """Orders may ask for PKCS#12 with 3DES and SHA-1, for devices that read nothing better."""
    soap_threads: Annotated[int, Field(ge=1, le=64)] = 4
    """SOAP calls that are worked on at the same time."""
    soap_timeout: DurationOfSeconds = timedelta(seconds=30)
    """How long one may take; less than the write_timeout of the listener, so that there is a fault."""
