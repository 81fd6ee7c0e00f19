"""Become another program, bound to the life of the process that asked for it.

Run as a file, by ``process.spawn``, so that nothing of the parent's Python runs between fork and
exec, where a parent with threads could hang: ``tether.py PARENT SIGNAL UID GID PROGRAM ...``. A UID
of -1 keeps the account.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Take the account, ask the kernel for the signal, and become the program."""
    parent, number, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of account, which would clear it; exec keeps it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - there is no shell to avoid


if __name__ == "__main__":
    main(sys.argv[1:])
