"""The templates of :mod:`tests.support.samba_populate`, which only the Python with the samba module can import."""

from __future__ import annotations

TEMPLATE_ARC = "1.3.6.1.4.1.311.21.8.1111111.2222222.3333333.4444444.5555555.66.7777777"
TEMPLATE_OIDS = {
    name: f"{TEMPLATE_ARC}.{number}"
    for number, name in enumerate(("User", "WSTEPUser", "WSTEPMachine", "WSTEPSign", "WSTEPEncrypt", "WSTEPSupply"), 1)
}
