"""``twistd cspd``: the daemon as a Twisted application plugin.

``twistd --help`` imports this module, so that it holds names only.
"""

from twisted.application.service import ServiceMaker

cspd = ServiceMaker(
    "cspd",
    "cspd.app",
    "The public-key-infrastructure server: ACME, OCSP, CRLs and more over one issuance service.",
    "cspd",
)
