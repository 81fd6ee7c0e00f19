"""The directories of a state, who owns them, and where sockets can lie."""

import contextlib
import hashlib
import os
import pwd
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.devstack import binaries
from deploy.devstack.errors import DevstackError
from deploy.devstack.process import Account

PG_USER = "DEVSTACK_PG_USER"
LONGEST_SOCKET = 100  # bytes; the kernels allow 107 (Linux) and 103 (macOS)


def state_directory(state: Path) -> Path:
    """Make a state directory where needed and return its absolute path.

    Raises DevstackError where it cannot be made or belongs to somebody else: two accounts taking
    turns would leave files that the other can neither read nor remove.
    """
    state = state.absolute()
    try:
        # Passable, so that the account of PostgreSQL reaches its part; secrets have modes of 0600.
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        owner = state.stat().st_uid
    except OSError as error:
        raise DevstackError(
            f"{state} cannot be made: {error.strerror}. Run this as the owner of the checkout."
        ) from None
    if owner != os.geteuid():
        raise DevstackError(
            f"{state} belongs to {_name_of(owner)}. Run this as that account, or remove the "
            "directory and with it the data of the servers in it."
        )
    return state.resolve()


def server_account(environ: Mapping[str, str]) -> Account | None:
    """Return the account PostgreSQL must run as, which refuses root; nothing when not root."""
    if os.geteuid() != 0:
        return None
    name = environ.get(PG_USER, "").strip() or "nobody"
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise DevstackError(
            f"There is no account {name} for PostgreSQL to run as: set {PG_USER} to one."
        ) from None
    if entry.pw_uid == 0:
        raise DevstackError(f"{PG_USER}={name} is root, which PostgreSQL refuses: name another.")
    return Account(name, entry.pw_uid, entry.pw_gid)


def postgres_home(state: Path, account: Account | None) -> Path:
    """Return the directory that holds PostgreSQL's data and log.

    It is ``state/postgres``. Where ``account`` could not reach that, because the checkout lies in
    a closed home, it is a link to a directory under /var/lib. The link alone leads there, so that
    removing the state makes the next start begin anew, with new keys as well.
    """
    home = state / "postgres"
    if home.is_symlink() and not home.exists():
        raise DevstackError(
            f"{home} leads to {home.readlink()}, which is gone. Remove {state} to begin anew."
        )
    if not home.exists():
        if account is None or binaries.reachable_by(account, home):
            home.mkdir(mode=0o711)
        else:
            elsewhere = binaries.shared_directory() / f"data-{secrets.token_hex(8)}"
            elsewhere.mkdir()
            elsewhere.chmod(0o711)
            home.symlink_to(elsewhere)
    return home.resolve()


def socket_directory(parent: Path) -> Path:
    """Name a directory for a socket: inside ``parent``, or else among the temporary files.

    A socket's path must be short, and plain, because three grammars of addresses carry it.
    """
    directory = parent / "run"
    longest = len(os.fsencode(directory / ".s.PGSQL.5432"))
    if longest > LONGEST_SOCKET or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(directory)):
        digest = hashlib.sha256(os.fsencode(parent)).hexdigest()[:16]
        directory = Path(tempfile.gettempdir()).resolve() / f"colophon-{digest}"
    return directory


def private_directory(directory: Path, account: Account | None) -> Path:
    """Make a directory that its owner alone may enter, owned by ``account`` if there is one.

    Raises DevstackError if somebody else made it first, which in a shared directory is a trap.
    """
    uid = account.uid if account else os.geteuid()
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), uid}:
        raise DevstackError(f"{directory} was made by somebody else: remove it, or set TMPDIR.")
    if account:
        os.chown(directory, account.uid, account.gid)
    directory.chmod(0o700)
    return directory


def remove_if_empty(directory: Path) -> None:
    """Remove a socket's directory after a clean stop; what is still used stays."""
    with contextlib.suppress(OSError):
        directory.rmdir()


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"
