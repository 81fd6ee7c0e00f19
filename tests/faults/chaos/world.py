"""Who is in the storm, and where their rows lie: a lake, a table, an owner's server."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.consent.connectors.owner import Owner

BYSTANDERS = 2_000
FILES = 3
PURPOSE = "suggestions"


def person(number: int) -> str:
    """Return the address of one person."""
    return f"person-{number}@example.org"


def bystander(number: int) -> str:
    """Return the address of somebody who asks for nothing, and whose rows must stay."""
    return f"bystander-{number}@example.org"


@dataclass
class World:
    """The places, and the people who are in all of them."""

    folder: Path
    owner: Owner
    people: int

    @property
    def everybody(self) -> list[str]:
        """Everybody who has a row in each place."""
        return [*map(person, range(self.people)), *map(bystander, range(BYSTANDERS))]

    def build(self) -> None:
        """Write the rows."""
        lake = self.folder / "lake"
        lake.mkdir()
        for number in range(FILES):
            names = self.everybody[number::FILES]
            table = pa.table({"email": names, "value": range(len(names))})
            pq.write_table(table, lake / f"part-{number}.parquet")
        with sqlite3.connect(self.folder / "shop.db") as wire:
            wire.execute("CREATE TABLE loans (email TEXT, title TEXT)")
            wire.executemany("INSERT INTO loans VALUES (?, 'x')", [(e,) for e in self.everybody])
        self.owner.tables["visits"] = [(each,) for each in self.everybody]

    def register(self) -> dict[str, Any]:
        """Register the places, and hand in a list for each; return the data sets by name."""
        from governance.services.registry import register_dataset, register_storage

        addresses = {
            "lake": ("files", str(self.folder / "lake"), "*.parquet", "email"),
            "shop": ("sql", f"sqlite:///{self.folder / 'shop.db'}", "loans", "email"),
            "clinic": ("http", self.owner.address, "visits", "person"),
        }
        made = {}
        for name, (kind, address, location, column) in addresses.items():
            storage = register_storage(name=name, kind=kind, address=address).thing
            made[name] = register_dataset(
                namespace="storm", name=name, storage=storage, location=location,
                subject_column=column, subject_scheme="email",
            ).thing  # fmt: skip
        return made

    def rows(self) -> dict[str, list[str]]:
        """Read every place back, in its order."""
        parts = sorted((self.folder / "lake").glob("*.parquet"))
        lake = [each for part in parts for each in pq.read_table(part)["email"].to_pylist()]
        with sqlite3.connect(self.folder / "shop.db") as wire:
            shop = [row[0] for row in wire.execute("SELECT email FROM loans")]
        return {
            "lake": sorted(lake),
            "shop": sorted(shop),
            "clinic": sorted(row[0] for row in self.owner.tables["visits"]),
        }

    def left_over(self) -> list[str]:
        """Return the names of drafts that somebody left beside the files."""
        return [each.name for each in (self.folder / "lake").iterdir() if each.suffix != ".parquet"]
