import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from governance.models import ApiKey
from governance.services import clients

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_key_is_printed_once_and_works():
    bearer = run("issue_key", "--client", "airflow", "--scope", "lineage:write").strip()
    key = clients.authenticate(bearer)
    assert (key.client.name, key.scopes, key.namespaces) == ("airflow", ["lineage:write"], [])


def test_a_program_gets_one_json_object():
    shown = json.loads(
        run(
            *("issue_key", "--client", "ci", "--days", "7", "--json", "--namespace", "lake*"),
            *("--scope", "gate:ask", "--scope", "audit:read"),
        )
    )
    key = clients.authenticate(shown.pop("key"))
    assert shown == {
        "key_id": key.key_id,
        "client": "ci",
        "scopes": ["audit:read", "gate:ask"],
        "namespaces": ["lake*"],
        "expires_at": key.expires_at.isoformat(),
    }
    assert (key.expires_at - key.created_at).days in {6, 7}


@pytest.mark.parametrize(
    "wrong",
    [["--scope", "everything"], [], ["--scope", "gate:ask", "--days", "0"]],
)
def test_a_wrong_request_issues_nothing_and_says_why(wrong):
    with pytest.raises(CommandError):
        run("issue_key", "--client", "ci", *wrong)
    assert not ApiKey.objects.exists()


def test_a_revoked_key_opens_nothing():
    issued = clients.issue_key(client_name="ci", scopes=["gate:ask"])
    said = run("revoke_key", issued.key.key_id)
    assert said.startswith(f"{issued.key.key_id} of ci is revoked since ")
    with pytest.raises(clients.UnauthenticatedError):
        clients.authenticate(issued.bearer)


def test_a_key_that_is_not_there_cannot_be_revoked():
    with pytest.raises(CommandError, match="there is no such key"):
        run("revoke_key", "none")
