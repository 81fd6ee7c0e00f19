"""The story, chapter by chapter."""

from collections.abc import Callable

from deploy.demo import asking, building, leaving, mending, setting
from deploy.demo.stage import Story

__all__ = ["Story", "tell"]

Chapter = Callable[[Story], None]

CHAPTERS: list[tuple[str, str, Chapter]] = [
    (
        "An operator issues keys",
        "Each program may do what it needs and no more; a key's secret is shown once.",
        setting.issue_keys,
    ),
    (
        "The rules are made and published",
        "What a person agrees to must be written down before, and must not change afterwards.",
        setting.make_rules,
    ),
    (
        "Real patients, in real storages",
        "442 people whose diabetes was measured; half of what is known lies in each database.",
        setting.settle_in,
    ),
    (
        "Everybody is asked",
        "Consent is a decision of each person, recorded with the text that they saw.",
        setting.hear_everybody,
    ),
    (
        "The tables name their people",
        "Only who is known to be in a table can be told of it, or taken out of it.",
        setting.name_members,
    ),
    (
        "A model is trained, with the gate's permission",
        "Three jobs announce themselves by the stock OpenLineage client and ask before they read.",
        building.train_first,
    ),
    (
        "Another team's graph arrives",
        "What dbt really sent, as captured; the answers are compared with a picture drawn by hand.",
        building.replay_dbt,
    ),
    (
        "Which models used this data?",
        "The question everything else is built for, answered with the way as evidence.",
        asking.ask_of_data,
    ),
    (
        "What is in this model?",
        "The same question from the other end: a bill of materials.",
        asking.ask_of_model,
    ),
    (
        "Which models used my data?",
        "Each person may ask, and learns of nobody else.",
        asking.ask_of_people,
    ),
    (
        "One person looks, and withdraws",
        "Taking a yes back must be as easy as giving it, and must count at once.",
        leaving.withdraw,
    ),
    (
        "The same person asks to be erased",
        "Exactly their rows must go, everywhere, and what cannot be erased must be named.",
        leaving.erase,
    ),
    (
        "The model is trained again",
        "Nobody can claim that a model was made good; a training without the data shows it.",
        mending.retrain,
    ),
    (
        "The erasure is proven",
        "A certificate that anyone can check, without trusting whoever wrote it.",
        mending.prove,
    ),
    (
        "Later questions",
        "The new version is clean, and the old one is not forgotten.",
        mending.ask_again,
    ),
    (
        "The data comes back",
        "Backups are restored and imports run twice; who was erased is erased again.",
        mending.come_back,
    ),
]


def tell(story: Story) -> None:
    """Tell every chapter, then what was shown and where to look further."""
    for title, why, chapter in CHAPTERS:
        with story.teller.step(title, why):
            chapter(story)
    _conclude(story)


def _conclude(story: Story) -> None:
    teller = story.teller
    teller.console.print()
    rows = [(each.number, each.title, each.answers, f"{each.seconds:.1f}") for each in teller.told]
    teller.table("What was shown", ["", "step", "answers", "seconds"], rows)
    seconds = sum(each.seconds for each in teller.told)
    teller.say(f"{teller.answers} answers, all of them right, in {seconds:.1f} seconds.")
    teller.console.print()
    teller.table(
        "Where to look",
        ["door", "address"],
        [
            ("portal", f"{story.url}/"),
            ("this erasure", f"{story.url}/requests/{story.request}"),
            ("GraphQL", f"{story.url}/graphql"),
            ("admin", f"{story.url}/admin/"),
            ("files and models", story.folder),
        ],
    )
