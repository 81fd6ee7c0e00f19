"""Provenance is exact in time: it follows versions, not names."""

import pytest

from lineage.models import ModelVersion
from lineage.openlineage import EARLIEST
from lineage.selectors import transparency
from tests.factories.events import at, dataset, event, run
from tests.lineage.conftest import made_from, models_using

MODEL = dataset("model", model=True)


def test_a_model_descends_from_everything_upstream(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"]))
    send(run("features", 2, 3, reads=["raw"], writes=["features"]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["features", "raw", "source"]
    assert models_using("source") == [("model", "COMPLETE")]


def test_what_was_written_after_the_training_is_not_in_the_model(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL]))
    send(run("ingest", 2, 3, reads=["late"], writes=["raw"]))
    assert made_from("model") == ["raw"]
    assert models_using("late") == []


def test_a_job_that_read_a_source_only_in_june_does_not_taint_what_it_wrote_in_may(send):
    send(run("job", 0, 1, reads=["a"], writes=["out"], run="may"))
    send(run("train", 2, 3, reads=["out"], writes=[MODEL]))
    send(run("job", 10, 11, reads=["b"], writes=["out"], run="june"))
    assert made_from("model") == ["a", "out"]
    assert models_using("b") == []


def test_a_write_that_extends_carries_on_what_was_there(send):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    send(run("two", 2, 3, reads=["b"], writes=["out"]))
    send(run("train", 4, 5, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["a", "b", "out"]


@pytest.mark.parametrize("lifecycle", ["OVERWRITE", "TRUNCATE", "CREATE", "DROP"])
def test_a_write_that_replaces_carries_nothing_on(send, lifecycle):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    send(run("two", 2, 3, reads=["b"], writes=[dataset("out", lifecycle=lifecycle)]))
    send(run("train", 4, 5, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["b", "out"]
    assert models_using("a") == []


def test_an_overwrite_that_failed_is_not_believed_to_have_replaced(send):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    over = dataset("out", lifecycle="OVERWRITE")
    send(run("two", 2, 3, reads=["b"], writes=[over], kind="FAIL"))
    send(run("train", 4, 5, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["a", "b", "out"]


def test_a_run_that_names_a_version_read_that_one(send):
    send(run("one", 0, 1, reads=["a"], writes=[dataset("out", version="1")]))
    over = dataset("out", version="2", lifecycle="OVERWRITE")
    send(run("two", 2, 3, reads=["b"], writes=[over]))
    send(run("train", 4, 5, reads=[dataset("out", version="1")], writes=[MODEL]))
    assert made_from("model") == ["a", "out"]


def test_a_named_version_of_unknown_writer_may_hold_what_was_there(send):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    send(run("train", 4, 5, reads=[dataset("out", version="x")], writes=[MODEL]))
    assert made_from("model") == ["a", "out"]


def test_the_writer_of_a_named_version_may_become_known_later(send):
    send(run("train", 4, 5, reads=[dataset("out", version="x")], writes=[MODEL]))
    assert made_from("model") == ["out"]
    send(run("one", 0, 1, reads=["a"], writes=[dataset("out", version="x")]))
    assert made_from("model") == ["a", "out"]


def test_a_run_reads_every_version_current_while_it_runs(send):
    send(run("one", 0, 1, reads=["a"], writes=["out"]))
    over = dataset("out", lifecycle="OVERWRITE")
    send(run("two", 3, 4, reads=["b"], writes=[over]))
    send(run("train", 2, 10, reads=["out"], writes=[MODEL]))
    assert made_from("model") == ["a", "b", "out"]


def test_a_late_event_about_the_past_changes_the_answer(send):
    send(run("train", 4, 5, reads=["features"], writes=[MODEL]))
    assert made_from("model") == ["features"]
    send(run("features", 0, 1, reads=["raw"], writes=["features"]))
    assert made_from("model") == ["features", "raw"]
    assert models_using("raw") == [("model", "COMPLETE")]


def test_a_failed_training_has_read_and_stays_visible(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL], kind="FAIL"))
    assert models_using("raw") == [("model", "FAIL")]


def test_a_running_training_is_visible(send):
    send([event("START", "train", 0, reads=["raw"], writes=[MODEL])])
    assert models_using("raw") == [("model", "RUNNING")]


def test_an_empty_fail_removes_nothing(send):
    send([event("START", "train", 0, reads=["raw"], writes=[MODEL])])
    send([event("FAIL", "train", 1)])
    assert models_using("raw") == [("model", "FAIL")]


def test_retraining_does_not_carry_the_old_model_on(send):
    send(run("train", 0, 1, reads=["old"], writes=[MODEL], run="first"))
    send(run("train", 2, 3, reads=["new"], writes=[MODEL], run="second"))
    assert made_from("model") == ["new"]


def test_a_fine_tuned_model_descends_from_its_base_and_the_base_s_data(send):
    send(run("pretrain", 0, 1, reads=["web"], writes=[dataset("base", model=True)]))
    send(run("tune", 2, 3, reads=["base", "chat"], writes=[MODEL]))
    assert made_from("model") == ["base", "chat", "web"]
    assert models_using("web") == [("model", "COMPLETE"), ("base", "COMPLETE")]


def test_a_model_may_be_registered_after_it_was_trained(send, key):
    from governance.services.registry import register_model

    send(run("train", 0, 1, reads=["raw"], writes=["plain"]))
    assert models_using("raw") == []
    register_model(namespace="test", name="plain")
    send([])
    assert models_using("raw") == [("plain", "COMPLETE")]


def test_an_as_of_answer_leaves_out_what_had_not_begun(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL], run="first"))
    send(run("train", 10, 11, reads=["raw"], writes=[MODEL], run="second"))
    assert len(models_using("raw")) == 2
    assert len(models_using("raw", as_of=at(5))) == 1
    assert models_using("raw", as_of=at(-1)) == []


def test_an_unregistered_data_set_that_nobody_wrote_is_a_gap(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"]))
    send(run("train", 4, 5, reads=["raw"], writes=[MODEL]))
    made = ModelVersion.objects.get()
    materials = {d.name: str(c) for d, c in transparency.datasets_in(made)}
    assert materials == {"raw": "inferred", "source": "unknown"}


def test_the_path_shows_how_the_data_got_there(send):
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"]))
    send(run("train", 4, 5, reads=["raw"], writes=[MODEL]))
    made = ModelVersion.objects.get()
    way = transparency.evidence(made, transparency.dataset_named("test", "source"))
    assert [step.name for step in way] == ["model", "raw", "source"]
    assert [step.run is None for step in way] == [False, False, True]


def test_a_loop_of_jobs_ends(send):
    send(run("there", 0, 5, reads=["a"], writes=["b"]))
    send(run("back", 1, 6, reads=["b"], writes=["a"]))
    send(run("train", 7, 8, reads=["a"], writes=[MODEL]))
    assert made_from("model") == ["a", "b"]


def test_the_origin_of_a_data_set_lies_before_everything(send):
    send(run("train", 0, 1, reads=["raw"], writes=[MODEL]))
    origin = ModelVersion.objects.get().version.__class__.objects.get(
        kind="origin", dataset__name="raw"
    )
    assert origin.complete_at == EARLIEST
