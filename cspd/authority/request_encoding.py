"""Enrollment requests as JSON values and back, for requests that outlive the process that took them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography import x509

from cspd.authority.values import CAReference, EnrollmentRequest, RequestedExtension, Requester
from cspd.x509.general_name_encoding import decode_general_names, encode_general_names


def encode_request(request: EnrollmentRequest) -> dict[str, Any]:
    """A JSON object; :func:`decode_request` gives an equal request."""
    requester = request.requester
    return {
        "ca": str(request.ca),
        "profile": request.profile,
        "requester": {
            "protocol": requester.protocol,
            "identity": requester.identity,
            "address": requester.address,
            "request_id": requester.request_id,
        },
        "csr": _text(request.csr_der),
        "public_key": _text(request.public_key_der),
        "subject": None if request.subject is None else _text(request.subject.public_bytes()),
        "subject_alt_names": _encode_names(request.subject_alt_names),
        "extensions": None
        if request.extensions is None
        else [[each.oid, each.critical, _text(each.value_der)] for each in request.extensions],
        "not_before": None if request.not_before is None else request.not_before.isoformat(),
        "not_after": None if request.not_after is None else request.not_after.isoformat(),
    }


def decode_request(value: Mapping[str, Any]) -> EnrollmentRequest:
    """The request that :func:`encode_request` wrote; raises KeyError or ValueError for anything else."""
    extensions = value["extensions"]
    return EnrollmentRequest(
        ca=CAReference.parse(value["ca"]),
        profile=value["profile"],
        requester=Requester(**value["requester"]),
        csr_der=_octets(value["csr"]),
        public_key_der=_octets(value["public_key"]),
        subject=_decode_subject(value["subject"]),
        subject_alt_names=_decode_names(value["subject_alt_names"]),
        extensions=None
        if extensions is None
        else tuple(
            RequestedExtension(oid=oid, critical=critical, value_der=b64decode(octets))
            for oid, critical, octets in extensions
        ),
        not_before=_moment(value["not_before"]),
        not_after=_moment(value["not_after"]),
    )


def digest_of(request: EnrollmentRequest, transaction: str = "") -> str:
    """What two requests of the same client for the same certificate have in common, SHA-256 in hexadecimal.

    The address and the request id, which change from one attempt to the next, do not count; the ``transaction`` does,
    in protocols that have such a thing.
    """
    asked = encode_request(request)
    asked["requester"] = [request.requester.protocol, request.requester.identity]
    if transaction:
        asked["transaction"] = transaction
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _encode_names(names: tuple[x509.GeneralName, ...] | None) -> str | None:
    if names is None:
        return None
    return _text(encode_general_names(names)) if names else ""


def _decode_names(text: str | None) -> tuple[x509.GeneralName, ...] | None:
    if not text:
        return None if text is None else ()
    return decode_general_names(b64decode(text))


def _decode_subject(text: str | None) -> x509.Name | None:
    return None if text is None else x509.Name.from_bytes(b64decode(text))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(octets: bytes | None) -> str | None:
    return None if octets is None else b64encode(octets).decode("ascii")


def _octets(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
