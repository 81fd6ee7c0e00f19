"""What flows into what: explicit lineage before columns, columns before everything into all."""

from lineage.models import ColumnEdge, Flow, ModelVersion, Run
from lineage.selectors import transparency
from tests.factories.events import (
    column_lineage,
    dataset,
    description,
    design,
    event,
    explicit,
    run,
)
from tests.lineage.conftest import made_from, models_using

MODEL = dataset("model", model=True)
OTHER = dataset("other", model=True)


def certainties(model: str) -> dict[str, str]:
    made = ModelVersion.objects.filter(model__dataset__name=model).latest("version__complete_at")
    return {each.name: str(how) for each, how in transparency.datasets_in(made)}


def test_without_more_every_input_flows_into_every_output(send):
    send(run("train", 0, 1, reads=["a", "b"], writes=[MODEL, OTHER]))
    assert made_from("model") == ["a", "b"]
    assert made_from("other") == ["a", "b"]


def test_explicit_lineage_is_complete_for_the_outputs_that_it_names(send):
    lineage = {"lineage": explicit({"model": ["a"]})}
    send(run("train", 0, 1, reads=["a", "b"], writes=[MODEL, OTHER], job_facets=lineage))
    assert made_from("model") == ["a"]
    assert made_from("other") == ["a", "b"]


def test_explicit_lineage_adds_up_over_the_events_of_a_run(send):
    one = {"lineage": explicit({"model": ["a"]})}
    two = {"lineage": explicit({"model": ["b"]})}
    reads = ["a", "b", "c"]
    send([event("START", "train", 0, reads=reads, writes=[MODEL], job_facets=one)])
    send([event("COMPLETE", "train", 1, reads=reads, writes=[MODEL], job_facets=two)])
    assert made_from("model") == ["a", "b"]


def test_an_explicit_nothing_means_that_nothing_flows_in(send):
    lineage = {"lineage": explicit({"model": []})}
    send(run("train", 0, 1, reads=["a"], writes=[MODEL], job_facets=lineage))
    assert made_from("model") == []
    assert models_using("a") == []


def test_columns_narrow_the_flow(send):
    features = dataset("features", columns={"x": [("a", "x", False)]})
    send(run("prepare", 0, 1, reads=["a", "b"], writes=[features]))
    send(run("train", 2, 3, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["a", "features"]
    assert models_using("b") == []


def test_a_column_that_only_filters_flows_too(send):
    columns = {"x": [("a", "x", False)]}
    features = dataset("features", columns=columns, filters=[("b", "y", False)])
    send(run("prepare", 0, 1, reads=["a", "b"], writes=[features]))
    send(run("train", 2, 3, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["a", "b", "features"]


def test_of_the_columns_lineage_the_last_stands(send):
    first = dataset("features", columns={"x": [("a", "x", False)]})
    last = dataset("features", columns={"x": [("b", "x", False)]})
    send([event("COMPLETE", "prepare", 1, reads=["a", "b"], writes=[last])])
    send([event("START", "prepare", 0, reads=["a", "b"], writes=[first])])
    send(run("train", 2, 3, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["b", "features"]


def test_explicit_lineage_stands_before_columns(send):
    features = dataset("features", columns={"x": [("a", "x", False)]})
    lineage = {"lineage": explicit({"features": ["b"]})}
    send(run("prepare", 0, 1, reads=["a", "b"], writes=[features], job_facets=lineage))
    send(run("train", 2, 3, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["b", "features"]


def test_an_empty_columns_lineage_narrows_nothing(send):
    features = dataset("features", columns={})
    send(run("prepare", 0, 1, reads=["a"], writes=[features]))
    send(run("train", 2, 3, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["a", "features"]


def test_what_only_passes_masks_is_told_as_masked(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["a"]))
    features = dataset("features", columns={"x": [("a", "name", True)], "y": [("b", "y", False)]})
    send(run("prepare", 2, 3, reads=["a", "b"], writes=[features]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))
    assert certainties("model") == {
        "a": "masked", "b": "unknown", "features": "inferred", "source": "unknown",
    }  # fmt: skip
    [use] = transparency.models_using(transparency.dataset_named("test", "a"))
    assert use.certainty == "masked"


def test_one_way_around_the_mask_is_enough(send):
    columns = {"x": [("a", "name", True)], "y": [("a", "city", False)]}
    send(run("ingest", 0, 1, reads=["source"], writes=["a"]))
    send(run("prepare", 2, 3, reads=["a"], writes=[dataset("features", columns=columns)]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))
    assert certainties("model")["a"] == "inferred"


def test_the_older_way_to_say_masked_is_understood(send):
    source = {"namespace": "test", "name": "a", "field": "name"}
    facet = {"fields": {"x": {"inputFields": [source], "transformationType": "MASKED"}}}
    features = dataset("features")
    features["facets"]["columnLineage"] = facet
    send(run("ingest", 0, 1, writes=["a"]))
    send(run("prepare", 2, 3, reads=["a"], writes=[features]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))
    assert certainties("model")["a"] == "masked"


def test_each_column_s_way_is_kept_with_its_transformation(send):
    columns = {"x": [("a", "name", True)]}
    features = dataset("features", columns=columns, filters=[("b", "y", False)])
    send(run("prepare", 0, 1, reads=["a", "b"], writes=[features]))
    send(run("prepare", 2, 3, reads=["a", "b"], writes=[features], run="again"))
    edges = ColumnEdge.objects.order_by("input_field").values_list(
        "input__name", "input_field", "output__name", "output_field", "kind", "masking"
    )
    assert list(edges) == [
        ("a", "name", "features", "x", "DIRECT", True),
        ("b", "y", "features", "", "INDIRECT", False),
    ]


def test_who_reads_a_view_reads_what_lies_behind_it(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["table"]))
    send([design("view", 0, reads=["table"], writes=["seen"])])
    send(run("train", 2, 3, reads=["seen"], writes=[MODEL]))
    send(run("ingest", 4, 5, reads=["late"], writes=["table"], run="later"))
    assert made_from("model") == ["seen", "source", "table"]
    assert models_using("late") == []


def test_the_last_design_before_the_reading_stands(send):
    send([design("view", 0, reads=["old"], writes=["seen"])])
    send([design("view", 2, reads=["new"], writes=["seen"])])
    send(run("train", 3, 4, reads=["seen"], writes=[MODEL]))
    assert made_from("model") == ["new", "seen"]


def test_views_of_views_are_followed(send):
    send([design("inner", 0, reads=["table"], writes=["middle"])])
    send([design("outer", 0, reads=["middle"], writes=["seen"])])
    send(run("train", 3, 4, reads=["seen"], writes=[MODEL]))
    assert made_from("model") == ["middle", "seen", "table"]


def test_a_job_that_runs_is_known_by_its_runs(send):
    send([design("copy", 0, reads=["a", "b"], writes=["out"])])
    send(run("copy", 1, 2, reads=["a"], writes=["out"]))
    send(run("train", 3, 4, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["a", "out"]


def test_a_design_that_comes_late_is_found(send):
    send(run("train", 3, 4, reads=["seen"], writes=[MODEL]))
    assert made_from("model") == ["seen"]
    send([design("view", 0, reads=["table"], writes=["seen"])])
    assert made_from("model") == ["seen", "table"]


def test_a_data_set_may_say_itself_where_it_comes_from(send):
    described = dataset("seen")
    described["facets"]["columnLineage"] = column_lineage({"x": [("table", "x", False)]})
    send([description(0, described)])
    send(run("train", 3, 4, reads=["seen"], writes=[MODEL]))
    assert made_from("model") == ["seen", "table"]


def test_a_symlink_is_the_same_data_set(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["table"]))
    send(run("train", 2, 3, reads=[dataset("path", symlinks=["table"])], writes=[MODEL]))
    assert made_from("model") == ["path", "source"]
    assert models_using("table") == models_using("path") == [("model", "COMPLETE")]
    assert models_using("source") == [("model", "COMPLETE")]


def test_a_symlink_that_comes_late_joins_what_was_apart(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["table"]))
    send(run("train", 2, 3, reads=["path"], writes=[MODEL]))
    assert models_using("source") == []
    send([description(4, dataset("path", symlinks=["table"]))])
    assert models_using("source") == [("model", "COMPLETE")]


def test_a_renamed_data_set_stays_the_same(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["before"]))
    send(run("rename", 2, 3, writes=[dataset("after", renamed_from="before")]))
    send(run("train", 4, 5, reads=["after"], writes=[MODEL]))
    assert made_from("model") == ["after", "source"]
    assert models_using("before") == [("model", "COMPLETE")]


def test_an_overwrite_under_another_name_replaces(send):
    send(run("one", 0, 1, reads=["a"], writes=["table"]))
    over = dataset("path", symlinks=["table"], lifecycle="OVERWRITE")
    send(run("two", 2, 3, reads=["b"], writes=[over]))
    send(run("train", 4, 5, reads=["table"], writes=[MODEL]))
    assert models_using("a") == []
    assert models_using("b") == [("model", "COMPLETE")]


def test_a_run_knows_its_parent_and_its_root(send):
    def parent(name, run_id, **more):
        job = {"namespace": "test", "name": name}
        return {"run": {"runId": run_id}, "job": job, **more}

    dag = parent("dag", "dag-1")
    send([event("START", "spark", 3, run="spark-1", parent=parent("task", "task-1", root=dag))])
    send([event("START", "task", 2, run="task-1", parent=dag)])
    send([event("START", "dag", 1, run="dag-1")])
    runs = {each.run_id: each for each in Run.objects.select_related("parent", "root")}
    assert runs["spark-1"].parent == runs["task-1"]
    assert runs["spark-1"].root == runs["task-1"].root == runs["dag-1"]
    assert runs["task-1"].parent == runs["dag-1"]
    assert runs["dag-1"].parent is None
    assert len(runs) == 3


def test_flows_are_only_kept_where_something_is_said(send):
    send(run("train", 0, 1, reads=["a"], writes=[MODEL]))
    assert Flow.objects.count() == 0
