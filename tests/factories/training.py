"""A data set of people, what they say, and trainings on it."""

from uuid import uuid4

from consent.models import ConsentDecision, GateDecision
from consent.rules import DecisionKind
from consent.selectors.subjects import by_identifier
from consent.services import decisions, gate
from governance.models import ApiKey, Dataset, LegalBasis, Purpose
from governance.selectors import rules
from governance.services.clients import issue_key
from governance.services.registry import register_dataset
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import find_late_models, freeze_stale
from tests.factories.consent import registered, take
from tests.factories.events import at, dataset, run
from tests.factories.governance import PurposeFactory

ANN, BOB = "ann@example.org", "bob@example.org"
MODEL = ("test", "model")


def study(basis: LegalBasis = LegalBasis.CONSENT) -> Purpose:
    """Return the purpose of the trainings here."""
    return PurposeFactory(key="study", legal_basis=basis)


def loans_of(*people: str, name: str = "loans") -> Dataset:
    """Register a data set that names its people."""
    loans = register_dataset(
        namespace="test", name=name, subject_column="email", subject_scheme="email"
    ).thing
    for each in people:
        registered(("email", each))
    take(loans, people, mode="replace", scheme="email")
    return loans


def says(who: str, kind: DecisionKind | str, minutes: float) -> ConsentDecision:
    """Record what a person said some minutes after the first training began."""
    person = by_identifier("email", who)
    assert person is not None
    return decisions.record(
        subject=person, purpose=rules.purpose("study"), kind=DecisionKind(kind),
        decided_at=at(minutes), key=uuid4(),
    ).decision  # fmt: skip


def ask(*datasets: Dataset, model=MODEL, minutes: float = -1) -> GateDecision:
    """Ask the gate about a training."""
    return gate.decide(
        datasets=list(datasets), purpose=rules.purpose("study"), model=model, at=at(minutes)
    )


def facet(decision: GateDecision | None = None, purposes=("study",)) -> dict:
    """Return what a training says of itself."""
    named = {"gateDecision": str(decision.uuid)} if decision else {}
    return {"purposes": list(purposes), **named}


def train(
    said: dict | None, *, reads=("loans",), minutes: float = 0, kind: str = "COMPLETE", name="r"
) -> None:
    """Send the events of a training, and apply and freeze what they say."""
    facets = {} if said is None else {"colophon_training": said}
    made = dataset("model", model=True)
    learn(run("train", minutes, minutes + 1, reads=reads, writes=[made], run=name, kind=kind,
              **facets))  # fmt: skip


def learn(events: list) -> None:
    """Take events in, apply them, and freeze what they made."""
    accept(key=pipeline(), events=events)
    while apply_ready():
        pass
    find_late_models()
    while freeze_stale():
        pass


def pipeline() -> ApiKey:
    """Return a key that sends events."""
    return issue_key(client_name="pipeline", scopes=["lineage:write"]).key
