"""Addresses of the desk. None ends with a slash, and none holds an identifier of a person."""

from django.urls import path

from consent.desk import plans, steps, waiting

app_name = "desk"

urlpatterns = [
    path("", waiting.overview, name="overview"),
    path("/requests", waiting.requests, name="requests"),
    path("/steps", waiting.steps, name="steps"),
    path("/requests/<uuid:uuid>", plans.plan, name="plan"),
    path("/requests/<uuid:uuid>/dry-run", plans.dry_run, name="dry-run"),
    path("/requests/<uuid:uuid>/approve", plans.approve, name="approve"),
    path("/requests/<uuid:uuid>/reject", plans.reject, name="reject"),
    path("/requests/<uuid:uuid>/steps/<uuid:step>", steps.step, name="step"),
    path("/requests/<uuid:uuid>/steps/<uuid:step>/retry", steps.retry, name="retry"),
    path("/requests/<uuid:uuid>/steps/<uuid:step>/settle", steps.settle, name="settle"),
]
