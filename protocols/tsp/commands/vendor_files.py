"""Where imported set-ups of HSM vendors are kept, and what the import commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cspd.admin.client import NotAllowed, owner_of
from cspd.admin.invocation import Invocation
from cspd.admin.local import become_owner
from cspd.keys.files import ImportRefused


def vendor_folder(invocation: Invocation, name: str) -> Path:
    """``hsm/NAME`` in the state folder; ends the command if there is no state folder."""
    state = invocation.state_folder()
    if state is None:
        invocation.fail("there is no state folder: name the installation with --config", code="no-state")
    become_owner(state)
    return state / "hsm" / name


@contextmanager
def refusals(invocation: Invocation) -> Iterator[None]:
    """End the command for files that are not taken."""
    try:
        yield
    except ImportRefused as refused:
        invocation.fail(str(refused), code="import-refused")
    except PermissionError as error:
        path = Path(error.filename or "")
        denied = NotAllowed(path, owner_of(path))
        invocation.fail(denied.reason, code=denied.code)
    except OSError as error:
        invocation.fail(f"{error.filename}: {error.strerror}", code="import-refused")
