"""The operation that a path may end with, and the messages that belong there (RFC 9483, 6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.cmp import info_types
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import FOLLOW_UP_BODIES
from protocols.cmp.messages import BodyType, GenMsgContent, PKIBody
from protocols.cmp.status import PKIFailureInfo


@dataclass(frozen=True, slots=True)
class PathOperation:
    """What a transaction at a path begins with."""

    body_type: BodyType
    info_types: frozenset[str] = frozenset()
    """What a genm asks for there."""


OPERATIONS: Mapping[str, PathOperation] = {
    "initialization": PathOperation(BodyType.IR),
    "certification": PathOperation(BodyType.CR),
    "keyupdate": PathOperation(BodyType.KUR),
    "pkcs10": PathOperation(BodyType.P10CR),
    "revocation": PathOperation(BodyType.RR),
    "getcacerts": PathOperation(BodyType.GENM, frozenset({info_types.CA_CERTS})),
    "getrootupdate": PathOperation(BodyType.GENM, frozenset({info_types.ROOT_CA_CERT})),
    "getcertreqtemplate": PathOperation(BodyType.GENM, frozenset({info_types.CERT_REQ_TEMPLATE})),
    "getcrls": PathOperation(BodyType.GENM, frozenset({info_types.CRL_STATUS_LIST})),
    "nested": PathOperation(BodyType.NESTED),
}


def check_operation(name: str, body: PKIBody) -> None:
    """Raise ``badRequest`` unless a message fits the end of its path; an empty name fits all."""
    if not name or body.type in FOLLOW_UP_BODIES - {BodyType.NESTED}:
        return
    operation = OPERATIONS[name]
    fits = body.type is operation.body_type
    if fits and isinstance(body.content, GenMsgContent):
        fits = all(item.info_type in operation.info_types for item in body.content.items)
    if not fits:
        raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, f"the message does not belong to /{name}")
