"""Sealed keys open with the same master key and for the same row, and never otherwise."""

from __future__ import annotations

import pytest

from cspd.keys.encryption import DamagedKey, MasterKey, WeakMasterSecret, WrongMasterKey

SECRET = b"0123456789abcdef0123456789abcdef"


def zeros(count: int) -> bytes:
    return bytes(count)


def test_what_was_sealed_opens() -> None:
    master = MasterKey(SECRET, zeros)
    assert master.open(master.seal(b"private", "a|ec-p256"), "a|ec-p256") == b"private"


def test_format_is_fixed() -> None:
    """Keys of older versions must open: a change of these octets needs a new format number."""
    sealed = MasterKey(SECRET, zeros).seal(b"private", "a|ec-p256")
    assert sealed.hex() == (
        "01"  # format
        "8f551bd01c9494c4"  # HKDF-SHA256(secret, info="cspd master key name")
        "000000000000000000000000"  # nonce
        "bcaa7e1a22c16b"  # "private"
        "480698588fa32a9692ea2c8e427511c7"  # tag
    )


def test_another_row_does_not_open_it() -> None:
    master = MasterKey(SECRET, zeros)
    with pytest.raises(DamagedKey):
        master.open(master.seal(b"private", "a|ec-p256"), "b|ec-p256")


def test_another_master_key_is_told_apart_from_damage() -> None:
    sealed = MasterKey(SECRET, zeros).seal(b"private", "a")
    with pytest.raises(WrongMasterKey):
        MasterKey(SECRET[::-1], zeros).open(sealed, "a")


def test_every_changed_octet_is_noticed() -> None:
    master = MasterKey(SECRET, zeros)
    sealed = master.seal(b"private", "a")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises((DamagedKey, WrongMasterKey)):
            master.open(bytes(changed), "a")


def test_every_cut_is_noticed() -> None:
    master = MasterKey(SECRET, zeros)
    sealed = master.seal(b"private", "a")
    for length in range(len(sealed)):
        with pytest.raises(DamagedKey):
            master.open(sealed[:length], "a")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(WeakMasterSecret, match="openssl rand -hex 32"):
        MasterKey(b"changeme", zeros)


def test_the_secret_is_not_in_the_repr() -> None:
    assert "0123" not in repr(MasterKey(SECRET, zeros)) + repr(vars(MasterKey(SECRET, zeros)))
