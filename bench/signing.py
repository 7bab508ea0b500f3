"""Signatures a second with 16 concurrent signers, beside what one thread gets out of the same key without us.

Run with ``python -m bench.signing``. Each line is a ratio of the same run: through the key service, against a bare loop
in one thread that asks the same library. SoftHSM runs in a child process of its own and is left out where it is not
installed.

The bare loop for a token uses python-pkcs11 with a session and a key object that are ready.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from twisted.internet import reactor, task  # noqa: TID251  # a program
from twisted.internet.defer import Deferred, gatherResults

from cspd.clock import SystemClock
from cspd.keys.config import KeysConfig
from cspd.keys.opening import open_keys
from cspd.keys.pkcs11.modules import Modules
from cspd.keys.pkcs11.signatures import ecdsa_request, rsa_request
from cspd.keys.service import KeyService
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from tests.support.databases import InlineDatabase
from tests.support.softhsm import SoftHSM

SECONDS = 3.0
SIGNERS = 16
MESSAGE = bytes(range(256)) * 4
"""About a tbsCertificate."""


def sign(key: PrivateKey) -> bytes:
    """One signature."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    return key.sign(MESSAGE)


def rate_alone(work: Callable[[], object]) -> float:
    """Works a second in this thread."""
    begun, count = time.perf_counter(), 0
    while time.perf_counter() < begun + SECONDS:
        work()
        count += 1
    return count / (time.perf_counter() - begun)


async def rate_together(keys: KeyService, reference: KeyReference, work: Callable[[PrivateKey], object]) -> float:
    """Works a second through the key service, 16 callers at a time."""
    begun, count = time.perf_counter(), 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < begun + SECONDS:
            await keys.sign(reference, work)
            count += 1

    await gatherResults([Deferred.fromCoroutine(caller()) for _ in range(SIGNERS)])
    return count / (time.perf_counter() - begun)


def report(what: str, together: float, alone: float) -> None:
    """One line."""
    print(f"{what:28} {together:9.0f}/s through the service, {alone:9.0f}/s alone, ratio {together / alone:5.2f}")


def service(section: dict[str, object]) -> KeyService:
    """The key service of a configuration."""
    return open_keys(
        KeysConfig.model_validate(section),
        database=InlineDatabase(),
        clock=SystemClock(),
        secret=lambda reference: str(reference.env).encode(),
        modules=Modules(),
        call_from_thread=reactor.callFromThread,
    )


async def software() -> None:
    """Software keys."""
    keys = service({"software": {"master_key": {"env": "x" * 32}}})
    await keys.start()
    for key_type in (KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048, KeyType.ML_DSA_65):
        reference = await keys.generate(key_type, label="bench")
        private_key: PrivateKey = await keys.sign(reference, lambda key: key)
        alone = rate_alone(partial(sign, private_key))
        report(f"software {key_type.value}", await rate_together(keys, reference, sign), alone)
    await keys.stop()


async def token(module: str) -> None:
    """Keys in SoftHSM."""
    section = {"module": module, "token_label": "bench", "pin": {"env": "1234"}, "sessions": 4}
    keys = service({"default": "hsm", "pkcs11": {"hsm": section}})
    await keys.start()
    for key_type in (KeyType.EC_P256, KeyType.RSA_2048):
        reference = await keys.generate(key_type, label="bench")
        session = pkcs11._loaded[module].get_token(token_label="bench").open()
        template = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        template[pkcs11.Attribute.ID] = bytes.fromhex(reference.identifier)
        (private_key,) = session.get_objects(template)
        if key_type is KeyType.RSA_2048:
            request = rsa_request(MESSAGE, padding.PKCS1v15(), hashes.SHA256(), 2048)
        else:
            request = ecdsa_request(MESSAGE, ec.ECDSA(hashes.SHA256()), 256)
        alone = rate_alone(partial(private_key.sign, request.data, mechanism=request.mechanism))
        report(f"SoftHSM {key_type.value}", await rate_together(keys, reference, sign), alone)
    await keys.stop()


def main(*arguments: str) -> None:
    """The token in a child process, then software keys here."""
    if arguments:
        task.react(lambda _: Deferred.fromCoroutine(token(*arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        hsm = SoftHSM(Path(folder) / "hsm")
        if os.path.exists(hsm.module):
            hsm.make_token("bench")
            command = [sys.executable, "-m", "bench.signing", hsm.module]
            subprocess.run(command, env=dict(hsm.environment), check=True)
        else:
            print("SoftHSM is not installed")
    task.react(lambda _: Deferred.fromCoroutine(software()))


if __name__ == "__main__":
    main(*sys.argv[1:])
