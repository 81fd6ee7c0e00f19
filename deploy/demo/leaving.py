"""The turn: one person looks, takes the yes back, and asks for everything to be erased."""

from typing import Any

from deploy.demo.asking import sign_in
from deploy.demo.doors import wait_for
from deploy.demo.patients import Row, read_files, rows_in
from deploy.demo.stage import WHO_LEAVES, Story

Contents = dict[str, list[Row]]


def withdraw(story: Story) -> None:
    """Look at one's own page, and take the permission back with one press."""
    expect, names = story.teller.expect, story.names
    page, story.browser = sign_in(story, WHO_LEAVES)
    holding = [names.measurements, names.progression, names.features, names.model]
    shown = [name for _, name in holding if name in page.text]
    expect("the page names the data sets and the model", shown, [name for _, name in holding])
    form = page.form(button="Withdraw permission", purpose=story.purpose)
    page = story.browser.submit(form, "Withdraw permission")
    expect("it says so afterwards", "You withdrew your permission" in page.text, True)
    raw = rows_in(story.places.lake / "raw")
    kept = {row[0] for row in story.pipeline.ask(names.raw, raw).kept}
    expect("the gate permits one row fewer at once", len(kept), 413)
    expect("this person is among them", story.patient(WHO_LEAVES).email in kept, False)


def erase(story: Story) -> None:
    """Ask for erasure in the portal, follow it, and read every file and table back."""
    before = contents(story)
    page = story.browser.open("/me/erase")
    confirmed = next(form for form in page.forms if "key" in form.fields)
    page = story.browser.submit(confirmed)
    story.request = page.url.rpartition("/")[2]
    wait_for("the erasure", lambda: _is_erased(story), story.standing)
    _check_contents(story, before)
    _check_standing(story)


def _is_erased(story: Story) -> bool:
    """Tell whether all rows are gone and read back, and the person's keys with them."""
    standing = story.standing()
    return standing["state"] == "verifying" and standing["keys_destroyed_at"] is not None


def contents(story: Story) -> Contents:
    """Read every table and file, row by row."""
    found = {
        "table measurements": story.places.measurements(),
        "table progression": story.places.progressions(),
    }
    for folder in ("raw", "features"):
        files = read_files(story.places.lake / folder)
        found |= {f"{folder}/{name}": rows for name, rows in files.items()}
    return found


def _check_contents(story: Story, before: Contents) -> None:
    expect, who = story.teller.expect, story.patient(WHO_LEAVES).email
    after = contents(story)
    rows = [(place, len(before[place]), len(after[place])) for place in before]
    story.teller.table("Rows before and after", ["place", "before", "after"], rows)
    wanted = {place: [row for row in rows if row[0] != who] for place, rows in before.items()}
    expect("exactly one row is gone from each place, and no other changed", after == wanted, True)
    lost = {place: len(before[place]) - len(after[place]) for place in before}
    expect(
        "places with one row fewer", sorted(place for place in lost if lost[place] == 1),
        ["features/part-0.parquet", "raw/part-0.parquet", "table measurements",
         "table progression"],
    )  # fmt: skip


def _check_standing(story: Story) -> None:
    expect, names = story.teller.expect, story.names
    standing: Any = story.standing()
    steps = {each["name"]: (each["outcome"], each["rows"]) for each in standing["steps"]}
    expect(
        "what was erased",
        steps,
        dict.fromkeys(("measurements", "progression", "raw", "features"), ("erased", 1)),
    )
    flagged = [(each["name"], each["outcome"]) for each in standing["remediations"]]
    expect("models that are flagged", flagged, [(names.model[1], "")])
    outstanding = standing["outstanding"]
    expect("things outstanding", len(outstanding), 1)
    expect("which is the model, by name", names.model[1] in outstanding[0], True)
    expect("completed at", standing["completed_at"], None)
    page = story.browser.open("/me")
    expect("their page says so", "Your data was erased" in page.text, True)
    expect("and names their data still", "measurements" in page.text, False)
    page = story.browser.open(f"/requests/{story.request}")
    expect("by its link, the request tells of the model", names.model[1] in page.text, True)
