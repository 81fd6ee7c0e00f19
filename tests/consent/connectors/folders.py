"""A storage of files in a folder, for the contract: what Parquet and CSV have in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from consent.connectors.base import Place
from tests.consent.connectors.contract import Row

NOBODY = 65_534


class FolderStorage:
    """Subclasses write and read a file of their format with no help from the connector."""

    sabotage = "os.replace = die"
    suffix: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, file: Path, rows: list[Row], *, numbers: bool) -> None:
        raise NotImplementedError

    def read(self, file: Path) -> list[Row]:
        raise NotImplementedError

    def file(self, place: Place) -> Path:
        return self.folder / place.location

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        place = Place("files", str(self.folder), f"people{self.suffix}", "person")
        self.write(self.file(place), rows, numbers=numbers)
        return place

    def rows(self, place: Place) -> list[Row]:
        return self.read(self.file(place))

    def add(self, place: Place, row: Row) -> None:
        self.write(self.file(place), [*self.rows(place), row], numbers=False)

    def remove(self, place: Place) -> None:
        self.file(place).unlink()

    def spoil(self, place: Place) -> Place:
        raise NotImplementedError

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        """Be nobody for a while, since root may write everywhere; nobody may only read."""
        self.folder.chmod(0o555)
        self.file(place).chmod(0o444)
        with as_nobody():
            yield replace(place)
        self.folder.chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
