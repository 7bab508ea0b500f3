"""Intune's JSON: bodies out, answers in. What is read is somebody else's, and is checked and cut."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha1
from typing import Any

from protocols.scep.intune.values import (
    MAX_DESCRIPTION,
    IntuneCode,
    IssuedNotice,
    RefusedByIntune,
    RefusedNotice,
    RevocationOrder,
    RevocationResult,
)

MAX_TEXT = 4096
"""Characters of a text that is sent back or compared."""

_CODES = {code.value: code for code in IntuneCode}

Object = Mapping[str, Any]


class NotOfTheInterface(ValueError):
    """An answer that the interface does not have."""


def decode_json(octets: bytes) -> Any:
    """Raises :class:`NotOfTheInterface`."""
    try:
        return json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise NotOfTheInterface("the answer is not JSON") from error


def encode_json(body: Object) -> bytes:
    """A body."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def validation(transaction_id: str, csr_der: bytes, caller: str) -> Object:
    """The body of validateRequest."""
    return {"request": _about(transaction_id, csr_der, caller)}


def issued(notice: IssuedNotice, caller: str) -> Object:
    """The body of successNotification."""
    not_after = notice.not_after.astimezone(UTC)
    return {
        "notification": {
            **_about(notice.transaction_id, notice.csr_der, caller),
            # Windows' thumbprint: a name for the certificate, which proves nothing.
            "certificateThumbprint": sha1(notice.certificate_der, usedforsecurity=False).hexdigest().upper(),
            "certificateSerialNumber": hexadecimal(notice.serial),
            "certificateExpirationDateUtc": not_after.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "issuingCertificateAuthority": notice.issuer,
        }
    }


def refused(notice: RefusedNotice, caller: str) -> Object:
    """The body of failureNotification."""
    description = "".join(each if each.isprintable() else " " for each in notice.description)
    return {
        "notification": {
            **_about(notice.transaction_id, notice.csr_der, caller),
            "hResult": int(notice.result),
            "errorDescription": description[:MAX_DESCRIPTION] or "no reason is given",
        }
    }


def check_answer(answer: Any) -> None:
    """What validateRequest and the notifications answer.

    Raises :class:`protocols.scep.intune.values.RefusedByIntune` for anything but Success, and
    :class:`NotOfTheInterface` for an answer that says neither.
    """
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(code, str):
        raise NotOfTheInterface("the answer has no code")
    if code == IntuneCode.SUCCESS.value:
        return
    description = answer.get("errorDescription")
    raise RefusedByIntune(
        _CODES.get(code, IntuneCode.UNKNOWN),
        said=code,
        description=" ".join(description.split())[:MAX_DESCRIPTION] if isinstance(description, str) else "",
    )


def download(issuer_name: str, limit: int) -> Object:
    """The body of downloadRevocationRequests."""
    return {"downloadParameters": {"certificateProviderName": None, "maxRequests": limit, "issuerName": issuer_name}}


def orders(answer: Any, limit: int) -> Sequence[RevocationOrder]:
    """What downloadRevocationRequests answers: a list, by itself or as ``value``; raises NotOfTheInterface.

    Names of members are compared without their case: Microsoft's two libraries differ in it.
    """
    listed = _members(answer).get("value") if isinstance(answer, dict) else answer
    if not isinstance(listed, list) or len(listed) > limit:
        raise NotOfTheInterface("the answer is no list of orders")
    return [_order(each) for each in listed]


def results(all_of_them: Sequence[RevocationResult]) -> Object:
    """The body of uploadRevocationResults."""
    return {
        "results": [
            {
                "requestContext": each.context,
                "succeeded": each.succeeded,
                "errorCode": str(int(each.code)),
                "errorMessage": each.message[:MAX_DESCRIPTION] or None,
            }
            for each in all_of_them
        ]
    }


def is_taken(answer: Any) -> bool:
    """What uploadRevocationResults answers: ``true``, by itself or as ``value``."""
    return (_members(answer).get("value") if isinstance(answer, dict) else answer) is True


def hexadecimal(serial: int) -> str:
    """A serial number as Windows shows it: whole octets, upper case."""
    digits = format(serial, "X")
    return digits.zfill(len(digits) + len(digits) % 2)


def _about(transaction_id: str, csr_der: bytes, caller: str) -> Object:
    return {
        "transactionId": transaction_id,
        "certificateRequest": b64encode(csr_der).decode("ascii"),
        "callerInfo": caller,
    }


def _members(value: dict[Any, Any]) -> Mapping[str, Any]:
    return {str(name).lower(): member for name, member in value.items()}


def _order(value: Any) -> RevocationOrder:
    if not isinstance(value, dict):
        raise NotOfTheInterface("an order is no object")
    members = _members(value)
    context, serial, issuer = (members.get(name) for name in ("requestcontext", "serialnumber", "issuername"))
    if not isinstance(context, str) or not isinstance(serial, str) or not context:
        raise NotOfTheInterface("an order has no requestContext or serialNumber")
    if issuer is not None and not isinstance(issuer, str):
        raise NotOfTheInterface("an order's issuerName is no text")
    if any(len(each) > MAX_TEXT for each in (context, serial, issuer or "")):
        raise NotOfTheInterface("an order has a text that is too long")
    return RevocationOrder(context=context, serial_number=serial, issuer_name=issuer)
