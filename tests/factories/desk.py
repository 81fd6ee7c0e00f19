"""Colleagues at the operators' desk, and what its pages say."""

from django.contrib.auth import get_user_model
from django.test import Client

from consent.models import RightsRequest, Subject
from tests.factories.portal import text_of

PEOPLE = ("ann@example.org", "bob@example.org", "eve@example.org")


def colleague(name: str = "olga", **rights: bool) -> Client:
    """Return the browser of somebody who may enter, unless the rights say otherwise."""
    client = Client()
    user = get_user_model().objects.create_user(name, **{"is_staff": True} | rights)
    client.force_login(user)
    return client


def read(client: Client, path: str) -> str:
    """Return what a page says, and fail if anybody is named on it or it may be kept."""
    answer = client.get(path)
    assert answer.status_code == 200, answer
    assert answer.headers["Cache-Control"] == "no-store"
    people = set(Subject.objects.values_list("uuid", flat=True))
    people |= set(RightsRequest.objects.values_list("subject__uuid", flat=True))
    for named in (*PEOPLE, *map(str, people)):
        assert named not in answer.content.decode()
    return text_of(answer.content)
