"""A client says over REST where to be told, and sees its own endpoints only."""

from uuid import uuid4

import pytest

from governance.models import WebhookDelivery, WebhookEndpoint
from governance.services import delivering
from tests.factories.governance import issued_key
from tests.factories.listener import listening

HOOKS = "/api/v1/webhooks"


@pytest.fixture
def owner(caller, settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    return caller("webhooks:manage")


def test_a_secret_is_shown_once_and_the_address_never(owner):
    asked = {"url": "https://example.org/hooks/s3cret", "kinds": ["policy.published"]}
    made = owner.post(HOOKS, asked, format="json")
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    place = f"{HOOKS}/{made.json()['uuid']}"
    shown = [owner.get(place).json(), owner.get(HOOKS).json()["results"][0]]
    for each in shown:
        assert each["host"] == "example.org"
        assert "secret" not in each
        assert "s3cret" not in str(each)
    stored = WebhookEndpoint.objects.get()
    assert b"s3cret" not in bytes(stored.url_sealed)
    renewed = owner.post(f"{place}/secret")
    assert renewed.json()["secret"] != made.json()["secret"]


def test_another_client_sees_nothing_of_it(owner, caller, anyone):
    asked = {"url": "https://example.org/", "kinds": ["policy.published"]}
    uuid = owner.post(HOOKS, asked, format="json").json()["uuid"]
    other = anyone
    bearer = issued_key("webhooks:manage", client_name="somebody else")
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {bearer}")
    assert other.get(HOOKS).json()["results"] == []
    for answer in (
        other.get(f"{HOOKS}/{uuid}"), other.delete(f"{HOOKS}/{uuid}"),
        other.post(f"{HOOKS}/{uuid}/test"), other.get(f"{HOOKS}/{uuid}/deliveries"),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert caller("registry:read").get(HOOKS).status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://example.org/", "kinds": []}, "invalid"),
        ({"url": "https://example.org/", "kinds": ["everything"]}, "invalid"),
        ({"url": "mailto:me@example.org", "kinds": ["policy.published"]},
         "webhook_address_unusable"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_refused_with_a_code(owner, body, code):
    answer = owner.post(HOOKS, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert WebhookEndpoint.objects.count() == 0


def test_an_endpoint_is_tried_watched_and_switched_off(owner):
    with listening() as listener:
        made = owner.post(HOOKS, {"url": listener.url, "kinds": ["policy.published"]},
                          format="json").json()  # fmt: skip
        place = f"{HOOKS}/{made['uuid']}"
        sent = owner.post(f"{place}/test")
        assert (sent.status_code, sent.json()["kind"]) == (200, "webhook.test")
        delivering.deliver(delivery_id=WebhookDelivery.objects.get().pk)
        assert listener.heard[0].is_signed_with(made["secret"])
        assert listener.heard[0].said["data"] == {}
    [shown] = owner.get(f"{place}/deliveries").json()["results"]
    assert (shown["last_status"], shown["attempt"], shown["uuid"]) == (204, 1, sent.json()["uuid"])
    again = owner.post(f"{place}/deliveries/{shown['uuid']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "delivery_not_given_up")
    assert owner.post(f"{place}/deliveries/{uuid4()}/retry").status_code == 404
    off = owner.delete(place)
    assert (off.status_code, off.json()["disabled_code"]) == (200, "by_client")
    assert owner.post(f"{place}/test").json()["code"] == "webhook_disabled"
