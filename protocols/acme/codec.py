"""Payloads of requests in, bodies of answers out (RFC 8555, 7).

Every decoder takes the octets of a payload and gives a message or raises malformed (or the finer error that the RFC
names). Unknown members are ignored, as the RFC asks (7.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.json_text import decode_base64url, decode_object, malformed
from protocols.acme.messages import (
    MAX_CONTACTS,
    MAX_DER,
    MAX_TEXT,
    AccountUpdate,
    AuthorizationUpdate,
    Finalize,
    Identifier,
    KeyChange,
    NewAccount,
    NewOrder,
    RevokeCert,
)
from protocols.acme.objects import Account, Authorization, Challenge, Order
from protocols.acme.states import AuthorizationStatus, ChallengeStatus, OrderStatus
from protocols.acme.urls import DirectoryURLs

# RFC 3339, as 8555 uses it; the zone is needed.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")
# One RFC 6068 address: no headers, no list, nothing that ends a line or an address.
_MAILTO = re.compile(
    r"[A-Za-z0-9.!#$&'*+/=^_`{|}~%-]{1,64}@(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def decode_new_account(payload: bytes) -> NewAccount:
    """RFC 8555, 7.3. Raises malformed, unsupportedContact, invalidContact."""
    members = decode_object(payload, "newAccount")
    return NewAccount(
        contact=_contact(members.get("contact", [])),
        terms_of_service_agreed=_boolean(members, "termsOfServiceAgreed"),
        only_return_existing=_boolean(members, "onlyReturnExisting"),
    )


def decode_account_update(payload: bytes) -> AccountUpdate:
    """RFC 8555, 7.3.2 and 7.3.6. Raises malformed, unsupportedContact, invalidContact."""
    members = decode_object(payload, "the account")
    return AccountUpdate(
        contact=_contact(members["contact"]) if "contact" in members else None,
        deactivate=_is_deactivation(members),
    )


def decode_new_order(payload: bytes, *, max_identifiers: int) -> NewOrder:
    """RFC 8555, 7.4; the identifiers are not checked here. Raises malformed."""
    members = decode_object(payload, "newOrder")
    listed = members.get("identifiers")
    if not isinstance(listed, list) or not listed:
        raise malformed("identifiers is not a list with at least one element")
    if len(listed) > max_identifiers:
        raise malformed(f"an order has at most {max_identifiers} identifiers")
    return NewOrder(
        identifiers=tuple(_identifier(element) for element in listed),
        not_before=_timestamp(members, "notBefore"),
        not_after=_timestamp(members, "notAfter"),
    )


def decode_authorization_update(payload: bytes) -> AuthorizationUpdate:
    """RFC 8555, 7.5.2. Raises malformed."""
    return AuthorizationUpdate(deactivate=_is_deactivation(decode_object(payload, "the authorization")))


def decode_challenge_response(payload: bytes) -> None:
    """RFC 8555, 7.5.1: an object, empty for the types we have. Raises malformed."""
    decode_object(payload, "the challenge response")


def decode_finalize(payload: bytes) -> Finalize:
    """RFC 8555, 7.4. Raises malformed."""
    return Finalize(csr_der=_der(decode_object(payload, "finalize"), "csr"))


def decode_revoke_cert(payload: bytes) -> RevokeCert:
    """RFC 8555, 7.6. Raises malformed; which reasons exist is not checked here."""
    members = decode_object(payload, "revokeCert")
    reason = members.get("reason")
    if reason is not None and (not isinstance(reason, int) or isinstance(reason, bool)):
        raise malformed("reason is not a number")
    return RevokeCert(certificate_der=_der(members, "certificate"), reason=reason)


def decode_key_change(payload: bytes) -> KeyChange:
    """RFC 8555, 7.3.5. Raises malformed."""
    members = decode_object(payload, "keyChange")
    if "oldKey" not in members:
        raise malformed("keyChange has no oldKey")
    return KeyChange(account=_text(members.get("account"), "account"), old_key=members["oldKey"])


def encode_account(account: Account) -> Mapping[str, Any]:
    """RFC 8555, 7.1.2."""
    return {"status": account.status.value, "contact": list(account.contact)}


def encode_order(order: Order, urls: DirectoryURLs) -> Mapping[str, Any]:
    """RFC 8555, 7.1.3."""
    members: dict[str, Any] = {
        "status": order.status.value,
        "expires": encode_timestamp(order.expires_at),
        "identifiers": [identifier.to_json() for identifier in order.identifiers],
        "authorizations": [urls.authorization(id) for id in order.authorization_ids],
        "finalize": urls.finalize(order.id),
    }
    if order.not_before is not None:
        members["notBefore"] = encode_timestamp(order.not_before)
    if order.not_after is not None:
        members["notAfter"] = encode_timestamp(order.not_after)
    if order.error is not None:
        members["error"] = order.error
    if order.status is OrderStatus.VALID and order.serial is not None:
        members["certificate"] = urls.certificate(order.serial)
    return members


def encode_authorization(authorization: Authorization, urls: DirectoryURLs) -> Mapping[str, Any]:
    """RFC 8555, 7.1.4: once decided, only the challenge that decided it is listed."""
    members: dict[str, Any] = {
        "identifier": authorization.identifier.to_json(),
        "status": authorization.status.value,
        "expires": encode_timestamp(authorization.expires_at),
        "challenges": [encode_challenge(challenge, urls) for challenge in _relevant(authorization)],
    }
    if authorization.is_wildcard:
        members["wildcard"] = True
    return members


def encode_challenge(challenge: Challenge, urls: DirectoryURLs) -> Mapping[str, Any]:
    """RFC 8555, 8."""
    members: dict[str, Any] = {
        "type": challenge.type,
        "url": urls.challenge(challenge.id),
        "status": challenge.status.value,
        "token": challenge.token,
    }
    if challenge.validated_at is not None:
        members["validated"] = encode_timestamp(challenge.validated_at)
    if challenge.error is not None:
        members["error"] = challenge.error
    return members


def encode_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    # Not strftime: its %Y has fewer than four digits for the years before 1000, which a client may write.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _relevant(authorization: Authorization) -> Sequence[Challenge]:
    decisive = {
        AuthorizationStatus.VALID: ChallengeStatus.VALID,
        AuthorizationStatus.INVALID: ChallengeStatus.INVALID,
    }.get(authorization.status)
    if decisive is None:
        return authorization.challenges
    return tuple(challenge for challenge in authorization.challenges if challenge.status is decisive)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise malformed(f"{what} is not a string of at most {MAX_TEXT} characters")
    return value


def _boolean(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise malformed(f"{name} is not true or false")
    return value


def _is_deactivation(members: Mapping[str, Any]) -> bool:
    if "status" not in members:
        return False
    if members["status"] != "deactivated":
        raise malformed("the only status that a client may set is deactivated")
    return True


def _der(members: Mapping[str, Any], name: str) -> bytes:
    octets = decode_base64url(members.get(name), name)
    if not 0 < len(octets) <= MAX_DER:
        raise malformed(f"{name} has 1 to {MAX_DER} octets")
    return octets


def _identifier(value: object) -> Identifier:
    if not isinstance(value, dict):
        raise malformed("an identifier is not an object")
    return Identifier(_text(value.get("type"), "the type"), _text(value.get("value"), "the value"))


def _timestamp(members: Mapping[str, Any], name: str) -> datetime | None:
    if name not in members:
        return None
    text = members[name]
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text):
        raise malformed(f"{name} is not an RFC 3339 timestamp")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise malformed(f"{name} is not an RFC 3339 timestamp") from error


def _contact(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_CONTACTS:
        raise malformed(f"contact is not a list of at most {MAX_CONTACTS} URLs")
    return tuple(_contact_url(_text(element, "a contact")) for element in value)


def _contact_url(url: str) -> str:
    scheme, separator, address = url.partition(":")
    if not separator:
        raise ACMEError(ErrorType.INVALID_CONTACT, "a contact is a URL such as mailto:admin@example.org")
    if scheme.lower() != "mailto":
        raise ACMEError(ErrorType.UNSUPPORTED_CONTACT, "only mailto contacts are supported")
    if not _MAILTO.fullmatch(address):
        raise ACMEError(ErrorType.INVALID_CONTACT, "a mailto contact has one address and no headers (RFC 8555, 7.3)")
    return url
