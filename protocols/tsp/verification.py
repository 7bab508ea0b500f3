"""Verifying a token of any maker as evidence (RFC 3161, 2.2 and 2.4.2; RFC 5652, 5.6; RFC 5816; EN 319 422).

What a token proves is decided by :func:`verify`: that the signature is one of a time-stamp unit whose certificate
leads to a trust anchor, and that the token belongs to the data and to the query. It does not look at revocation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.x509 import der, tlv
from cspd.x509.certificate_paths import UNREADABLE, PathError, find_path
from cspd.x509.cms.signed import certificates_of, find_certificate
from cspd.x509.cms.values import CONTENT_TYPE, MESSAGE_DIGEST, CMSError, SignerInfo
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import SignatureError, hash_of, read_algorithm, verify_signature
from protocols.tsp.evidence import NOTHING_EXPECTED, Expectation, Finding, Flaw, Report
from protocols.tsp.hash_algorithms import HASH_ALGORITHMS, OBJECT_IDENTIFIERS, Digest, digest_function
from protocols.tsp.messages import HashAlgorithm, MessageImprint, PKIStatus, PKIStatusInfo, TSTInfo
from protocols.tsp.token import QC_STATEMENTS, QTST_STATEMENT_1
from protocols.tsp.token_reader import Token, TokenError, read_response_or_token, read_signers_certificates

_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
_SIGNATURE_ALGORITHM = 0xA1  # [1] IMPLICIT
_GRANTED = frozenset({PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS})
_DIGESTS: dict[str, Digest] = {
    **{oid: digest_function(algorithm) for algorithm, oid in OBJECT_IDENTIFIERS.items()},
    # id-shake256-len, whose parameters are 512 with Ed448 (RFC 8419, 3.1), and id-shake256 (RFC 8702, 3.1)
    "2.16.840.1.101.3.4.2.18": lambda octets: hashlib.shake_256(octets).digest(64),
    "2.16.840.1.101.3.4.2.12": lambda octets: hashlib.shake_256(octets).digest(64),
}


def verify(
    data: bytes,
    *,
    trust_anchors: Sequence[x509.Certificate],
    certificates: Sequence[x509.Certificate] = (),
    expectation: Expectation = NOTHING_EXPECTED,
    allow_sha1: bool = False,
) -> Report:
    """Verify a TimeStampResp or a TimeStampToken alone, DER or BER; raises nothing, whatever the bytes are.

    ``certificates`` are looked at beside those in the token. The path to a trust anchor must be valid at genTime.
    ``allow_sha1`` lets a signature with SHA-1 pass, as tokens of the past have it; an imprint may always have it.
    """
    try:
        status, token = read_response_or_token(data)
    except TokenError as error:
        return Report(findings=(Finding(Flaw.UNREADABLE, str(error)),))
    findings: list[Finding] = []
    if status is not None and status.status not in _GRANTED:
        findings.append(Finding(Flaw.NOT_GRANTED, _refusal(status)))
    if token is None:
        if not findings:
            findings.append(Finding(Flaw.NOT_GRANTED, "the response has no token"))
        return Report(status=status, findings=tuple(findings))

    signers = token.signed_data.signers
    signer = path = None
    if len(signers) == 1:
        signer, path = _verify_signer(token, signers[0], trust_anchors, certificates, allow_sha1, findings)
    else:
        findings.append(Finding(Flaw.SIGNERS, f"{len(signers)} signers"))
    info = token.tst_info
    findings += _check_extensions(info)
    findings += _compare(info, expectation)
    return Report(
        status=status,
        tst_info=info,
        hash_algorithm=HASH_ALGORITHMS.get(info.message_imprint.algorithm_der),
        is_qualified=_is_qualified(info),
        token_sha256=hashlib.sha256(token.encoded).digest(),
        signer=signer,
        path=path or (),
        digest_algorithm=signers[0].digest_algorithm if signers else None,
        signature_algorithm=signers[0].signature_algorithm.oid if signers else None,
        findings=tuple(findings),
    )


def _refusal(status: PKIStatusInfo) -> str:
    bit = "" if status.fail_info is None else f" ({status.fail_info.name})"
    return f"{status.status.name}{bit}: {status.status_string}"


def _verify_signer(
    token: Token,
    signer_info: SignerInfo,
    trust_anchors: Sequence[x509.Certificate],
    others: Sequence[x509.Certificate],
    allow_sha1: bool,
    findings: list[Finding],
) -> tuple[x509.Certificate | None, tuple[x509.Certificate, ...] | None]:
    findings += _check_attributes(token, signer_info)
    known = (*others, *trust_anchors)
    try:
        known = (*certificates_of(token.signed_data), *known)
        certificate = find_certificate(signer_info, known)
        findings += _check_certificate(token, signer_info, certificate)
    except CMSError as error:
        findings.append(Finding(Flaw.NO_CERTIFICATE, str(error)))
        return None, None
    except UNREADABLE as error:
        findings.append(Finding(Flaw.NO_CERTIFICATE, f"a certificate cannot be read: {error}"))
        return None, None
    findings += _check_signature(signer_info, certificate, allow_sha1=allow_sha1)
    findings += _check_algorithm_protection(signer_info)
    try:
        path = find_path(
            certificate,
            intermediates=known,
            trust_anchors=trust_anchors,
            at=token.tst_info.gen_time,
            usage=ExtendedKeyUsageOID.TIME_STAMPING,
        )
    except PathError as error:
        findings.append(Finding(Flaw.PATH, str(error)))
        return certificate, None
    return certificate, path


def _check_attributes(token: Token, signer_info: SignerInfo) -> Iterator[Finding]:
    """The attributes that RFC 5652, 11.1 and 11.2 want, each with one value."""
    signed_data = token.signed_data
    if signed_data.content_type != _TST_INFO:
        yield Finding(Flaw.CONTENT_TYPE, f"the content is {signed_data.content_type}")
    if signer_info.signed_attributes.get(CONTENT_TYPE) != (tlv.object_identifier(_TST_INFO),):
        yield Finding(Flaw.CONTENT_TYPE, "the attribute contentType is not that of a TSTInfo")
    digest = _DIGESTS.get(signer_info.digest_algorithm)
    if digest is None or signed_data.content is None:
        yield Finding(Flaw.MESSAGE_DIGEST, f"the digest algorithm {signer_info.digest_algorithm} is not known")
        return
    expected = tlv.element(tlv.OCTET_STRING, digest(signed_data.content))
    values = signer_info.signed_attributes.get(MESSAGE_DIGEST, ())
    if len(values) != 1 or not bytes_eq(values[0], expected):
        yield Finding(Flaw.MESSAGE_DIGEST, "the TSTInfo is not what was signed")


def _check_signature(signer_info: SignerInfo, certificate: x509.Certificate, *, allow_sha1: bool) -> Iterator[Finding]:
    hash_ = None
    with suppress(SignatureError):
        hash_ = hash_of(signer_info.digest_algorithm)
    if hash_ is not None and hash_.name == HashAlgorithm.SHA1.value and not allow_sha1:
        yield Finding(Flaw.SIGNATURE, "the digest of the signature is SHA-1")
    try:
        verify_signature(
            certificate.public_key(),
            signer_info.signature_algorithm,
            signer_info.signature,
            signer_info.signed_attributes_der or b"",
            digest=hash_,
            allow_sha1=allow_sha1,
        )
    except (SignatureError, *UNREADABLE) as error:
        yield Finding(Flaw.SIGNATURE, str(error))


def _check_algorithm_protection(signer_info: SignerInfo) -> Iterator[Finding]:
    for value in signer_info.signed_attributes.get(_ALGORITHM_PROTECTION, ()):
        try:
            protection = Cursor.over(value).enter(tlv.SEQUENCE)
            digest = read_algorithm(protection.element())
            signature = read_algorithm(tlv.element(tlv.SEQUENCE, protection.contents(_SIGNATURE_ALGORITHM)))
        except (tlv.DERError, SignatureError) as error:
            yield Finding(Flaw.ALGORITHMS, f"CMSAlgorithmProtection: {error}")
            continue
        if (digest.oid, signature.oid) != (signer_info.digest_algorithm, signer_info.signature_algorithm.oid):
            yield Finding(Flaw.ALGORITHMS, f"{digest.oid} and {signature.oid} were to be used")


def _check_certificate(token: Token, signer_info: SignerInfo, certificate: x509.Certificate) -> list[Finding]:
    """What the token says of the certificate, and the certificate of its use; raises what ``UNREADABLE`` names."""
    encoded = certificate.public_bytes(Encoding.DER)
    return [
        *_check_signing_certificate(signer_info, certificate, encoded),
        *_check_usage(certificate),
        *_check_tsa(token.tst_info.tsa_der, encoded),
    ]


def _check_signing_certificate(
    signer_info: SignerInfo, certificate: x509.Certificate, encoded: bytes
) -> Iterator[Finding]:
    """RFC 3161, 2.4.2: the attribute is there, so that nobody puts another certificate of the same key in its place."""
    try:
        named = read_signers_certificates(signer_info)
    except TokenError as error:
        yield Finding(Flaw.SIGNING_CERTIFICATE, str(error))
        return
    if not named:
        yield Finding(Flaw.SIGNING_CERTIFICATE, "there is neither signingCertificate nor signingCertificateV2")
    for each in named:
        digest = _DIGESTS.get(each.hash_algorithm)
        if digest is None:
            yield Finding(Flaw.SIGNING_CERTIFICATE, f"the hash {each.hash_algorithm} is not known")
        elif not bytes_eq(digest(encoded), each.cert_hash):
            yield Finding(Flaw.SIGNING_CERTIFICATE, "the signed attributes name another certificate")
        elif each.serial_number not in (None, certificate.serial_number):
            yield Finding(Flaw.SIGNING_CERTIFICATE, "the signed attributes name another serialNumber")


def _check_usage(certificate: x509.Certificate) -> Iterator[Finding]:
    usage = None
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            usage = extension
        elif isinstance(value, x509.KeyUsage) and not (value.digital_signature or value.content_commitment):
            yield Finding(Flaw.KEY_USAGE, "keyUsage has neither digitalSignature nor nonRepudiation")
    if usage is None or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        yield Finding(Flaw.KEY_USAGE, "extendedKeyUsage is not timeStamping alone")
    elif not usage.critical:
        yield Finding(Flaw.KEY_USAGE, "extendedKeyUsage is not critical")


def _check_tsa(tsa_der: bytes | None, certificate_der: bytes) -> Iterator[Finding]:
    if tsa_der is None:
        return
    try:
        tsa = der.read(asn1_x509.GeneralName, tsa_der, canonical=False)
        certificate = asn1_x509.Certificate.load(certificate_der)
        alternatives = certificate.subject_alt_name_value or ()
        if tsa.name == "directory_name" and tsa.chosen == certificate.subject:
            return
        if any(tsa_der == each.dump() for each in alternatives):
            return
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:  # all that asn1crypto raises
        yield Finding(Flaw.TSA_NAME, str(error))
        return
    yield Finding(Flaw.TSA_NAME, "tsa is no name of the certificate")


def _check_extensions(info: TSTInfo) -> Iterator[Finding]:
    for extension in info.extensions:
        if extension.critical and extension.extn_id != QC_STATEMENTS:
            yield Finding(Flaw.EXTENSION, f"the critical extension {extension.extn_id} is not known")


def _is_qualified(info: TSTInfo) -> bool:
    statement = tlv.object_identifier(QTST_STATEMENT_1)
    for extension in info.extensions:
        if extension.extn_id == QC_STATEMENTS:
            with suppress(tlv.DERError):
                position, end = tlv.read_only(extension.extn_value, 0, len(extension.extn_value), tlv.SEQUENCE)
                while position < end:
                    start, position = tlv.read(extension.extn_value, position, end, tlv.SEQUENCE)
                    if extension.extn_value[start:position].startswith(statement):
                        return True
    return False


def _compare(info: TSTInfo, expectation: Expectation) -> Iterator[Finding]:
    imprint = info.message_imprint
    if expectation.hashed_message is not None and not bytes_eq(expectation.hashed_message, imprint.hashed_message):
        yield Finding(Flaw.IMPRINT, "the digest is another")
    if expectation.digest_of is not None:
        algorithm = HASH_ALGORITHMS.get(imprint.algorithm_der)
        if algorithm is None:
            yield Finding(Flaw.IMPRINT, "the hash algorithm of the imprint is not known")
        elif not bytes_eq(expectation.digest_of(algorithm), imprint.hashed_message):
            yield Finding(Flaw.IMPRINT, "the data is not what got the timestamp")
    request = expectation.request
    policies = {expectation.policy}
    if request is not None:
        policies.add(request.req_policy)
        if _comparable(request.message_imprint) != _comparable(imprint):
            yield Finding(Flaw.IMPRINT, "the imprint is not that of the query")
        if request.nonce != info.nonce:
            yield Finding(Flaw.NONCE, "the nonce is not that of the query")
    if policies - {None, info.policy}:
        yield Finding(Flaw.POLICY, f"the policy is {info.policy}")


def _comparable(imprint: MessageImprint) -> tuple[HashAlgorithm | bytes, bytes]:
    """For makers who write NULL where the query has no parameters, or the other way round."""
    return HASH_ALGORITHMS.get(imprint.algorithm_der, imprint.algorithm_der), imprint.hashed_message
