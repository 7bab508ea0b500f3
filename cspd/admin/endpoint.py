"""The admin API: ``POST /v1/<operation>`` with a JSON object, on a Unix socket that its owner and root can open.

Answers ``{"result": ...}``, or ``{"error": {"code": ..., "reason": ...}}`` with a status of :mod:`cspd.admin.errors`.
"""

from __future__ import annotations

import json
import pwd
from collections.abc import Sequence
from typing import Any

from cspd.admin.errors import status_of
from cspd.admin.operations.values import Caller, Operations
from cspd.http.message import Request, Response, Route
from cspd.http.peers import UNIX_PREFIX
from cspd.refusals import Malformed, Refused

MAX_BODY_BYTES = 1 << 20  # a CA certificate chain with room to spare


class AdminEndpoint:
    """Serves operations. The socket's file mode lets the caller in, the kernel says who it is."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def routes(self) -> Sequence[Route]:
        """The one route."""
        return (Route(methods=("POST",), path="/v1/{operation}", handler=self.handle, max_body_bytes=MAX_BODY_BYTES),)

    async def handle(self, request: Request) -> Response:
        """Run one operation."""
        name = request.parameters["operation"]
        caller = Caller(user=_user(request), request_id=request.request_id)
        try:
            result = await self._operations.run(name, _decode(request.body), caller)
        except Refused as refusal:
            error = {"code": refusal.refusal_code, "reason": refusal.reason}
            return _answer(status_of(refusal), {"error": error})
        return _answer(200, {"result": result})


def _user(request: Request) -> str:
    """The login name of the user at the other end; its number if it has none."""
    number = request.peer.removeprefix(UNIX_PREFIX)
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, ValueError):
        return number or "unknown"


def _decode(body: bytes) -> dict[str, Any]:
    try:
        arguments = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(arguments, dict):
        raise Malformed("the body is not a JSON object")
    return arguments


def _answer(status: int, value: object) -> Response:
    return Response(status, json.dumps(value).encode(), ((b"content-type", b"application/json"),))
