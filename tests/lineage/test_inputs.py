"""What a data set was made from, one step up."""

import pytest

from governance.models import Dataset
from lineage.models import DatasetVersion, KeptEdge
from lineage.selectors.inputs import inputs
from tests.factories.events import dataset, design, run
from tests.factories.portal import learn

pytestmark = pytest.mark.django_db


def key(name: str) -> int:
    return Dataset.objects.get(name=name).pk


def made_from(name: str, *among: str) -> set[str]:
    """Return what a data set was made from, of some, or of all that are known."""
    some = Dataset.objects.filter(name__in=among) if among else Dataset.objects.all()
    found = inputs([key(name)], among=some.values_list("pk", flat=True))
    assert set(found) == {key(name)}
    return set(Dataset.objects.filter(pk__in=found[key(name)]).values_list("name", flat=True))


def test_runs_flows_designs_and_kept_edges_count_and_nothing_further_up():
    columns = {"x": [("flowed", "x", False)]}
    learn(
        run("first", 0, 1, reads=["source"], writes=["read"])
        + run("second", 2, 3, reads=["read"], writes=[dataset("out", columns=columns)])
        + [design("view", 4, reads=["designed"], writes=["out"])]
        + run("third", 5, 6, reads=["out"], writes=["beyond", "kept"])
    )
    versions = {
        each.dataset.name: each for each in DatasetVersion.objects.select_related("dataset")
    }
    KeptEdge.objects.create(child=versions["out"], parent=versions["kept"], masked=False)
    assert made_from("out") == {"read", "flowed", "designed", "kept"}
    assert made_from("out", "read", "source", "out") == {"read"}
    assert made_from("read") == {"source"}
    assert made_from("source") == set()


def test_each_name_of_a_data_set_is_the_data_set_and_none_is_made_from_itself():
    learn(
        run("fill", 0, 1, reads=["source"], writes=[dataset("path", symlinks=["table"])])
        + run("again", 2, 3, reads=["table"], writes=["path"])
        + run("on", 4, 5, reads=["path"], writes=["out"])
    )
    assert made_from("table") == {"source"}
    assert made_from("out", "table", "source") == {"table"}


def test_of_nothing_nothing_is_asked():
    assert inputs([], among=[1]) == {}
