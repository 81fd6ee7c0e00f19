"""How the story is told: numbered steps, one sentence of why, and answers that are checked."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDTH_OF_A_PIPE = 110
INDENT = (0, 0, 0, 3)


class WrongAnswerError(Exception):
    """The service gave another answer than the story knows to be right."""

    def __init__(self, question: str, expected: object, got: object) -> None:
        super().__init__(f"{question}\n  expected: {expected!r}\n  got:      {got!r}")


def _console() -> Console:
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=WIDTH_OF_A_PIPE)


@dataclass(frozen=True, slots=True)
class Told:
    """One step of the story, after it was told."""

    number: int
    title: str
    answers: int
    seconds: float


@dataclass(slots=True)
class Teller:
    """Prints the story and keeps count of what it has shown."""

    console: Console = field(default_factory=_console)
    told: list[Told] = field(default_factory=list)
    answers: int = 0

    @contextmanager
    def step(self, title: str, why: str) -> Iterator[None]:
        """Tell one step: its heading, why it matters, and whatever the block says."""
        number, before, begun = len(self.told) + 1, self.answers, time.monotonic()
        self.console.print(f"\n[bold]{number}. {escape(title)}[/bold]")
        self.console.print(f"   [dim]{escape(why)}[/dim]")
        yield
        seconds = time.monotonic() - begun
        self.told.append(Told(number, title, self.answers - before, seconds))

    def say(self, sentence: str) -> None:
        """Tell something that is not an answer."""
        self.console.print(f"   {escape(sentence)}")

    def expect(self, question: str, got: object, expected: object) -> None:
        """Show an answer if it is the right one, or raise `WrongAnswerError`."""
        if got != expected:
            raise WrongAnswerError(question, expected, got)
        self.answers += 1
        shown = escape(_short(got))
        line = f"[green]✓[/green] {escape(question)}: [cyan]{shown}[/cyan]"
        self.console.print(Padding(line, INDENT, expand=False))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show rows under a title."""
        table = Table(*columns)
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self.console.print(f"   {escape(title)}:")
        self.console.print(Padding(table, INDENT, expand=False))

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar while the block lasts; it gets a function that counts one more."""
        bar = Progress(
            TextColumn("   {task.description}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        )
        with bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)


def _short(answer: object) -> str:
    """Say an answer in few words."""
    if answer is None:
        return "nothing"
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, tuple):
        return " ".join(map(_short, answer))
    if isinstance(answer, dict):
        return _listed(f"{key} {_short(value)}" for key, value in answer.items())
    if isinstance(answer, (set, frozenset)):
        return _listed(sorted(map(_short, answer)))
    return _listed(map(_short, answer)) if isinstance(answer, list) else str(answer)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"
