"""Who a client is: by user name and password in the message, or by a Kerberos ticket of HTTP (R-CEG-122 to 128).

Each URL has one of the two (R-CEG-123): at these, neither a TLS client certificate nor the signature of a renewal says
who calls. Renewal by certificate has a URL of its own, which conf switches on: :mod:`.client_certificates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cspd.authentication.interfaces import NOT_PROVED, PasswordCheck
from cspd.authentication.negotiate import AnotherLeg, Negotiation
from cspd.directory.interfaces import Directory, HasDirectory
from cspd.directory.values import Principal
from cspd.http.message import Request
from cspd.http.soap import UsernameToken
from cspd.refusals import Refused, Unauthorized, Unavailable
from protocols.wstep.messages import Caller, StaticUser


class UserNames:
    """Recognizes callers by name and password."""

    def __init__(self, checks: Mapping[str, PasswordCheck]) -> None:
        """``checks`` by the names of their ``[authentication.NAME]``, in the order in which they are asked."""
        self._checks = dict(checks)

    async def authenticate(
        self, token: UsernameToken | None, *, domain: str | None, address: str = "", request_id: str = ""
    ) -> Caller:
        """Who sent a token; ``domain`` is that of the request, for user names without one (R-CEG-128).

        Raises Unauthorized, with one reason whatever was wrong, and Unavailable if who knows cannot be asked.
        """
        # An empty name or password would be an anonymous logon to a directory, which succeeds.
        if token is None or not token.user or not token.password:
            raise Unauthorized(NOT_PROVED, detail="no user name, or no password")
        details: list[str] = []
        unavailable: Unavailable | None = None
        for name, check in self._checks.items():
            try:
                return await self._by(name, check, token, domain, address=address, request_id=request_id)
            except Unauthorized as error:
                details.append(f"{name}: {error.detail or 'no'}")
            except Unavailable as error:
                unavailable = error
        raise unavailable or Unauthorized(NOT_PROVED, detail="; ".join(details))

    async def _by(
        self,
        name: str,
        check: PasswordCheck,
        token: UsernameToken,
        domain: str | None,
        *,
        address: str,
        request_id: str,
    ) -> Caller:
        if isinstance(check, HasDirectory):
            account = await check.directory.authenticate(token.user, token.password, domain=domain)
            return Caller(who=account, directory=check.directory, address=address, request_id=request_id)
        identity = await check.check(token.user, token.password)
        return Caller(who=StaticUser(name=identity.name, method=name), address=address, request_id=request_id)


class Tickets:
    """Recognizes callers by their Kerberos tickets."""

    def __init__(self, negotiation: Negotiation, directories: Sequence[Directory]) -> None:
        """``directories`` know the accounts; they are asked in this order."""
        self._negotiation = negotiation
        self._directories = tuple(directories)

    async def authenticate(self, request: Request) -> tuple[Caller | None, bytes | None]:
        """Who sent a request, and the value of ``WWW-Authenticate`` for the answer; no caller: another leg follows.

        Raises Unauthorized, to be answered with 401 and ``Negotiate``, and Unavailable.
        """
        bindings = request.channel_bindings()
        outcome = await self._negotiation.authenticate(
            request.header(b"authorization"), connection=bindings.tls_exporter or bindings.tls_unique
        )
        if isinstance(outcome, AnotherLeg):
            return None, outcome.header
        caller = await self._account(outcome.principal, request)
        return caller, outcome.header

    async def _account(self, principal: Principal, request: Request) -> Caller:
        refusal: Refused = Unauthorized(NOT_PROVED)
        for directory in self._directories:
            try:
                account = await directory.account_of(principal)
            except Unauthorized as error:
                if not isinstance(refusal, Unavailable):
                    refusal = error
            except Unavailable as error:
                refusal = error
            else:
                return Caller(who=account, directory=directory, address=request.peer, request_id=request.request_id)
        raise refusal
