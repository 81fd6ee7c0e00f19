"""What the chapters of the story share: the doors, the people, and what has happened so far."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.demo.announcing import Name
from deploy.demo.doors import Api
from deploy.demo.patients import Patient, Places
from deploy.demo.pipeline import Names, Pipeline, Trained
from deploy.demo.portal import Browser
from deploy.demo.telling import Teller

WHO_LEAVES = 7
WHO_REFUSES = 25
WHO_IS_SILENT = 13


@dataclass
class Story:
    """One telling. ``run`` is part of every name, so that no two tellings meet."""

    url: str
    run: str
    folder: Path
    postgres: str | None
    teller: Teller
    patients: list[Patient] = field(default_factory=list)
    subjects: dict[int, str] = field(default_factory=dict)
    datasets: dict[Name, str] = field(default_factory=dict)
    trainings: list[Trained] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    notice: str = ""
    request: str = ""
    operator: Api = field(init=False)
    steward: Api = field(init=False)
    auditor: Api = field(init=False)
    pipeline: Pipeline = field(init=False)
    browser: Browser = field(init=False)

    @cached_property
    def names(self) -> Names:
        """What everything is called."""
        return Names(self.run)

    @cached_property
    def places(self) -> Places:
        """Where everything lies."""
        return Places(self.folder, self.postgres, f"demo_{self.run}")

    @property
    def purpose(self) -> str:
        """The key of what the pipeline works for."""
        return f"diabetes-research-{self.run}"

    def patient(self, number: int) -> Patient:
        """Return one person."""
        return self.patients[number - 1]

    def uses_of(self, number: int) -> Any:
        """Ask where one person's data is, and which models used it."""
        return self.steward.get(f"subjects/{self.subjects[number]}/uses")

    def models_using(self, name: Name) -> Any:
        """Ask which models used a data set."""
        namespace, called = name
        return self.auditor.get("transparency/models", namespace=namespace, name=called, path=True)[
            "results"
        ]

    def standing(self) -> Any:
        """Ask where the erasure stands."""
        return self.steward.get(f"requests/{self.request}")
