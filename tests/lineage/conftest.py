"""What the tests of lineage share."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from governance.models import ApiKey
from governance.services.clients import issue_key
from lineage.models import ModelVersion
from lineage.openlineage import RunState
from lineage.selectors import transparency
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import find_late_models, freeze_stale


@pytest.fixture
def key(db) -> ApiKey:
    return issue_key(client_name="pipeline", scopes=["lineage:write"]).key


@pytest.fixture
def send(key) -> Callable[[Iterable[Any]], None]:
    """Accept events, apply them and freeze what they made."""

    def send(events: Iterable[Any], *, batch: int = 500) -> None:
        accept(key=key, events=list(events))
        while apply_ready(limit=batch):
            pass
        find_late_models()
        while freeze_stale():
            pass

    return send


def made_from(model: str) -> list[str]:
    """Return the data sets in the last version of a model, by name."""
    made = ModelVersion.objects.filter(model__dataset__name=model)
    latest = made.select_related("provenance").latest("version__complete_at")
    return [dataset.name for dataset, _ in transparency.datasets_in(latest)]


def models_using(name: str, **asked: Any) -> list[tuple[str, str]]:
    """Return the model versions that used a data set: (model, state of the run), the last first."""
    found = transparency.models_using(transparency.dataset_named("test", name), **asked)
    return [
        (use.model_version.model.dataset.name, RunState(use.model_version.version.run.state).name)
        for use in found
    ]
