"""The values of subjectAltName (RFC 5280, 4.2.1.6): syntax, and text for people, logs and search."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import idna
from asn1crypto.core import UTF8String
from cryptography import x509

from cspd.x509.der import DERError, read
from cspd.x509.names import format_name

MAX_DNS_NAME = 253
MAX_LABEL = 63
MAX_MAILBOX = 254  # RFC 5321, 4.5.3.1.3 with its erratum
MAX_LOCAL_PART = 64
MAX_URI = 2048
MAX_OTHER_NAME = 4096

USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""otherName of Windows accounts: UTF8String ``user@realm``."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_ALL_DIGITS = re.compile(r"[0-9]+")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class GeneralNameError(ValueError):
    """A name breaks the syntax of its kind."""


def subject_alt_names_of(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """The names in the certificate's subjectAltName; none without the extension.

    Raises what ``cryptography`` raises for extensions that it cannot read.
    """
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()


def check_general_name(name: x509.GeneralName) -> None:
    """Check the syntax of one subjectAltName; raises :class:`GeneralNameError`.

    dNSName may have a wildcard as its whole first label. x400Address and ediPartyName never get here: no parser of ours
    gives them.
    """
    if isinstance(name, x509.DNSName):
        check_dns_name(name.value, wildcard=True)
    elif isinstance(name, x509.RFC822Name):
        check_mailbox(name.value)
    elif isinstance(name, x509.UniformResourceIdentifier):
        check_uri(name.value)
    elif isinstance(name, x509.IPAddress):
        if "/" in str(name.value):
            raise GeneralNameError("an iPAddress is one address, not a network")
    elif isinstance(name, x509.OtherName):
        _check_other_name(name)
    elif isinstance(name, x509.DirectoryName) and not name.value.rdns:
        raise GeneralNameError("a directoryName is empty")


def check_dns_name(name: str, *, wildcard: bool = False) -> None:
    """Check a dNSName: the preferred name syntax of RFC 1034, 3.5 as RFC 1123 relaxed it, in lower or upper case.

    No trailing dot, no underscore, no address in its digits. A label that begins with ``xn--`` must be a valid A-label
    (RFC 5890), and no other label may have ``--`` in the third and fourth place. ``*.`` may begin the name where
    ``wildcard`` says so. Raises :class:`GeneralNameError`.
    """
    if not 1 <= len(name) <= MAX_DNS_NAME:
        raise GeneralNameError(f"a dNSName has 1 to {MAX_DNS_NAME} characters")
    if not name.isascii():
        raise GeneralNameError("a dNSName outside ASCII; write the A-label (xn--...)")
    labels = name.lower().split(".")
    if wildcard and labels[0] == "*":
        del labels[0]
        if not labels:
            raise GeneralNameError("a wildcard alone is not a dNSName")
    for label in labels:
        _check_label(label, name)
    if _ALL_DIGITS.fullmatch(labels[-1]):
        raise GeneralNameError(f"{printable(name)}: an address is an iPAddress, not a dNSName")


def _check_label(label: str, name: str) -> None:
    if len(label) > MAX_LABEL or not _LABEL.fullmatch(label):
        raise GeneralNameError(
            f"{printable(name)}: a label has 1 to {MAX_LABEL} letters, digits and inner hyphens; "
            "a wildcard is the whole first label"
        )
    if label[2:4] == "--":
        if not label.startswith("xn--"):
            raise GeneralNameError(f"{printable(name)}: hyphens in the third and fourth place are reserved")
        try:
            same = idna.alabel(idna.ulabel(label)).decode("ascii") == label
        except (idna.IDNAError, UnicodeError):
            same = False
        if not same:
            raise GeneralNameError(f"{printable(name)}: {label} is not a valid A-label")


def check_mailbox(mailbox: str) -> None:
    """Check an rfc822Name: ``local@domain`` in ASCII, without quoting (RFC 5280, 4.2.1.6); raises GeneralNameError."""
    local, _, domain = mailbox.rpartition("@")
    if len(mailbox) > MAX_MAILBOX or len(local) > MAX_LOCAL_PART or not _LOCAL_PART.fullmatch(local):
        raise GeneralNameError(f"{printable(mailbox)} is not an e-mail address")
    check_dns_name(domain)


def check_uri(uri: str) -> None:
    """Check a uniformResourceIdentifier: absolute, with a scheme and something after it (RFC 3986)."""
    if len(uri) > MAX_URI or not _URI.fullmatch(uri) or _BAD_PERCENT.search(uri):
        raise GeneralNameError(f"{printable(uri)} is not an absolute URI")
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  # raises for a port that is not one
    except ValueError as error:
        raise GeneralNameError(f"{printable(uri)} is not a URI: {error}") from error
    if uri.startswith(f"{parts.scheme}://") and not parts.hostname:
        raise GeneralNameError(f"{printable(uri)} names no host")


def user_principal_name(name: x509.OtherName) -> str | None:
    """The text of an otherName that is a UPN; None for another type, :class:`GeneralNameError` for a broken one."""
    if name.type_id != USER_PRINCIPAL_NAME:
        return None
    try:
        text: str = read(UTF8String, name.value, limit=MAX_OTHER_NAME).native
    except DERError as error:
        raise GeneralNameError(f"a userPrincipalName is a UTF8String: {error}") from error
    return text


def _check_other_name(name: x509.OtherName) -> None:
    if len(name.value) > MAX_OTHER_NAME:
        raise GeneralNameError(f"an otherName of more than {MAX_OTHER_NAME} octets")
    principal = user_principal_name(name)
    if principal is not None and (not principal or not principal.isprintable()):
        raise GeneralNameError("a userPrincipalName is empty or has control characters")


def text_of(name: x509.GeneralName) -> str:
    """One line of text for a name, without its kind; total: control characters come escaped.

    dNSName, rfc822Name, URI: as they are; iPAddress: as the standard library writes it; otherName: the UPN, or
    ``OID:hexadecimal``; directoryName: RFC 4514; registeredID: dotted.
    """
    if isinstance(name, x509.OtherName):
        try:
            principal = user_principal_name(name)
        except GeneralNameError:
            principal = None
        return f"{name.type_id.dotted_string}:{name.value.hex()}" if principal is None else printable(principal)
    if isinstance(name, x509.DirectoryName):
        return format_name(name.value)
    if isinstance(name, x509.RegisteredID):
        return name.value.dotted_string
    return printable(str(name.value))


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
    x509.OtherName: "otherName",
    x509.DirectoryName: "DirName",
    x509.RegisteredID: "RID",
}


def describe(name: x509.GeneralName) -> str:
    """The kind and the text, as OpenSSL writes them: ``DNS:www.example.org``; a UPN is ``UPN:user@realm``."""
    if isinstance(name, x509.OtherName) and name.type_id == USER_PRINCIPAL_NAME:
        return f"UPN:{text_of(name)}"
    return f"{_KINDS.get(type(name), 'name')}:{text_of(name)}"


def printable(text: str) -> str:
    """The text with everything that is not printable escaped, so that it stays one harmless line in a log."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
