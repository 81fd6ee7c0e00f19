"""A lake with a data set of every certainty, whose erasures somebody has to approve."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from consent.models import RightsRequest, Subject
from consent.selectors import planned, requests
from consent.services import planning
from consent.services.requests import open_erasure
from governance.models import Dataset
from governance.services import rules
from governance.services.registry import register_dataset, register_storage
from lineage.selectors.versions import current
from tests.factories.consent import registered, take
from tests.factories.events import dataset as said
from tests.factories.events import run
from tests.factories.portal import learn

ANN, BOB = "ann@example.org", "bob@example.org"
MASKED = {"code": [("patients", "email", True)]}


@dataclass(frozen=True)
class Lake:
    """Patients in a table, features in a file, and all that flows from and to them."""

    table: Path
    file: Path
    patients: Dataset
    features: Dataset

    def rows(self) -> list[str]:
        """Return who is in the table."""
        with sqlite3.connect(self.table) as wire:
            return [row[0] for row in wire.execute("SELECT email FROM patients ORDER BY email")]

    def features_rows(self) -> list[str]:
        """Return who is in the file."""
        return pq.read_table(self.file).column("email").to_pylist()


def lake(folder: Path) -> Lake:
    """Build it: proven, inferred, masked and unknown, a model, and a list without Ann."""
    table, files = folder / "clinic.sqlite", folder / "lake"
    with sqlite3.connect(table) as wire:
        wire.execute("CREATE TABLE patients (email TEXT, bmi REAL)")
        wire.executemany("INSERT INTO patients VALUES (?, 20)", [[ANN], [BOB], [ANN]])
    files.mkdir()
    pq.write_table(pa.table({"email": [ANN, BOB]}), files / "part.parquet")
    clinic = register_storage(name="clinic", kind="sql", address=f"sqlite:///{table}").thing
    shelf = register_storage(name="shelf", kind="files", address=str(files)).thing
    of = {"subject_column": "email", "subject_scheme": "email", "namespace": "test"}
    patients = register_dataset(
        name="patients", storage=clinic, location="patients", categories=["Health"], **of
    ).thing
    features = register_dataset(name="features", storage=shelf, location="*.parquet", **of).thing
    register_dataset(name="adults", namespace="test")
    learn(
        run("build", 0, 1, reads=["patients", "survey"], writes=["features"])
        + run("filter", 2, 3, reads=["patients"], writes=["adults"])
        + run("hide", 2, 3, reads=["patients"], writes=[said("codes", columns=MASKED)])
        + run("copy", 4, 5, reads=["features"], writes=["export"])
        + run("train", 6, 7, reads=["features"], writes=[said("model", model=True, version="1")])
    )
    for name, people in (("patients", [ANN, BOB]), ("adults", [BOB])):
        held = Dataset.objects.get(name=name)
        take(held, people, mode="replace", scheme="email", version=current(held.pk))
    return Lake(table, files / "part.parquet", patients, features)


def reviewed(approvals: int = 1) -> None:
    """Publish that erasures of health data have to be approved."""
    needs = [{"categories": ["health"], "approvals": approvals}]
    draft = rules.draft_policy(key="health", title="t", text="x", rules={"needs": needs})
    rules.publish_policy(policy=draft.policy)


def person(address: str = ANN) -> Subject:
    """Return a registered person."""
    return registered(("email", address))


def asked(subject: Subject | None = None) -> RightsRequest:
    """Return a request that is verified and planned."""
    request = open_erasure(subject=subject or person(), key=uuid4(), verified=True)
    planning.plan(request.pk)
    request.refresh_from_db()
    return request


def digest(request: RightsRequest) -> str:
    """Return the digest of the plan that waits."""
    return planned.planned(request).plan.digest


def worked(carry_out: Callable[..., int]) -> None:
    """Let workers do what they may."""
    for _ in range(6):
        for pk in requests.datasets_to_erase_from():
            carry_out(dataset_id=pk)
