"""Programs that use SoftHSM; each runs in a process of its own: ``python -m tests.interop.softhsm_programs NAME ...``.

Their last line of output is one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pkcs11
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from twisted.internet import reactor, task  # noqa: TID251  # these programs own their process
from twisted.internet.defer import Deferred, gatherResults

from cspd.clock import SystemClock
from cspd.keys.config import KeysConfig
from cspd.keys.opening import open_keys
from cspd.keys.pkcs11.modules import Module, Modules
from cspd.keys.pkcs11.tokens import TokenSession
from cspd.keys.service import KeyService
from cspd.keys.values import KeyReference, KeyType, PrivateKey, PublicKey
from cspd.refusals import NotFound, Rejected, Unavailable
from cspd.x509.algorithms import signature_hash
from tests.support.databases import InlineDatabase

TOKEN_KEY_TYPES = tuple(key_type for key_type in KeyType if key_type.value.startswith(("rsa-", "ec-")))


def open_tokens(module: str, *labels: str, pin: Callable[[], bytes] = lambda: b"1234", sessions: int = 4) -> KeyService:
    """The key service for tokens of the software module; the first label is the default."""
    token = {"module": module, "pin": {"env": "PIN"}, "sessions": sessions}
    configuration = KeysConfig.model_validate(
        {"default": labels[0], "pkcs11": {label: {**token, "token_label": label} for label in labels}}
    )
    return open_keys(
        configuration,
        database=InlineDatabase(),
        clock=SystemClock(),
        secret=lambda reference: pin(),
        modules=Modules(),
        call_from_thread=reactor.callFromThread,  # type: ignore[attr-defined]  # the installed one has it
    )


def sign_message(key: PrivateKey) -> bytes:
    """A signature as our builders ask for it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(b"message", ec.ECDSA(hashes.SHA256()))


def verify_message(public_key: PublicKey, signature: bytes) -> None:
    """Raise InvalidSignature if it is not the signature of :func:`sign_message`."""
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        public_key.verify(signature, b"message", ec.ECDSA(hashes.SHA256()))


async def make_authority(keys: KeyService, reference: KeyReference, folder: Path) -> None:
    """A CA certificate, a CRL and an OCSP response of the key, as files for openssl to look at."""
    public_key = await keys.public_key(reference)
    algorithm = signature_hash(public_key)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    now = SystemClock().now().replace(microsecond=0)
    tomorrow = now + timedelta(days=1)
    certificates = (
        x509.CertificateBuilder(name, name, public_key, 17, now, tomorrow)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    certificate = await keys.sign(reference, lambda key: certificates.sign(key, algorithm))
    revoked = x509.RevokedCertificateBuilder(99, now).build()
    crls = x509.CertificateRevocationListBuilder(name, now, tomorrow, [], [revoked])
    crl = await keys.sign(reference, lambda key: crls.sign(key, algorithm))
    responses = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            certificate,
            certificate,
            hashes.SHA1(),  # openssl's default of CertID
            ocsp.OCSPCertStatus.GOOD,
            now,
            tomorrow,
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
    )
    response = await keys.sign(reference, lambda key: responses.sign(key, algorithm))
    write_files(
        folder,
        {
            "ca.pem": certificate.public_bytes(Encoding.PEM),
            "crl.pem": crl.public_bytes(Encoding.PEM),
            "response.der": response.public_bytes(Encoding.DER),
        },
    )


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make the folder with these files."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


async def authorities(module: str, folder: str) -> dict[str, Any]:
    """One CA of each key type in the token."""
    keys = open_tokens(module, "one")
    await keys.start()
    references = {}
    for key_type in TOKEN_KEY_TYPES:
        reference = await keys.generate(key_type, label=f"CA {key_type.value}")
        await make_authority(keys, reference, Path(folder) / key_type.value)
        references[key_type.value] = str(reference)
    await keys.stop()
    return references


async def after_restart(module: str, references_json: str) -> dict[str, Any]:
    """Another process lists the keys and signs with them; what a token key must not do is refused."""
    keys = open_tokens(module, "one")
    await keys.start()
    references = json.loads(references_json)
    listed = {key.key_type.value: [str(key.reference), key.label] for key in await keys.list()}
    for text in references.values():
        reference = KeyReference.parse(text)
        verify_message(await keys.public_key(reference), await keys.sign(reference, sign_message))
    reference = KeyReference.parse(references["rsa-2048"])
    refused = []

    def take_out(key: PrivateKey) -> None:
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    for what, use in {
        "private_bytes": keys.sign(reference, take_out),
        "ed25519": keys.generate(KeyType.ED25519, label="x"),
        "unknown": keys.public_key(KeyReference("one", "00" * 16)),
    }.items():
        try:
            await use
        except (UnsupportedAlgorithm, Rejected, NotFound) as refusal:
            refused.append([what, type(refusal).__name__])
    await keys.delete(reference)
    remaining = sorted(key.key_type.value for key in await keys.list())
    await keys.stop()
    return {"listed": listed, "refused": refused, "remaining": remaining}


async def paddings(module: str) -> dict[str, Any]:
    """PSS with each hash and salt length, and digests made beforehand."""
    keys = open_tokens(module, "one")
    await keys.start()
    rsa_reference = await keys.generate(KeyType.RSA_2048, label="x")
    rsa_key = await keys.public_key(rsa_reference)
    assert isinstance(rsa_key, rsa.RSAPublicKey)
    verified = 0
    for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        for salt in (padding.PSS.DIGEST_LENGTH, padding.PSS.MAX_LENGTH, 20):
            pss = padding.PSS(padding.MGF1(algorithm), salt)
            signature = await keys.sign(rsa_reference, lambda key, p=pss, a=algorithm: key.sign(b"message", p, a))
            rsa_key.verify(signature, b"message", pss, algorithm)
            verified += 1
    digest = hashes.Hash(hashes.SHA512())
    digest.update(b"message")
    prehashed, octets = Prehashed(hashes.SHA512()), digest.finalize()
    signature = await keys.sign(rsa_reference, lambda key: key.sign(octets, padding.PKCS1v15(), prehashed))
    rsa_key.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA512())
    ec_reference = await keys.generate(KeyType.EC_P256, label="x")
    ec_key = await keys.public_key(ec_reference)
    assert isinstance(ec_key, ec.EllipticCurvePublicKey)
    signature = await keys.sign(ec_reference, lambda key: key.sign(octets, ec.ECDSA(prehashed)))
    ec_key.verify(signature, b"message", ec.ECDSA(hashes.SHA512()))
    await keys.stop()
    return {"verified": verified + 2}


SCHEMES: Mapping[str, padding.AsymmetricPadding] = {
    "pkcs1": padding.PKCS1v15(),
    "oaep-sha1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "oaep-sha256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}


async def decrypted(keys: KeyService, reference: KeyReference, ciphertext: bytes, scheme: str) -> str:
    """What comes of a ciphertext: the text, or the name of what was raised."""

    def work(key: PrivateKey) -> bytes:
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.decrypt(ciphertext, SCHEMES[scheme])

    try:
        return (await keys.sign(reference, work)).decode()
    except (ValueError, UnsupportedAlgorithm, Unavailable, Rejected) as error:
        return type(error).__name__


def damaged(public_key: rsa.RSAPublicKey) -> bytes:
    """A ciphertext of the right length that has no padding."""
    return pow(5, 65537, public_key.public_numbers().n).to_bytes(public_key.key_size // 8)


async def decryption(module: str, way: str) -> dict[str, Any]:
    """Each padding, right and wrong, ``bare`` or ``unpadded`` by the token; and a key that only signs."""
    if way == "unpadded":
        TokenSession._has_bare_decryption = lambda session: False  # type: ignore[method-assign]  # a token without
    keys = open_tokens(module, "one")
    await keys.start()
    outcomes: dict[str, Any] = {}
    references = [await keys.generate(KeyType.RSA_2048, label="x", decrypts=decrypts) for decrypts in (True, False)]
    for reference, what in zip(references, ("decrypts", "signs"), strict=True):
        public_key = await keys.public_key(reference)
        assert isinstance(public_key, rsa.RSAPublicKey)
        verify_message(public_key, await keys.sign(reference, sign_message))
        for scheme, value in SCHEMES.items():
            right = await decrypted(keys, reference, public_key.encrypt(b"text", value), scheme)
            wrong = await decrypted(keys, reference, damaged(public_key), scheme)
            outcomes[f"{what} {scheme}"] = [right, wrong]
    outcomes["health"] = [health.available for health in keys.health()]
    await keys.stop()
    return outcomes


async def decryption_load(module: str, seconds: str, way: str) -> dict[str, Any]:
    """16 callers with 4 sessions who sign and decrypt with one key, a quarter of them what does not decrypt."""
    if way == "unpadded":
        TokenSession._has_bare_decryption = lambda session: False  # type: ignore[method-assign]  # a token without
    keys = open_tokens(module, "one")
    await keys.start()
    reference = await keys.generate(KeyType.RSA_2048, label="x", decrypts=True)
    public_key = await keys.public_key(reference)
    assert isinstance(public_key, rsa.RSAPublicKey)
    ciphertext, wrong = public_key.encrypt(b"text", SCHEMES["pkcs1"]), damaged(public_key)
    until = time.monotonic() + float(seconds)
    outcomes: Counter[str] = Counter()

    async def decrypt_on(octets: bytes) -> None:
        while time.monotonic() < until:
            outcomes[await decrypted(keys, reference, octets, "pkcs1")] += 1

    running = [Deferred.fromCoroutine(signers(keys, [reference], 8, until))]
    running += [Deferred.fromCoroutine(decrypt_on(wrong if i % 2 else ciphertext)) for i in range(8)]  # type: ignore[list-item,misc]  # waited for alike
    signed, *_ = await gatherResults(running)
    await keys.stop()
    return {**outcomes, **signed}


async def signers(keys: KeyService, references: list[KeyReference], count: int, until: float) -> Counter[str]:
    """``count`` callers that sign one after the other until a moment; what came of it."""
    outcomes: Counter[str] = Counter()

    async def sign_on(reference: KeyReference) -> None:
        public_key = await keys.public_key(reference)
        while time.monotonic() < until:
            try:
                signature = await keys.sign(reference, sign_message)
            except Unavailable as refusal:
                outcomes[refusal.refusal_code] += 1
                await pause(0.02)
            else:
                verify_message(public_key, signature)
                outcomes["signed"] += 1

    await gatherResults([Deferred.fromCoroutine(sign_on(references[i % len(references)])) for i in range(count)])
    return outcomes


def pause(seconds: float) -> Deferred[None]:
    """Wait."""
    return task.deferLater(reactor, seconds)  # type: ignore[arg-type]  # the reactor module stands for the reactor


async def load(module: str, seconds: str) -> dict[str, Any]:
    """16 concurrent signers with 4 sessions."""
    keys = open_tokens(module, "one")
    await keys.start()
    references = [await keys.generate(t, label="x") for t in (KeyType.EC_P256, KeyType.RSA_2048)]
    outcomes = await signers(keys, references, 16, time.monotonic() + float(seconds))
    await keys.stop()
    return dict(outcomes)


async def two_tokens(module: str) -> dict[str, Any]:
    """Two tokens of one module, both under load."""
    keys = open_tokens(module, "one", "two")
    await keys.start()
    references = [await keys.generate(KeyType.EC_P256, label="x", provider=name) for name in ("one", "two")]
    outcomes = await signers(keys, references, 8, time.monotonic() + 1.5)
    listed = [str(key.reference) for key in await keys.list()]
    await keys.stop()
    return {**outcomes, "listed": set(map(str, references)) <= set(listed)}


async def loss(module: str, tokens: str) -> dict[str, Any]:
    """The folder of the tokens goes away under load, and comes back."""
    keys = open_tokens(module, "one")
    await keys.start()
    references = [await keys.generate(t, label="x") for t in (KeyType.EC_P256, KeyType.RSA_2048)]
    away = tokens + "-away"
    before = await signers(keys, references, 8, time.monotonic() + 0.5)
    running = Deferred.fromCoroutine(signers(keys, references, 8, time.monotonic() + 1.5))
    await pause(0.3)
    os.rename(tokens, away)
    during = await running
    lost = await signers(keys, references, 8, time.monotonic() + 0.5)
    health_lost = [health.available for health in await keys.check()]
    os.rename(away, tokens)
    begun = time.monotonic()
    recovered = -1.0
    while recovered < 0 and time.monotonic() < begun + 60:
        again = await signers(keys, references, 1, time.monotonic() + 0.1)
        if again["signed"]:
            recovered = time.monotonic() - begun
    after = await signers(keys, references, 8, time.monotonic() + 0.5)
    health_after = [health.available for health in keys.health()]
    await keys.stop()
    return {
        "signed": [outcomes["signed"] for outcomes in (before, during, lost, after)],
        "refused": [sum(outcomes.values()) - outcomes["signed"] for outcomes in (before, during, lost, after)],
        "recovered": recovered,
        "health_lost": health_lost,
        "health_after": health_after,
    }


async def sessions_closed(module: str) -> dict[str, Any]:
    """Somebody else in the process closes all sessions of the token, which logs out, again and again.

    Between two loads: to close a session in which another thread signs is beyond what SoftHSM survives.
    """
    keys = open_tokens(module, "one")
    await keys.start()
    references = [await keys.generate(KeyType.EC_P256, label="x")]
    slot = pkcs11._loaded[module].get_token(token_label="one").slot.slot_id
    codes = []
    outcomes: Counter[str] = Counter()
    for _ in range(5):
        outcomes += await signers(keys, references, 8, time.monotonic() + 0.2)
        codes.append(ctypes.CDLL(module).C_CloseAllSessions(ctypes.c_ulong(slot)))
    outcomes += await signers(keys, references, 8, time.monotonic() + 0.2)
    await keys.stop()
    return {"codes": codes, **outcomes}


async def wrong_pin(module: str) -> dict[str, Any]:
    """A wrong PIN, tried by 8 callers for three seconds; then the right one."""
    pin = [b"9999"]
    tries: Counter[bytes] = Counter()
    keys = open_tokens(module, "one", pin=lambda: pin[0])
    original = Module.login

    def login(self: Module, session: Any, given: bytes) -> None:
        tries[given] += 1
        original(self, session, given)

    Module.login = login  # type: ignore[method-assign]  # counts what reaches the token
    await keys.start()
    (at_start,) = keys.health()
    reference = KeyReference("one", "00" * 16)
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        try:
            await keys.public_key(reference)
        except Unavailable as refusal:
            outcomes[refusal.refusal_code] += 1
        await pause(0.01)
    pin[0] = b"1234"
    await pause(1.1)
    (after,) = await keys.check()
    await keys.stop()
    return {
        "at_start": at_start.reason,
        "outcomes": list(outcomes),
        "tries": tries[b"9999"],
        "available_after": after.available,
    }


def eight_threads(module: str, initialised_by: str) -> None:
    """Eight threads with sessions of their own, in a module initialised by ``python-pkcs11`` or by ``us``.

    Ends with status 0 only if all went well.
    """
    if initialised_by == "us":
        token = Module.load(module).find_token("one")
    else:
        token = pkcs11.lib(module).get_token(token_label="one")
    main, identifier = token.open(rw=True, user_pin="1234"), os.urandom(16)
    curve = {pkcs11.Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
    parameters = main.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    parameters.generate_keypair(store=True, id=identifier, label="x")
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.ID: identifier}
    until = time.monotonic() + 4

    def work() -> None:
        try:
            while time.monotonic() < until:
                session = token.open()
                (key,) = session.get_objects(wanted)
                for _ in range(10):
                    key.sign(bytes(32), mechanism=pkcs11.Mechanism.ECDSA)
                session.close()
        except BaseException as error:
            print(f"{type(error).__name__} {error}", flush=True)
            os._exit(3)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


PROGRAMS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    program.__name__: program
    for program in (
        *(authorities, after_restart, paddings, decryption, decryption_load),
        *(load, two_tokens, loss, sessions_closed, wrong_pin),
    )
}


def main(name: str, *arguments: str) -> None:
    """Run one program."""
    if name == "eight_threads":
        eight_threads(*arguments)
        return

    async def run(_: object) -> None:
        print(json.dumps(await PROGRAMS[name](*arguments)))

    task.react(lambda r: Deferred.fromCoroutine(run(r)))


if __name__ == "__main__":
    main(*sys.argv[1:])
