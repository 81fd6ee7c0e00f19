"""Work in a process of its own, which may be killed at it."""

import os
from collections.abc import Callable

from django.db import connection, connections


def killed(work: Callable[[], object]) -> bool:
    """Work in a process of its own; say whether it was killed."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        connection.connect()
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
