"""The certificate and chain of an issuer, read from the files that conf names and checked (R-TSA-064 to 066)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.tsp.unit_checks import Fault, find_faults, signs_until

MAX_FILE_BYTES = 64 * 1024
"""An ML-DSA-87 certificate has 10 KiB of PEM."""
_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)


class BadUnitFiles(ValueError):
    """The files cannot be used; ``faults`` has all that was found, each with the position of its file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.what for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, eq=False)
class UnitFiles:
    """What the files hold; only the key is still to be found."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    sign_until: datetime

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """The chain as it goes into tokens."""
        return tuple(each.public_bytes(Encoding.DER) for each in self.chain)


def read_unit_files(certificate: str, ca_chain: Sequence[str], *, folder: Path, now: datetime) -> UnitFiles:
    """Read and check the certificate of a unit and its chain; relative paths are below ``folder``.

    Raises :class:`BadUnitFiles`; each fault begins with the path of its file.
    """
    files = [folder / name for name in (certificate, *ca_chain)]
    faults: list[Fault] = []
    certificates: list[x509.Certificate] = []
    for position, file in enumerate(files):
        try:
            certificates.append(_read_certificate(file))
        except ValueError as error:
            faults.append(Fault(str(error), position))
    if not faults:
        faults += find_faults(certificates[0], certificates[1:], now)
    if faults:
        raise BadUnitFiles([Fault(f"{files[fault.position]}: {fault.what}", fault.position) for fault in faults])
    chain = tuple(certificates[1:])
    return UnitFiles(certificates[0], chain, signs_until(certificates[0], chain))


def _read_certificate(file: Path) -> x509.Certificate:
    """Raises ValueError with what is wrong."""
    pem = _read(file)
    kinds = list(_kinds(pem))
    if not kinds:
        raise ValueError("is not PEM: there is no -----BEGIN CERTIFICATE----- in it")
    if kinds != ["CERTIFICATE"]:
        raise ValueError(f"has to hold one certificate and nothing else; it holds {_counted(kinds)}")
    try:
        [certificate] = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError("holds a damaged certificate") from error
    return certificate


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError("is no path: it holds a NUL") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
    return content


def _kinds(pem: bytes) -> Iterator[str]:
    for match in _BEGIN.finditer(pem):
        yield match[1].decode("ascii")


def _counted(kinds: Sequence[str]) -> str:
    return ", ".join(f"{kinds.count(kind)} x {kind}" for kind in sorted(set(kinds)))


__all__ = ["BadUnitFiles", "UnitFiles", "read_unit_files"]
