"""The addresses, without trailing slashes, to be included under the API's root."""

from django.urls import path

from governance.api import ledger, registry, rules, webhooks

urlpatterns = [
    path("storages", registry.Storages.as_view()),
    path("datasets", registry.Datasets.as_view()),
    path("datasets/<uuid:uuid>", registry.Dataset.as_view()),
    path("models", registry.Models.as_view()),
    path("models/<uuid:uuid>", registry.Model.as_view()),
    path("purposes", rules.Purposes.as_view()),
    path("policies", rules.Policies.as_view()),
    path("policies/<slug:key>", rules.Policy.as_view()),
    path("policies/<slug:key>/publish", rules.PolicyPublication.as_view()),
    *webhooks.urlpatterns,
    path("ledger/head", ledger.Head.as_view()),
    path("ledger/consistency", ledger.Consistency.as_view()),
    path("ledger/proofs/<uuid:uuid>", ledger.Proof.as_view()),
    path("ledger/entries", ledger.Entries.as_view()),
]
