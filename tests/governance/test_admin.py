import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from governance import models
from governance.services import ledger, rules
from tests.factories.governance import ModelFactory, PurposeFactory, StorageFactory, issued_key

OURS = [model for model in admin.site._registry if model.__module__.startswith("governance.")]


@pytest.fixture
def operator(db):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator"))
    return client


@pytest.fixture
def things(db):
    StorageFactory(address="/srv/s3cret")
    ModelFactory()
    PurposeFactory()
    issued_key("gate:ask")
    rules.draft_policy(key="reuse", title="Reuse", text="t")
    with transaction.atomic():
        ledger.sequence()


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_the_operator_sees_everything_and_changes_nothing(operator, things, model):
    root = f"/admin/governance/{model._meta.model_name}/"
    row = model.objects.first()
    assert operator.get(root, {"q": "1"}).status_code == 200
    assert operator.get(root).status_code == 200
    page = operator.get(f"{root}{row.pk}/change/")
    assert page.status_code == 200
    assert b"s3cret" not in page.content
    assert operator.get(f"{root}add/").status_code == 403
    assert operator.post(f"{root}{row.pk}/change/", {}).status_code == 403
    assert operator.post(f"{root}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_facts_are_all_there():
    assert {models.LedgerEntry, models.LedgerRecord, models.ApiKey, models.PolicyVersion} <= {*OURS}
