"""Keep a few child processes running: start in order, restart what dies, stop in reverse.

One thread does all of it. The kernel's "signal the child when the parent ends" is bound to the
thread that spawned the child, so this thread is the only one that spawns, and it ends only after
everything has stopped.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event, Thread, main_thread
from types import TracebackType
from typing import Protocol, Self

from deploy.devstack.errors import DevstackError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
IMMEDIATE_SECONDS = 10.0
LAST_ATTEMPT = 3


class Kept(Protocol):
    """A child process as its keeper sees it."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def start(self, cancelled: Event) -> None:
        """Start, and return once usable; return early when ``cancelled`` is set."""

    def ended(self) -> str | None:
        """Say how it ended, or nothing while it runs."""

    def broken(self) -> bool:
        """Tell whether it ended by its own fault, and not by a kill from outside."""

    def stop(self) -> None:
        """Stop it in order; harmless when it does not run."""


@dataclass
class _Life:
    kept: Kept
    born_at: float = 0.0
    failures: int = 0
    restart_at: float | None = None


class Keeper:
    """Keep things running while the ``with`` block lasts.

    ``enduring`` things are restarted for ever. Otherwise the keeper gives up when one fails
    three times in a row, each time within ten seconds: it stops all, and ``wait`` raises.
    """

    def __init__(
        self,
        kept: Sequence[Kept],
        *,
        enduring: bool,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._lives = [_Life(each) for each in kept]
        self._enduring = enduring
        self._changed = changed
        self._leaving = Event()
        self._gone = Event()
        self._started: Future[None] = Future()
        self._finished: Future[None] = Future()
        self._thread = Thread(target=self._run, name="keeper", daemon=False)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
            self._started.result()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def wait(self, seconds: float | None = None) -> None:
        """Block while all is kept; raise DevstackError once the keeper has given up.

        Raises TimeoutError when the seconds pass first.
        """
        self._finished.result(seconds)

    def _leave(self) -> None:
        """Wait until all has stopped; an impatient signal is answered after that, not instead."""
        self._leaving.set()
        if self._thread.ident is None:  # no thread could be had
            return
        interruption: BaseException | None = None
        while not self._gone.is_set():
            try:
                self._gone.wait()
            except (KeyboardInterrupt, SystemExit) as error:
                interruption = error
        if interruption:
            raise interruption

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            for life in self._lives:
                self._start(life)
            self._changed()
            self._started.set_result(None)
            # Without the main thread nobody is left to tell us to leave.
            while not self._leaving.wait(POLL_SECONDS) and main_thread().is_alive():
                for life in self._lives:
                    self._look_after(life)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failure = error
        try:
            with ExitStack() as reversal:
                for life in self._lives:
                    reversal.callback(life.kept.stop)
        finally:
            self._gone.set()
            for future in (self._started, self._finished):
                if not future.done():
                    future.set_exception(failure) if failure else future.set_result(None)

    def _start(self, life: _Life) -> None:
        if self._leaving.is_set():
            return
        life.born_at, life.restart_at = time.monotonic(), None
        life.kept.start(self._leaving)

    def _look_after(self, life: _Life) -> None:
        if life.restart_at is not None:
            if time.monotonic() >= life.restart_at:
                self._restart(life)
            return
        how = life.kept.ended()
        if how is not None and not self._leaving.is_set():
            self._plan_restart(life, how, at_fault=life.kept.broken())

    def _restart(self, life: _Life) -> None:
        try:
            self._start(life)
        except (DevstackError, OSError) as error:
            self._plan_restart(life, str(error), at_fault=True)
        else:
            self._changed()

    def _plan_restart(self, life: _Life, how: str, *, at_fault: bool) -> None:
        now = time.monotonic()
        immediate = at_fault and now - life.born_at < IMMEDIATE_SECONDS
        life.failures = life.failures + 1 if immediate else 0
        if life.failures >= LAST_ATTEMPT and not self._enduring:
            raise DevstackError(
                f"{life.kept.name} {how}, the third time in a row just after its start. "
                "Its last lines say why; everything is being stopped."
            )
        pause = min(FIRST_PAUSE * 2**life.failures, LONGEST_PAUSE)
        life.restart_at = now + pause
        logger.warning("%s %s; restarting it in %.1f s", life.kept.name, how, pause)
