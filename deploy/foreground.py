"""Run one command in the terminal's foreground, as a shell would."""

import signal
from collections.abc import Mapping, Sequence

from deploy.devstack.process import end, spawn
from deploy.programs import ROOT

STOP_SECONDS = 15.0


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the command's exit status; 128 and the number for one that a signal ended.

    The terminal sends Ctrl-C to the command as well, which answers to it in its own way (a shell
    of Python's goes on): so it is not ours to act on. Any other way out ends the command.
    """
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        child = spawn(
            command,
            death_signal=signal.SIGTERM,
            environ=environment,
            cwd=ROOT,
            own_session=False,
        )
        try:
            status = child.wait()
        finally:
            end(child, (signal.SIGTERM, STOP_SECONDS))
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - status if status < 0 else status
