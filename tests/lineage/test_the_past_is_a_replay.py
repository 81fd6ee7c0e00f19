"""An answer as of an instant is the answer of a graph that has heard nothing later."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.models import Dataset
from lineage.models import ModelVersion
from lineage.openlineage import RunState
from lineage.selectors import transparency
from tests.factories.events import at, dataset, description, design, event, explicit
from tests.lineage.test_order_does_not_matter import forgotten_afterwards

NAMES = ["a", "b", "c", "d"]
MODELS = ["m", "n"]
minutes = st.integers(0, 12)


def data_sets(names: list[str]) -> st.SearchStrategy[Any]:
    facets = st.fixed_dictionaries(
        {},
        optional={
            "version": st.sampled_from(["1", "2"]),
            "lifecycle": st.sampled_from(["CREATE", "OVERWRITE", "DROP", "ALTER"]),
            "columns": st.dictionaries(
                st.just("x"),
                st.lists(
                    st.tuples(st.sampled_from(NAMES), st.just("y"), st.booleans()), max_size=2
                ),
            ),
            "symlinks": st.lists(st.sampled_from(NAMES), max_size=1),
        },
    )
    some = st.one_of(st.just({}), st.just({}), facets)
    return st.builds(lambda name, said: dataset(name, **said), st.sampled_from(names), some)


def models() -> st.SearchStrategy[Any]:
    return st.builds(
        lambda name, called: dataset(name, model=called), st.sampled_from(MODELS), st.booleans()
    )


run_events = st.builds(
    lambda kind, job, when, run, reads, writes, makes, lineage: event(
        kind, job, when, run=f"{job}-{run}", reads=reads, writes=[*writes, *makes],
        job_facets={"lineage": explicit(lineage)} if lineage else None,
    ),
    st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER"]),
    st.sampled_from(["one", "two", "train"]),
    minutes,
    st.integers(1, 2),
    st.lists(data_sets([*NAMES, "m"]), max_size=2),
    st.lists(data_sets(NAMES), max_size=1),
    st.lists(models(), max_size=1),
    st.dictionaries(
        st.sampled_from([*NAMES, "m"]), st.lists(st.sampled_from(NAMES), max_size=2), max_size=1
    ),
)  # fmt: skip
designs = st.builds(
    lambda when, job, reads, writes: design(job, when, reads=reads, writes=writes),
    minutes, st.sampled_from(["one", "view"]),
    st.lists(st.sampled_from(NAMES), max_size=2), st.lists(st.sampled_from(NAMES), max_size=1),
)  # fmt: skip
descriptions = st.builds(description, minutes, data_sets(NAMES))
events = st.one_of(run_events, run_events, run_events, designs, descriptions)


def uses(as_of: Any) -> dict[str, list[tuple[str, str, str, str]]]:
    """Return of every data set the model versions that used it, with everything that is told."""
    answers = {}
    for each in Dataset.objects.all():
        found = transparency.models_using(each, as_of=as_of)
        told = sorted(
            (use.model_version.model.dataset.name, use.model_version.version.run.run_id,
             RunState(use.model_version.version.run.state).name, str(use.certainty))
            for use in found
        )  # fmt: skip
        if told:
            answers[each.name] = told
    return answers


def materials(as_of: Any) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return of every model version what it was made of."""
    answers = {}
    for made in ModelVersion.objects.select_related("model__dataset", "version__run"):
        told = transparency.datasets_in(made, as_of=as_of)
        if told:
            key = made.version.dataset.name, made.version.run.run_id
            answers[key] = [(each.name, str(how)) for each, how in told]
    return answers


def test_an_answer_as_of_an_instant_is_that_of_a_replay_up_to_it(send):
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(story=st.lists(events, min_size=2, max_size=14), until=minutes)
    def the_same(story, until):
        with forgotten_afterwards():
            send(story)
            past = uses(at(until)), materials(at(until))
        with forgotten_afterwards():
            send([each for each in story if each["eventTime"] <= at(until).isoformat()])
            assert past == (uses(None), materials(None))

    the_same()
