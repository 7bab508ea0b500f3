"""The typed refusals of the core: what the server says no to, and why.

Every service raises one of these; every protocol maps them to its wire errors in one table (``protocols.NAME.errors``),
and a test proves that table complete against :func:`all_refusals`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar


class Refused(Exception):
    """A request that the server will not fulfil.

    ``reason`` is for the client's human and never holds a secret; ``detail`` reaches the log only. ``code`` is stable
    and machine readable; a subclass has one by default and a raiser may give a finer one.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, reason: str, *, code: str | None = None, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.refusal_code = code or type(self).code


class Malformed(Refused):
    """The bytes cannot be decoded, or break the syntax of their standard."""

    code = "malformed"


class Unauthorized(Refused):
    """The client did not prove who it is (bad signature, password, certificate)."""

    code = "unauthorized"


class Forbidden(Refused):
    """The client is known and may not do this."""

    code = "forbidden"


class NotFound(Refused):
    """No such organization, CA, profile, certificate, account or order."""

    code = "not-found"


class Conflict(Refused):
    """The object's state does not allow the operation, or its name is taken."""

    code = "conflict"


class AlreadyRevoked(Conflict):
    """The certificate is revoked already."""

    code = "already-revoked"


class BadRevocationReason(Refused):
    """The reason is unknown, reserved, or not allowed for this certificate."""

    code = "bad-revocation-reason"


class Rejected(Refused):
    """Policy says no; the subclasses say to what."""

    code = "rejected"


class BadProofOfPossession(Rejected):
    """The request is not signed by the key it asks a certificate for (RFC 2986, 4.2; RFC 4211, 4)."""

    code = "bad-proof-of-possession"


class BadPublicKey(Rejected):
    """The key is weak, of a type or size that the profile does not allow, or reused from a CA."""

    code = "bad-public-key"


class BadName(Rejected):
    """The subject or a subjectAltName is malformed or not allowed."""

    code = "bad-name"


class BadExtension(Rejected):
    """A requested extension is malformed or not allowed."""

    code = "bad-extension"


class BadValidity(Rejected):
    """The requested notBefore or notAfter is not allowed."""

    code = "bad-validity"


class LimitExceeded(Refused):
    """The client asks too much or too often; ``retry_after`` says when to come again, if ever."""

    code = "limit-exceeded"

    def __init__(
        self, reason: str, *, retry_after: timedelta | None = None, code: str | None = None, detail: str = ""
    ) -> None:
        super().__init__(reason, code=code, detail=detail)
        self.retry_after = retry_after


class Unavailable(Refused):
    """A service that is needed (store, HSM, DNS, CA) cannot answer now; the same request may succeed later."""

    code = "unavailable"

    def __init__(
        self,
        reason: str,
        *,
        retry_after: timedelta = timedelta(seconds=30),
        code: str | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(reason, code=code, detail=detail)
        self.retry_after = retry_after


def all_refusals() -> frozenset[type[Refused]]:
    """Every refusal class of this module, ``Refused`` itself excepted; protocols prove their tables complete with it.

    Others are of somebody who derives his own; tables find those by their base.
    """
    found: set[type[Refused]] = set()
    waiting: list[type[Refused]] = [Refused]
    while waiting:
        for subclass in waiting.pop().__subclasses__():
            if subclass not in found:
                found.add(subclass)
                waiting.append(subclass)
    return frozenset(each for each in found if each.__module__ == __name__)
