"""The end: the model is made good, the erasure is proven, and later questions know of it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deploy.demo.announcing import Written
from deploy.demo.building import build
from deploy.demo.doors import manage, wait_for
from deploy.demo.stage import WHO_LEAVES, Story

LEFT = 413
PEOPLE = 442


def retrain(story: Story) -> None:
    """Run the pipeline again, and see the request complete by itself."""
    expect, who = story.teller.expect, story.patient(WHO_LEAVES).email
    trained = build(story)
    learned = [row[0] for row in trained.training.kept]
    expect("rows that the second version learned from", len(learned), LEFT)
    expect("the person's is among them", who in learned, False)
    standing: Any = wait_for("completion", lambda: _completed(story), story.standing)
    remediation = standing["remediations"][0]
    second = story.models_using(story.names.measurements)[0]["model_version"]
    story.versions["2"] = second["id"]
    expect("how the model was made good", remediation["outcome"], "retrained")
    expect("by the second version", remediation["closed_by"] == second["id"], True)
    expect("outstanding", standing["outstanding"], [])


def _completed(story: Story) -> Any:
    standing = story.standing()
    return standing if standing["state"] == "completed" else None


def prove(story: Story) -> None:
    """Fetch the certificate, and check its proofs and the whole ledger as an outsider would."""
    expect = story.teller.expect
    issued: Any = wait_for("the ledger's numbering the last records", lambda: _proven(story))
    told = issued["certificate"]
    kinds = [each["kind"] for each in told["ledger"]]
    expect("the certificate's state", told["state"], "completed")
    expect(
        "its first and last records",
        (kinds[0], kinds[-1]),
        ("request.received", "request.completed"),
    )
    story.teller.table(
        "What the ledger tells of this request",
        ["index", "record"],
        [(each["proof"]["index"], each["kind"]) for each in told["ledger"]],
    )
    good, proof, spoiled, keys = _written(story, issued)
    offline = ("verify_certificate", "--json", "--jwks", str(keys))
    with ThreadPoolExecutor(2) as pool:
        checks = [
            pool.submit(manage, *offline, str(good)),
            pool.submit(manage, *offline, str(spoiled), expected_status=1),
            pool.submit(manage, "verify", "--json", "--proof", str(proof)),
            pool.submit(manage, "verify", "--json"),
        ]
        answers = [json.loads(check.result().splitlines()[-1]) for check in checks]
    expect("the certificate holds, offline", answers[0]["ok"], True)
    expect("one with a changed outcome is refused", not answers[1]["ok"], True)
    expect("a single proof holds", answers[2]["ok"], True)
    expect("the whole ledger holds", answers[3]["ok"], True)


def _proven(story: Story) -> Any:
    issued = story.steward.get(f"requests/{story.request}/certificate")
    return issued if all(each["proof"] for each in issued["certificate"]["ledger"]) else None


def _written(story: Story, issued: Any) -> tuple[Path, Path, Path, Path]:
    """Write the certificate, a proof of it, the same with another outcome, and the keys."""
    good, proof, spoiled, keys = (
        story.folder / f"{name}.json" for name in ("certificate", "proof", "spoiled", "keys")
    )
    good.write_text(json.dumps(issued))
    proof.write_text(json.dumps(issued["certificate"]["ledger"][0]["proof"]))
    keys.write_text(json.dumps(story.steward.keys()))
    issued["certificate"]["datasets"][0]["outcome"] = "exempt"
    spoiled.write_text(json.dumps(issued))
    return good, proof, spoiled, keys


def ask_again(story: Story) -> None:
    """Ask the old questions anew."""
    expect, names = story.teller.expect, story.names
    uses = story.models_using(names.measurements)
    versions = [
        (each["model_version"]["version"], each["model_version"]["run_state"]) for each in uses
    ]
    expect("versions that used the table", versions, [("2", "COMPLETE"), ("1", "COMPLETE")])
    mine = story.uses_of(WHO_LEAVES)
    expect("data sets that hold the person", mine["datasets"], [])
    expect(
        "versions that used the person's data",
        [(each["version"], each["certainty"]) for each in mine["models"]],
        [("1", "proven")],
    )


def come_back(story: Story) -> None:
    """Restore an old row and the list that names it, and see the person erased again."""
    expect, names, who = story.teller.expect, story.names, story.patient(WHO_LEAVES)
    with story.pipeline.announcer.job("restore", []) as told:
        story.places.put_back(who)
        written = Written(names.measurements, story.places.hospital_address, kind="TABLE")
        told.writes.append(written)
    story.pipeline.settle()
    expect("rows of the person, after an old table was restored", _rows_of(story), 1)
    where = f"datasets/{story.datasets[names.measurements]}/members"
    line = json.dumps({"id": who.email}).encode()
    taken = story.pipeline.api.send(where, line, "application/x-ndjson", mode="add").json()
    expect("an old list is taken", (taken["rows"], taken["people"]), (1, 1))
    wait_for("the erasure's opening again by itself", lambda: not _rows_of(story))
    expect("rows of the person, without anybody's asking", _rows_of(story), 0)
    expect("other rows", len(story.places.measurements()), PEOPLE - 1)
    wait_for("the gate's seeing it gone", lambda: not _came_back(story))
    expect("data sets that hold the person", story.uses_of(WHO_LEAVES)["datasets"], [])


def _rows_of(story: Story) -> int:
    who = story.patient(WHO_LEAVES).email
    return sum(row[0] == who for row in story.places.measurements())


def _came_back(story: Story) -> bool:
    return "erased_data_present" in story.pipeline.ask(story.names.measurements, []).reasons
