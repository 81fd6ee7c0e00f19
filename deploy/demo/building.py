"""The middle: a model is made as the rules allow, and another team's graph arrives."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from deploy.demo import dbt
from deploy.demo.announcing import Announcer, Name, Written
from deploy.demo.doors import at_once
from deploy.demo.patients import read_files, rows_in
from deploy.demo.pipeline import Trained
from deploy.demo.stage import Story

PERMITTED = 414


def build(story: Story) -> Trained:
    """Run the three jobs, and check what each left behind."""
    trained = story.pipeline.run()
    story.trainings.append(trained)
    expect = story.teller.expect
    expect("the gate's answer for raw data", trained.features.outcome, "permit_with_exclusions")
    expect("and why", trained.features.reasons, ["some_excluded"])
    return trained


def train_first(story: Story) -> None:
    """Make the first version of the model."""
    trained = build(story)
    expect = story.teller.expect
    agreed = {each.email for each in story.patients if each.agrees}
    raw, features = (rows_in(story.places.lake / name) for name in ("raw", "features"))
    expect("rows in the raw files", len(raw), 442)
    expect("rows that the model learned from", len(trained.training.kept), PERMITTED)
    expect("exactly the people who said yes", {row[0] for row in features} == agreed, True)
    files = {name: len(rows) for name, rows in read_files(story.places.lake / "raw").items()}
    in_parts = {"part-0.parquet": 150, "part-1.parquet": 150, "part-2.parquet": 142}
    expect("raw files and their rows", files, in_parts)
    story.teller.say(f"Ridge regression fitted and saved; R² on its own rows {trained.score:.3f}.")


def replay_dbt(story: Story) -> None:
    """Send what dbt sent, train a model on its last table, and compare with the drawn picture."""
    captured, api = dbt.captured(), story.pipeline.api
    with story.teller.progress("events of dbt sent again, as captured", len(captured)) as done:
        ids = at_once(lambda pair: dbt.replay(api, *pair), captured, done)
    story.teller.expect("events accepted", len(ids), 68)
    _train_on_the_shop(story)
    states = {api.get(f"lineage/events/{each}")["state"] for each in (ids[0], ids[-1])}
    story.teller.expect("what became of the first and the last", states, {"done"})
    _compare(story)


def _shop_model(story: Story) -> Name:
    return f"{story.names.jobs}/models", "shop-reach"


def _train_on_the_shop(story: Story) -> None:
    announcer: Announcer = story.pipeline.announcer
    with announcer.job("reach", [(dbt.SHOP, dbt.TRAINING_SET)]) as told:
        told.writes.append(Written(_shop_model(story), "file:///reach", kind="MODEL", version="1"))
    story.pipeline.settle()


def _compare(story: Story) -> None:
    """Ask of every table of the shop whether the model descends from it."""
    expect, model = story.teller.expect, _shop_model(story)
    drawn = {dbt.TRAINING_SET, *dbt.made_from(dbt.TRAINING_SET)}
    found: dict[str, list[Any]] = {}
    for table in dbt.MADE_FROM:
        uses = story.models_using((dbt.SHOP, table))
        found[table] = [each for each in uses if _made(each) == model]
    expect(
        "tables that the shop's model was made of", {each for each in found if found[each]}, drawn
    )
    without = {each for each in found if not found[each]}
    expect(
        "and was not", without, {"shop.public.country_revenue", "shop.snapshots.customers_snapshot"}
    )
    _follow(story, found)


def _follow(story: Story, found: dict[str, list[Any]]) -> None:
    """Check every path: it leads to the table, and each step of it is an edge of the picture."""
    paths = {
        table: [step["name"] for step in uses[0]["path"]] for table, uses in found.items() if uses
    }
    strange = [table for table, path in paths.items() if not _is_drawn(path[1:], table)]
    story.teller.expect("paths that the picture does not have", strange, [])
    story.teller.expect(
        "the way to the consents",
        paths["shop.public.stg_consents"],
        [_shop_model(story)[1], dbt.TRAINING_SET, "shop.public.marketing_audience",
         "shop.public.stg_consents"],
    )  # fmt: skip


def _is_drawn(path: Sequence[str], end: str) -> bool:
    edges = pairwise(path)
    drawn = all(source == made or source in dbt.MADE_FROM[made] for made, source in edges)
    return path[-1] == end and drawn


def _made(use: Any) -> Name:
    return use["model_version"]["namespace"], use["model_version"]["name"]
