"""The hospital's pipeline: three jobs that ask the gate, do real work, and say what they did."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.demo.announcing import Announcer, Name, TrainingRunFacet, Written
from deploy.demo.doors import Api, wait_for
from deploy.demo.patients import (
    COLUMN,
    NUMBERS,
    TARGET,
    Places,
    Row,
    rows_in,
    write_files,
)

FIELDS = [(COLUMN, "string"), *((name, "double") for name in NUMBERS)]


@dataclass(frozen=True, slots=True)
class Names:
    """What everything is called in one run of the story."""

    run: str

    @property
    def jobs(self) -> str:
        """The namespace of the jobs; those of the data begin with it."""
        return f"demo-{self.run}"

    @property
    def measurements(self) -> Name:
        """The hospital's table."""
        return f"{self.jobs}/hospital", "measurements"

    @property
    def progression(self) -> Name:
        """The registry's table."""
        return f"{self.jobs}/registry", TARGET

    @property
    def raw(self) -> Name:
        """The files that both tables are joined into."""
        return f"{self.jobs}/lake", "raw"

    @property
    def features(self) -> Name:
        """The files that the model learns from."""
        return f"{self.jobs}/lake", "features"

    @property
    def model(self) -> Name:
        """The model."""
        return f"{self.jobs}/models", "progression-ridge"


@dataclass(frozen=True, slots=True)
class Permission:
    """What the gate answered; ``kept`` are the rows that may be used."""

    id: UUID
    outcome: str
    reasons: list[str]
    kept: list[Row]


@dataclass(frozen=True, slots=True)
class Trained:
    """One training: its version, what the gate said, and how well the model does."""

    version: str
    features: Permission
    training: Permission
    score: float
    file: Path


@dataclass
class Pipeline:
    """The three jobs.

    ``purpose`` is the key of what they work for, ``datasets`` what the registry calls each.
    """

    api: Api
    announcer: Announcer
    names: Names
    places: Places
    purpose: str
    datasets: dict[Name, str]
    round: int = 0

    def run(self) -> Trained:
        """Run all three jobs, each when the one before is known."""
        self.round += 1
        self.ingest()
        features = self.features()
        return self.train(features)

    def ingest(self) -> None:
        """Join the two tables into raw files."""
        reads = [self.names.measurements, self.names.progression]
        with self.announcer.job("ingest", reads) as told:
            progressions: dict[str, float] = dict(self.places.progressions())
            rows = [
                (*row, progressions[row[0]])
                for row in self.places.measurements()
                if row[0] in progressions
            ]
            write_files(self.places.lake / "raw", rows)
            told.writes.append(self._files(self.names.raw))
        self.settle()

    def features(self) -> Permission:
        """Keep the rows that may be used, and say exactly whose they are."""
        with self.announcer.job("features", [self.names.raw]) as told:
            permission = self.ask(self.names.raw, rows_in(self.places.lake / "raw"))
            told.training = TrainingRunFacet([self.purpose], str(permission.id))
            write_files(self.places.lake / "features", permission.kept)
            told.writes.append(self._files(self.names.features))
        self.settle()
        self.name_members(self.names.features, [row[0] for row in permission.kept])
        return permission

    def train(self, features: Permission) -> Trained:
        """Fit a ridge regression on what may be used, and save it."""
        from sklearn.linear_model import Ridge

        with self.announcer.job("train", [self.names.features]) as told:
            permission = self.ask(self.names.features, rows_in(self.places.lake / "features"))
            told.training = TrainingRunFacet([self.purpose], str(permission.id))
            learned = [row[1:-1] for row in permission.kept]
            wanted = [row[-1] for row in permission.kept]
            model = Ridge().fit(learned, wanted)
            file = self.places.folder / f"progression-ridge-{self.round}.pickle"
            file.write_bytes(pickle.dumps(model))
            source = file.as_uri()
            told.writes.append(
                Written(self.names.model, source, kind="MODEL", version=str(self.round))
            )
        self.settle()
        score = float(model.score(learned, wanted))
        return Trained(str(self.round), features, permission, score, file)

    def ask(self, name: Name, rows: Sequence[Row]) -> Permission:
        """Ask the gate about a data set, and leave out the rows that it does not permit."""
        namespace, called = name
        asked = {"datasets": [{"namespace": namespace, "name": called}], "purpose": self.purpose}
        decision: Any = self.api.post("gate/decisions", asked)
        people = {"scheme": "email", "identifiers": [row[0] for row in rows]}
        answer: Any = self.api.post(f"gate/decisions/{decision['uuid']}/filter", people)
        kept = [row for row, may in zip(rows, answer["permitted"], strict=True) if may]
        return Permission(UUID(decision["uuid"]), decision["outcome"], decision["reasons"], kept)

    def name_members(self, name: Name, people: Sequence[str]) -> Any:
        """Hand in the exact list of the people in a data set, one a line."""
        body = "".join(f"{json.dumps({'id': each})}\n" for each in people).encode()
        where = f"datasets/{self.datasets[name]}/members"
        return self.api.send(where, body, "application/x-ndjson", mode="replace").json()

    def settle(self) -> None:
        """Wait until everything that was sent is in the graph."""
        wait_for("the graph's coming up to date", self._is_settled)

    def _is_settled(self) -> bool:
        namespace, name = self.names.measurements
        answer = self.api.get("transparency/models", namespace=namespace, name=name)
        return not any(answer["pending"].values())

    def _files(self, name: Name) -> Written:
        folder = self.places.lake / name[1]
        return Written(name, folder.as_uri(), FIELDS, version=str(self.round))
