"""The page that Microsoft's Network Device Enrollment Service shows at ``mscep_admin``, as programs read it.

They look for its sentences by regular expressions, with a blank behind ``<B>`` and before ``</B>``, and for groups of
hexadecimal digits, so nothing else on the page may have eight or more of them in a row. NDES writes the page in UTF-16,
and most programs decode it so, whatever the header says; a byte order mark in front serves those that look.
"""

from __future__ import annotations

import codecs
from hashlib import sha256
from html import escape

TITLE = "Network Device Enrollment Service"
_HEAD = (
    f"<HTML><Head><Title>{TITLE}</Title></Head><Body><P ID=locPageTitle> {TITLE} allows you to obtain certificates for"
    " routers or other network devices using the Simple Certificate Enrollment Protocol (SCEP). </P>"
)
_FOOT = "</Body></HTML>"


def password_page(certificate_der: bytes, challenge: str, *, minutes: int, one_time: bool) -> str:
    """The page with a challenge of the CA that has the certificate."""
    use = "can be used only once" if one_time else "can be used multiple times"
    again = (
        "Each enrollment requires a new challenge password. You can refresh this web page to obtain a new challenge"
        " password."
    )
    return (
        f"{_HEAD}<P> To complete certificate enrollment for your network device you will need the following"
        f" information: <P> The thumbprint (hash value) for the CA certificate is: <B> {_thumbprint(certificate_der)}"
        f" </B> <P> The enrollment challenge password is: <B> {escape(challenge)} </B> <P> This password {use} and will"
        f" expire within {minutes} minutes. <P> {again if one_time else ''} </P>{_FOOT}"
    )


def full_page(*, limit: int, minutes: int) -> str:
    """The page for who has asked for too many challenges that nobody used."""
    return (
        f"{_HEAD}<P> The password cache is full. <P> {TITLE} stores unused passwords for later use: {limit} of yours,"
        f" for {minutes} minutes each. <P> You can use one of them, wait until one has expired, or have your"
        f" administrator raise the limit. </P>{_FOOT}"
    )


def encode_page(page: str, encoding: str) -> bytes:
    """The octets of a page in ``utf-16`` (little endian, with a byte order mark) or ``utf-8``."""
    if encoding == "utf-16":
        return codecs.BOM_UTF16_LE + page.encode("utf-16-le")
    return page.encode(encoding)


def _thumbprint(certificate_der: bytes) -> str:
    """SHA-256, in groups of eight digits as NDES writes its MD5."""
    digits = sha256(certificate_der).hexdigest().upper()
    return " ".join(digits[start : start + 8] for start in range(0, len(digits), 8))
