"""Flink's streams never end, and are part of the graph all the same."""

import pytest

from lineage.models import DatasetVersion, Run, RunInput
from tests.factories.events import at, dataset, run
from tests.factories.producers.drawing import ORDERS, Drawing, Events, drawn, refused, trained_on
from tests.factories.producers.envelope import ref
from tests.factories.producers.flink import BROKER, NAMESPACE, stream
from tests.lineage.conftest import made_from

JOB = "clicks_by_customer"
SOURCES, SINK = ("clicks", "customers"), "clicks.enriched"
MODEL = dataset("recommender", model=True)
DAY = 24 * 60

STREAM: Events = [
    stream("START", JOB, 0, reads=SOURCES, writes=(SINK,)),
    *(stream("RUNNING", JOB, n, reads=SOURCES, writes=(SINK,), checkpoint=n) for n in range(1, 12)),
]
TRAIN = run("train", 6, 7, reads=[ref((BROKER, SINK))], writes=[MODEL])


@pytest.mark.parametrize("order", ORDERS)
def test_a_stream_is_one_run_that_goes_on(send, order):
    send(ORDERS[order](STREAM))
    assert refused() == []
    assert drawn() == Drawing(
        datasets={*SOURCES, SINK},
        jobs={JOB},
        runs=[(JOB, "RUNNING")],
        edges={("clicks", JOB), ("customers", JOB), (JOB, SINK)},
    )
    assert Run.objects.get().last_heard_at == at(11)


@pytest.mark.parametrize("order", ORDERS)
def test_a_model_trained_beside_a_stream_used_what_flows_into_it(send, order):
    send(ORDERS[order]([*STREAM, *TRAIN]))
    assert made_from("recommender") == ["clicks", "clicks.enriched", "customers"]
    assert trained_on(BROKER, "clicks") == [("recommender", "COMPLETE")]


def test_checkpoints_that_name_no_topic_take_none_away(send):
    bare = [stream("RUNNING", JOB, n, checkpoint=n) for n in range(1, 4)]
    send([STREAM[0], *bare, *TRAIN])
    assert drawn().edges >= {("clicks", JOB), ("customers", JOB), (JOB, SINK)}
    assert made_from("recommender") == ["clicks", "clicks.enriched", "customers"]


@pytest.mark.parametrize("order", ORDERS)
def test_snapshots_do_not_add_up_to_more_writes_or_reads(send, order):
    snapshots = [
        stream("RUNNING", JOB, n, reads=SOURCES, writes=(SINK,), content="COMPLETE_SNAPSHOT")
        for n in range(5)
    ]
    send(ORDERS[order](snapshots))
    assert RunInput.objects.count() == 2
    assert DatasetVersion.objects.filter(kind="written").count() == 1


def test_a_topic_that_a_later_snapshot_leaves_out_was_still_read(send):
    send([
        stream("RUNNING", JOB, 0, reads=("clicks",), writes=(SINK,), content="COMPLETE_SNAPSHOT"),
        stream("RUNNING", JOB, 5, reads=("views",), writes=(SINK,), content="COMPLETE_SNAPSHOT"),
        *TRAIN,
    ])  # fmt: skip
    assert made_from("recommender") == ["clicks", "clicks.enriched", "views"]


def test_a_stream_over_many_months_stays_one_run(send):
    months = [
        stream("RUNNING", JOB, 40 * DAY * n, reads=SOURCES, writes=(SINK,), checkpoint=n + 1)
        for n in range(4)
    ]
    send([stream("START", JOB, -1, reads=SOURCES, writes=(SINK,)), *months])
    assert drawn().runs == [(JOB, "RUNNING")]
    assert DatasetVersion.objects.filter(kind="written").count() == 1


def test_the_months_of_a_stream_may_arrive_backwards(send):
    for n in (3, 2, 1, 0):
        send([stream("RUNNING", JOB, 40 * DAY * n, reads=SOURCES, writes=(SINK,))])
    found = Run.objects.get()
    assert (found.started_at, found.last_heard_at) == (at(0), at(40 * DAY * 3))


def test_a_stream_that_failed_was_there(send):
    send([*STREAM, stream("FAIL", JOB, 20), *TRAIN])
    assert (JOB, "FAIL") in drawn().runs
    assert trained_on(BROKER, "clicks") == [("recommender", "COMPLETE")]


def test_a_stream_and_a_batch_of_the_same_name_elsewhere_are_two_jobs(send):
    send([*STREAM, *run(JOB, 0, 1)])
    assert set(Run.objects.values_list("job__namespace", "job__name")) == {
        (NAMESPACE, JOB), ("test", JOB),
    }  # fmt: skip
