"""The questions: which models used this data, what is in a model, and which models used mine."""

from typing import Any

from deploy.demo.announcing import Name
from deploy.demo.doors import Mailbox
from deploy.demo.portal import Browser, Page
from deploy.demo.stage import WHO_LEAVES, WHO_REFUSES, Story

MODELS_USING = """
query ModelsUsing($namespace: String!, $name: String!) {
  modelsUsing(namespace: $namespace, name: $name, first: 10) {
    nodes {
      certainty
      modelVersion {
        id
        version
        runState
        datasets(first: 10) { nodes { dataset { namespace name } } }
      }
      path(first: 10) { nodes { name } }
    }
  }
}
"""


def ask_of_data(story: Story) -> None:
    """Ask which models used the hospital's measurements, and check the way there."""
    names, expect = story.names, story.teller.expect
    uses = story.models_using(names.measurements)
    shown = [(_version(each), each["certainty"]) for each in uses]
    expect("models that used the measurements", shown, [("1", "inferred")])
    story.versions["1"] = uses[0]["model_version"]["id"]
    way = [(step["namespace"], step["name"]) for step in uses[0]["path"]]
    expect("the way", way, [names.model, names.features, names.raw, names.measurements])
    expect("its training", uses[0]["model_version"]["run_state"], "COMPLETE")
    _ask_by_graphql(story)


def _ask_by_graphql(story: Story) -> None:
    """Ask the same through the auditors' door, where one question brings the whole picture."""
    expect, names = story.teller.expect, story.names
    namespace, name = names.measurements
    variables = {"namespace": namespace, "name": name}
    answer = story.auditor.ask(MODELS_USING, variables)["modelsUsing"]["nodes"]
    told = [(each["modelVersion"]["id"], each["certainty"].lower()) for each in answer]
    expect("GraphQL says the same", told == [(story.versions["1"], "inferred")], True)
    way = [step["name"] for step in answer[0]["path"]["nodes"]]
    expect("with the same way", way, [names.model[1], "features", "raw", "measurements"])
    materials = answer[0]["modelVersion"]["datasets"]["nodes"]
    found = sorted(each["dataset"]["name"] for each in materials)
    expect("and what the model was made of", found, sorted(name for _, name in story.datasets))


def ask_of_model(story: Story) -> None:
    """Ask what a model was made of."""
    names = story.names
    answer = story.auditor.get(f"transparency/model-versions/{story.versions['1']}/datasets")
    story.teller.table(
        "Bill of materials of version 1",
        ["namespace", "data set", "certainty"],
        [(each["namespace"], each["name"], each["certainty"]) for each in answer["results"]],
    )
    found = {(each["namespace"], each["name"]) for each in answer["results"]}
    wanted: set[Name] = {names.measurements, names.progression, names.raw, names.features}
    story.teller.expect("it is the four data sets and nothing else", found == wanted, True)
    story.teller.expect("something was cut off", answer["truncated"], False)


def ask_of_people(story: Story) -> None:
    """Ask for one who said yes and for one who said no, over REST and in the portal."""
    expect, names = story.teller.expect, story.names
    yes, no = story.uses_of(WHO_LEAVES), story.uses_of(WHO_REFUSES)
    holding = [names.features, names.measurements, names.progression]
    expect("who said yes is in", _named(yes["datasets"]), sorted(name for _, name in holding))
    expect(
        "and in the model",
        [(each["version"], each["certainty"]) for each in yes["models"]],
        [("1", "proven")],
    )
    expect("who said no is in", _named(no["datasets"]), ["measurements", "progression"])
    expect("and in no model", no["models"], [])
    page, browser = sign_in(story, WHO_REFUSES)
    browser.close()
    expect("the portal tells them so", _tells(page, "measurements", "progression"), True)
    expect("and names a model to them", names.model[1] in page.text, False)


def sign_in(story: Story, number: int) -> tuple[Page, Browser]:
    """Sign in to the portal with the code from the letter; return the person's own page."""
    browser, address = Browser(story.url), story.patient(number).email
    asked = browser.open("/sign-in").form(asks="address")
    code_page = browser.submit(asked, address=address)
    code = Mailbox().code_for(address)
    browser.submit(code_page.form(asks="code"), code=code)
    return browser.open("/me"), browser


def _named(datasets: Any) -> list[str]:
    return sorted(each["name"] for each in datasets)


def _version(use: Any) -> str:
    return str(use["model_version"]["version"])


def _tells(page: Page, *words: str) -> bool:
    return all(word in page.text for word in words)
