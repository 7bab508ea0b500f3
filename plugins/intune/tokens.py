"""Access tokens for the application that cspd is in Azure: OAuth 2.0 client credentials (RFC 6749, 4.4) by MSAL.

With a client secret, or with an assertion that is signed with the application's certificate (RFC 7523, 2.2). MSAL keeps
tokens until shortly before their end, and does not repeat a request within seconds that was just refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msal import ConfidentialClientApplication
from msal.exceptions import MsalError

from cspd import __version__
from cspd.http.outbound.values import OutboundRequest, OutboundResponse, RequestFailed
from cspd.keys.threads import SigningPool
from cspd.refusals import Unavailable
from plugins.intune.msal_http import MSALHTTP

_REASONS: Mapping[int, str] = {
    7000222: "the application's client secret has expired",
    7000215: "the application's client secret is wrong",
    700027: "the application's certificate is not known in Azure, or has expired there",
    700016: "the application is not known in the tenant",
    700024: "the clock of this machine and Azure's differ",
    90002: "the tenant is not known",
    1000502: "the application's certificate has expired",
}
"""What an administrator has to do something about:
https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""
_CODE = re.compile(r"AADSTS([0-9]{4,8})")
MAX_TEXT = 300


class CredentialRefused(Unavailable):
    """Azure does not believe that we are the application; nothing works until an administrator has seen to it."""

    code = "intune-credential-refused"


class Tokens:
    """Gives tokens. MSAL blocks: it runs in a pool of its own, which has one thread."""

    def __init__(
        self,
        *,
        pool: SigningPool,
        application_id: str,
        authority: str,
        credential: str | Mapping[str, str],
        send: Callable[[OutboundRequest], OutboundResponse],
    ) -> None:
        """``credential`` is a client secret, or ``private_key`` and ``public_certificate`` in PEM.

        ``send`` is called in the pool's thread, and blocks.
        """
        self._pool = pool
        self._application_id = application_id
        self._authority = authority
        self._credential = credential
        self._send = send
        self._application: Any = None

    async def get(self, scope: str) -> str:
        """A token that is valid now.

        Raises :class:`CredentialRefused`, and Unavailable if whoever gives tokens cannot be asked.
        """
        return await self._pool.run(lambda: self._get(scope))

    async def forget(self) -> None:
        """Ask for new ones next time: a service did not take one that should be valid."""
        await self._pool.run(self._forget)

    def _get(self, scope: str) -> str:
        try:
            if self._application is None:
                self._application = self._make()
            answer = self._application.acquire_token_for_client(scopes=[scope])
        except RequestFailed as error:
            raise Unavailable("there is no token for Intune", detail=f"login authority: {error}") from error
        except (MsalError, ValueError, KeyError, TypeError, RuntimeError) as error:
            # What MSAL raises when the authority's own answers are not as they should be.
            raise Unavailable("there is no token for Intune", detail=f"login authority: {_cut(str(error))}") from error
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii():
            raise _refusal(answer)
        return token

    def _make(self) -> Any:
        # Without instance discovery: it would ask the public cloud whether the authority of conf is a good one.
        return ConfidentialClientApplication(
            self._application_id,
            client_credential=self._credential,
            authority=self._authority,
            http_client=MSALHTTP(self._send),
            instance_discovery=False,
            azure_region=False,
            app_name="cspd",
            app_version=__version__,
        )

    def _forget(self) -> None:
        if self._application is not None:
            self._application.remove_tokens_for_client()


def _refusal(answer: Any) -> Unavailable:
    """Why there is no token; what Azure says holds no secret."""
    said = answer if isinstance(answer, dict) else {}
    description = str(said.get("error_description", ""))
    codes = [int(each) for each in _CODE.findall(description)]
    known = next((_REASONS[code] for code in codes if code in _REASONS), None)
    detail = _cut(f"login authority: {said.get('error', 'no error')}: {description}")
    if known is not None:
        return CredentialRefused("there is no token for Intune", detail=f"{known} ({detail})")
    if said.get("error") in ("invalid_client", "unauthorized_client", "invalid_grant"):
        return CredentialRefused("there is no token for Intune", detail=detail)
    return Unavailable("there is no token for Intune", detail=detail)


def _cut(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]
