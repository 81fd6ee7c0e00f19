"""Start child processes that cannot outlive us, and find those that an earlier life left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TETHER = Path(__file__).with_name("tether.py")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLEAN_ENVIRONMENT = {"PATH": SYSTEM_PATH, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Account:
    """The unprivileged account a server runs as when we are root."""

    name: str
    uid: int
    gid: int


def spawn(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals,
    environ: Mapping[str, str],
    output: IO[bytes] | int | None = None,
    cwd: str | Path = "/",
    account: Account | None = None,
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child that the kernel signals when the calling thread ends, even after kill -9.

    The signal follows the *thread* that called, not the process: call from the main thread or from
    one that lives as long as the child is wanted. Only Linux has it; elsewhere a killed parent
    leaves the child running, and the next start finds it. In a session of its own the child does
    not see the terminal's Ctrl-C, so that the order of stopping stays ours. ``argv[0]`` is an
    absolute path; where it cannot be run, the child tells so in its output and ends with 1.
    """
    bound = [os.getpid(), int(death_signal)]
    bound += [account.uid, account.gid] if account else [-1, -1]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(TETHER), *map(str, bound), *argv],
        stdin=subprocess.DEVNULL if own_session else None,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        cwd=cwd,
        env=dict(environ),
        start_new_session=own_session,
    )


def end(
    process: subprocess.Popen[bytes], *escalation: tuple[signal.Signals, float]
) -> signal.Signals | None:
    """Send each signal in turn, waiting its seconds for the end; then kill.

    Returns the signal that did it, or nothing when the process had ended by itself.
    """
    if process.poll() is not None:
        return None
    for number, seconds in escalation:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return number
    process.kill()
    process.wait()
    return signal.SIGKILL


def running_in(directory: Path, program: str, pid_file: Path) -> list[int]:
    """Return the live processes of a program whose working directory is ``directory``.

    A server changes to its data directory, which identifies it where a bare process id, perhaps
    used anew since, does not. Without /proc the process in the pid file is taken by its name.
    """
    if Path("/proc/self/cwd").exists():
        return [pid for pid in _pids() if _is(pid, program) and _cwd(pid) == str(directory)]
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return []
    shown = subprocess.run(
        ["ps", "-p", str(pid), "-o", "comm="], capture_output=True, text=True, check=False
    ).stdout.strip()
    return [pid] if Path(shown).name == program else []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208


def _is(pid: int, program: str) -> bool:
    try:
        path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115
    except OSError:
        return False  # gone, a zombie, or somebody else's
    # An upgraded package leaves the old program running from a deleted file.
    return Path(path.removesuffix(" (deleted)")).name == program


def _cwd(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
    except OSError:
        return None


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Signal processes, some of which may have ended meanwhile."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a cheap condition; False means that the time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
