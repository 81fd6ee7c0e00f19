"""A model is exempt by a guarantee that is computed here, of every way from the person to it."""

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.rdp import RdpAccountant

from consent.models import RemediationMeasure
from consent.selectors import guarantees
from governance.models import Dataset
from governance.services import rules
from governance.services.registry import register_model
from tests.factories.events import dataset, run
from tests.factories.remedies import asked, library, look, standing, take
from tests.factories.training import learn

pytestmark = pytest.mark.django_db

DELTA = 1e-5
PRIVATE = {"noise_multiplier": 1.1, "sampling_probability": 0.01, "steps": 1000, "unit": "person"}
MORE = {"noise_multiplier": 2.0, "sampling_probability": 0.02, "steps": 300, "unit": "person"}


def expected(*trainings: dict) -> float:
    """Return epsilon by the library alone."""
    accountant = RdpAccountant()
    for each in trainings:
        step = PoissonSampledDpEvent(
            each["sampling_probability"], GaussianDpEvent(each["noise_multiplier"])
        )
        accountant.compose(SelfComposedDpEvent(step, each["steps"]))
    return accountant.get_epsilon(DELTA)


def budget(epsilon: float, key: str = "budget", **narrowed) -> None:
    """Publish a policy that says how much may leak."""
    needs = [{"differential_privacy": {"epsilon": epsilon, "delta": DELTA}, **narrowed}]
    draft = rules.draft_policy(key=key, title=key, text="x", rules={"needs": needs})
    rules.publish_policy(policy=draft.policy)


def trains(job: str, begins: float, noise: dict | None, *, reads=("loans",), makes="model") -> None:
    """Train a model with differential privacy, or without."""
    register_model(namespace="test", name=makes)
    mechanism = {"mechanism": {"differential_privacy": noise}} if noise else {}
    said = {"colophon_training": {"purposes": ["study"], **mechanism}}
    learn(run(job, begins, begins + 1, reads=reads, writes=[dataset(makes, model=True)], **said))


@pytest.fixture(autouse=True)
def people(db):
    library()


def test_within_the_budget_it_is_exempt_and_the_epsilon_is_ours():
    budget(8)
    trains("train", 0, PRIVATE)
    request = asked()
    measure = take(request, "exempt_guarantee")
    assert (standing(request).state, standing(request).code) == ("closed", "exempt_guarantee")
    [told] = measure.evidence["budgets"]
    assert told == {"policy": "budget 1", "delta": DELTA, "most": 8,
                    "epsilon": pytest.approx(expected(PRIVATE), rel=1e-12)}  # fmt: skip
    assert 0.5 < told["epsilon"] < 8
    assert len(measure.evidence["trainings"]) == 1


def test_above_the_budget_it_is_refused_with_the_epsilon():
    budget(expected(PRIVATE) - 0.001)
    trains("train", 0, PRIVATE)
    with pytest.raises(guarantees.BudgetExceededError) as refused:
        take(asked(), "exempt_guarantee")
    assert refused.value.facts["epsilon"] == pytest.approx(expected(PRIVATE), rel=1e-12)
    assert not RemediationMeasure.objects.exists()


def test_the_strictest_policy_counts():
    budget(8)
    budget(0.1, key="strict", purposes=["study"])
    trains("train", 0, PRIVATE)
    with pytest.raises(guarantees.BudgetExceededError, match=r"strict 1 allows 0\.1"):
        take(asked(), "exempt_guarantee")


def test_a_policy_on_other_data_or_for_other_purposes_does_not_count():
    budget(8)
    budget(0.1, key="health", categories=["health"])
    budget(0.1, key="ads", purposes=["ads"])
    trains("train", 0, PRIVATE)
    request = asked()
    take(request, "exempt_guarantee")
    Dataset.objects.filter(name="loans").update(categories=["health"])
    with pytest.raises(guarantees.BudgetExceededError, match="health 1"):
        take(request, "exempt_guarantee")


def test_without_a_published_budget_nothing_is_within_it():
    trains("train", 0, PRIVATE)
    with pytest.raises(guarantees.NoBudgetError):
        take(asked(), "exempt_guarantee")


@pytest.mark.parametrize(
    ("noise", "error"),
    [
        (None, guarantees.NotPrivateError),
        (PRIVATE | {"noise_multiplier": 0.0}, guarantees.NotPrivateError),
        (PRIVATE | {"unit": "record"}, guarantees.UnitNotPersonError),
        (PRIVATE | {"epsilon": 0.1}, guarantees.NotPrivateError),
    ],
)
def test_what_does_not_hide_a_person_has_no_guarantee(noise, error):
    budget(1e9)
    trains("train", 0, noise)
    with pytest.raises(error):
        take(asked(), "exempt_guarantee")


def test_a_base_and_its_fine_tune_on_the_same_people_compose_as_events():
    trains("base", 0, PRIVATE, makes="base")
    trains("tune", 5, MORE, reads=("base", "loans"))
    together = expected(PRIVATE, MORE)
    assert max(expected(PRIVATE), expected(MORE)) < together < expected(PRIVATE) + expected(MORE)
    budget(together - 0.001)
    request = asked()
    with pytest.raises(guarantees.BudgetExceededError):
        take(request, "exempt_guarantee")
    budget(together + 0.001)
    measure = take(request, "exempt_guarantee")
    assert measure.evidence["budgets"][0]["epsilon"] == pytest.approx(together, rel=1e-12)
    assert len(measure.evidence["trainings"]) == 2


def test_the_same_training_twice_counts_twice():
    trains("base", 0, PRIVATE, makes="base")
    trains("tune", 5, PRIVATE, reads=("base", "loans"))
    budget(expected(PRIVATE, PRIVATE) + 0.001)
    measure = take(asked(), "exempt_guarantee")
    assert measure.evidence["budgets"][0]["epsilon"] == pytest.approx(
        expected(PRIVATE, PRIVATE), rel=1e-12
    )


def test_what_is_made_of_a_private_model_alone_is_post_processing():
    budget(8)
    trains("base", 0, PRIVATE, makes="base")
    trains("tune", 5, None, reads=("base",))
    measure = take(asked(), "exempt_guarantee")
    assert measure.evidence["budgets"][0]["epsilon"] == pytest.approx(expected(PRIVATE), rel=1e-12)


def test_one_way_past_the_private_training_makes_it_infinite():
    budget(1e9)
    trains("base", 0, PRIVATE, makes="base")
    trains("tune", 5, None, reads=("base", "loans"))
    with pytest.raises(guarantees.NotPrivateError):
        take(asked(), "exempt_guarantee")


def test_data_that_was_only_prepared_without_noise_may_be_trained_on_with_it():
    budget(8)
    learn(run("features", 0, 1, reads=["loans"], writes=["features"]))
    trains("train", 2, PRIVATE, reads=("features",))
    take(asked(), "exempt_guarantee")


def test_a_private_data_set_that_carries_on_what_was_there_before_hides_nothing():
    budget(1e9)
    said = {"colophon_training": {"purposes": ["study"],
                                  "mechanism": {"differential_privacy": PRIVATE}}}  # fmt: skip
    learn(run("copy", 0, 1, reads=["loans"], writes=["synthetic"]))
    learn(run("synthesise", 2, 3, reads=["loans"], writes=["synthetic"], **said))
    trains("train", 5, None, reads=("synthetic",))
    with pytest.raises(guarantees.NotPrivateError):
        take(asked(), "exempt_guarantee")


def test_a_private_data_set_that_replaced_what_was_there_hides():
    budget(8)
    said = {"colophon_training": {"purposes": ["study"],
                                  "mechanism": {"differential_privacy": PRIVATE}}}  # fmt: skip
    learn(run("copy", 0, 1, reads=["loans"], writes=["synthetic"]))
    whole = dataset("synthetic", lifecycle="OVERWRITE")
    learn(run("synthesise", 2, 3, reads=["loans"], writes=[whole], **said))
    trains("train", 5, None, reads=("synthetic",))
    take(asked(), "exempt_guarantee")


def test_a_stricter_policy_or_other_facts_end_the_exemption():
    budget(8)
    trains("train", 0, PRIVATE)
    request = asked()
    take(request, "exempt_guarantee")
    budget(0.1)
    look(request)
    assert standing(request).state == "open"
    assert RemediationMeasure.objects.get().lapsed_code == "budget_exceeded"


def test_a_run_that_takes_its_noise_back_ends_the_exemption():
    budget(8)
    trains("train", 0, PRIVATE)
    request = asked()
    take(request, "exempt_guarantee")
    plain = {"colophon_training": {"purposes": ["study"]}}
    learn(run("train", 0, 2, reads=["loans"], writes=[dataset("model", model=True)], **plain))
    look(request)
    assert RemediationMeasure.objects.get().lapsed_code == "not_private"
