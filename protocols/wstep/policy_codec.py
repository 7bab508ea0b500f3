"""``GetPolicies`` from the body of an envelope, ``GetPoliciesResponse`` into one ([MS-XCEP] 3.1.4.1); no envelopes.

Reading heeds what the schema names and ignores the rest, as 3.1.4.1.3.9 and 3.1.4.1.3.22 allow. Writing follows the
schema: elements in its order, none left out.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from datetime import UTC, datetime

from lxml import etree

from cspd.refusals import Malformed
from protocols.wstep.policy_messages import (
    GET_POLICIES,
    MAX_OID,
    MAX_POLICY_OIDS,
    NAMESPACE,
    Client,
    GetPolicies,
    GetPoliciesResponse,
    Part,
    RequestFilter,
    element_names,
)

XSI = "http://www.w3.org/2001/XMLSchema-instance"
BAD_REQUEST = "bad-get-policies"

_NIL = f"{{{XSI}}}nil"
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,8}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_DOTTED = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){1,64}")


def decode_get_policies(body: etree._Element) -> GetPolicies:
    """Read the one element of a Body; total: raises Malformed, with the code :data:`BAD_REQUEST`."""
    if body.tag != GET_POLICIES:
        raise _bad("the body is not GetPolicies")
    client = _child(body, "client")
    if client is None or not (len(client) or (client.text or "").strip()):
        raise _bad("GetPolicies has no client")
    wanted = _child(body, "requestFilter")
    return GetPolicies(client=_client(client), request_filter=RequestFilter() if wanted is None else _filter(wanted))


def encode_get_policies_response(message: GetPoliciesResponse) -> etree._Element:
    """The one element of a Body."""
    root = etree.Element(f"{{{NAMESPACE}}}GetPoliciesResponse", nsmap={None: NAMESPACE, "xsi": XSI})
    _write(root, message)
    return root


def _client(client: etree._Element) -> Client:
    language = _text(client, "preferredLanguage")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise _bad("preferredLanguage is not a language")
    moment = _text(client, "lastUpdate")
    return Client(last_update=None if moment is None else _moment(moment), preferred_language=language)


def _filter(wanted: etree._Element) -> RequestFilter:
    policy_oids = _child(wanted, "policyOIDs")
    return RequestFilter(
        policy_oids=None if policy_oids is None else _policy_oids(policy_oids),
        client_version=_integer(wanted, "clientVersion"),
        server_version=_integer(wanted, "serverVersion"),
    )


def _policy_oids(collection: etree._Element) -> tuple[str, ...] | None:
    """Object identifiers; None for an element without any, which filters as little as nil."""
    texts = [(each.text or "").strip() for each in collection.iterchildren(f"{{{NAMESPACE}}}oid")]
    if len(texts) > MAX_POLICY_OIDS:
        raise _bad(f"policyOIDs has more than {MAX_POLICY_OIDS} object identifiers")
    for text in texts:
        if len(text) > MAX_OID or not _DOTTED.fullmatch(text):
            raise _bad("policyOIDs has something else than object identifiers")
    return tuple(dict.fromkeys(texts)) or None


def _integer(parent: etree._Element, name: str) -> int | None:
    text = _text(parent, name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or not -(1 << 31) <= int(text) < 1 << 31:
        raise _bad(f"{name} is not an integer of 32 bits")
    return int(text)


def _moment(text: str) -> datetime | None:
    """An xs:dateTime, UTC where no zone is said; None for one that Python has no year for."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None
    except ValueError as error:
        raise _bad("lastUpdate is not a dateTime") from error


def _text(parent: etree._Element, name: str) -> str | None:
    """The text of a simple element; None where it is absent, nil or empty."""
    found = _child(parent, name)
    if found is None:
        return None
    if len(found):
        raise _bad(f"{name} has elements in it")
    return (found.text or "").strip() or None


def _child(parent: etree._Element, name: str) -> etree._Element | None:
    """The one child of that name; None where it is absent or nil."""
    found = list(parent.iterchildren(f"{{{NAMESPACE}}}{name}"))
    if len(found) > 1:
        raise _bad(f"{name} is there twice")
    if not found or found[0].get(_NIL, "false").strip() in ("true", "1"):
        return None
    return found[0]


def _bad(reason: str) -> Malformed:
    return Malformed(reason, code=BAD_REQUEST)


def _write(parent: etree._Element, part: Part) -> None:
    for each in dataclasses.fields(part):
        name, item = element_names(each.metadata)
        value = getattr(part, each.name)
        element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
        if item is None:
            _write_value(element, value)
        elif value:
            for one in value:
                _write_value(etree.SubElement(element, f"{{{NAMESPACE}}}{item}"), one)
        else:
            _write_value(element, None)


def _write_value(element: etree._Element, value: Part | str | int | bytes | bool | None) -> None:
    match value:
        case None:
            element.set(_NIL, "true")
        case bool():
            element.text = "true" if value else "false"
        case int():
            element.text = str(int(value))
        case bytes():
            element.text = base64.b64encode(value).decode("ascii")
        case str():
            element.text = "".join(character if character.isprintable() else "?" for character in value)
        case _:
            _write(element, value)
