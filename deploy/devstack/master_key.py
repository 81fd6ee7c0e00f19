"""The key that all others derive from, made once per state directory."""

import base64
import os
import secrets
from pathlib import Path

FILE_NAME = "master.key"
KEY_BYTES = 32


def master_key(state: Path) -> str:
    """Return the key of a state in base64, making it on first use.

    It is written whole and linked into place: of two that begin at once, one wins, and both
    return what it wrote.
    """
    path = state / FILE_NAME
    if not path.exists():
        draft = state / f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was faster; its key counts
        finally:
            draft.unlink()
    return path.read_text().strip()
