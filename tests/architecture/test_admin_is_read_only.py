"""Operators read in the admin; they change nothing there, and learn nobody's name."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

OURS = [
    (model, site)
    for model, site in admin.site._registry.items()
    if model._meta.app_label in {"governance", "lineage", "consent"}
]
NEVER_SHOWN = {"secret_sha256", "address_sealed", "body_sealed", "wrapped", "value_sealed",
               "excluded", "sealed", "digest"}  # fmt: skip


@pytest.mark.parametrize(("model", "site"), OURS, ids=lambda each: str(each)[:40])
def test_every_page_is_shown_and_none_can_change_anything(model, site, db, client):
    operator = User.objects.create_superuser("operator")
    client.force_login(operator)
    name = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
    assert client.get(f"{name}/").status_code == 200
    assert client.get(f"{name}/add/").status_code == 403
    request = RequestFactory().get("/")
    request.user = operator
    assert not site.has_change_permission(request)
    assert not site.has_delete_permission(request)
    shown = {*site.get_fields(request), *site.get_list_display(request)}
    assert not shown & NEVER_SHOWN


def test_facts_of_every_app_are_there():
    assert {model._meta.app_label for model, _ in OURS} == {"governance", "lineage", "consent"}
