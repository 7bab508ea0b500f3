"""What a server says it can (RFC 8894, 3.5): lines of text, which GetCACaps asks for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from protocols.scep.algorithm_policy import AlgorithmPolicy

MAX_CAPABILITIES = 4096
"""Octets of an answer that is read."""


class Capability(Enum):
    """RFC 8894, 3.5.2; values are the words that are sent."""

    AES = "AES"
    """AES-128 in CBC mode."""
    DES3 = "DES3"
    GET_NEXT_CA_CERT = "GetNextCACert"
    POST_PKI_OPERATION = "POSTPKIOperation"
    RENEWAL = "Renewal"
    SHA_1 = "SHA-1"
    SHA_256 = "SHA-256"
    SHA_384 = "SHA-384"
    """Not of the RFC. ``pki --scep`` of strongSwan (5.9.8 and later) mistakes it for SCEPStandard, by bit masks that
    are bit numbers, and finds neither AES nor Renewal without it (src/pki/scep/scep.h, ``scep_caps_t``)."""
    SHA_512 = "SHA-512"
    SCEP_STANDARD = "SCEPStandard"
    """All that the RFC demands: AES, SHA-256, POST."""
    UPDATE = "Update"
    """UpdateReq of draft-nourse-pkix-scep-23."""


_ALWAYS = frozenset(
    {
        Capability.AES,
        Capability.POST_PKI_OPERATION,
        Capability.RENEWAL,
        Capability.SHA_256,
        Capability.SHA_384,
        Capability.SHA_512,
        Capability.SCEP_STANDARD,
    }
)


def capabilities_of(
    policy: AlgorithmPolicy, *, has_next_ca: bool = False, has_update: bool = False
) -> frozenset[Capability]:
    """What a server of this package with these switches can, and not a word more (R-CEG-072)."""
    chosen = {
        Capability.SHA_1: policy.allow_sha1,
        Capability.DES3: policy.allow_des3,
        Capability.GET_NEXT_CA_CERT: has_next_ca,
        Capability.UPDATE: has_update,
    }
    return _ALWAYS | {capability for capability, is_there in chosen.items() if is_there}


def encode_capabilities(capabilities: Iterable[Capability]) -> bytes:
    """The body of an answer to GetCACaps, text/plain."""
    there = frozenset(capabilities)
    return "".join(f"{each.value}\n" for each in Capability if each in there).encode("ascii")


def decode_capabilities(body: bytes) -> frozenset[Capability]:
    """The capabilities that we know of those in an answer; lines may end in CR LF, and words of others are ignored."""
    words = {line.strip() for line in body[:MAX_CAPABILITIES].decode("ascii", "replace").splitlines()}
    return frozenset(each for each in Capability if each.value in words)
