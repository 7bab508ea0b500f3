"""A real PKCS#11 token without hardware: SoftHSM2, its files in a folder of the test.

The module keeps state per process and reads its configuration once, so what uses a token runs in a child process with
:attr:`SoftHSM.environment`. A token that is made after the module was initialised is not seen by it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)


class SoftHSM:
    """A folder of tokens."""

    def __init__(self, folder: Path) -> None:
        """Makes ``folder/softhsm2.conf`` and ``folder/tokens``."""
        self.module = next((path for path in MODULES if os.path.exists(path)), MODULES[0])
        self.configuration = folder / "softhsm2.conf"
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a process that shall see these tokens."""
        return {**os.environ, "SOFTHSM2_CONF": str(self.configuration)}

    def make_token(self, label: str, pin: str = "1234", so_pin: str = "12345678") -> None:
        """Initialise a token with a user PIN."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", so_pin]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60)
