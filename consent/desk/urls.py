"""Addresses of the desk. None ends with a slash, and none holds an identifier of a person."""

from django.urls import path

from consent.desk import (
    copies,
    datasets,
    plans,
    recipients,
    remedies,
    steps,
    violations,
    waiting,
    webhooks,
)

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
    path("/requests/<uuid:uuid>/copy/retry", copies.retry, name="retry-copy"),
    path("/copies", copies.copies, name="copies"),
    path("/models", remedies.models, name="models"),
    path("/measures", remedies.measures, name="measures"),
    path("/measures/<uuid:uuid>", remedies.measure, name="measure"),
    path("/measures/<uuid:uuid>/approve", remedies.approve, name="approve-measure"),
    path("/violations", violations.violations, name="violations"),
    path("/violations/<uuid:uuid>", violations.violation, name="violation"),
    path("/violations/<uuid:uuid>/assign", violations.assign, name="assign-violation"),
    path("/violations/<uuid:uuid>/resolve", violations.resolve, name="resolve-violation"),
    path("/reappearances", datasets.reappearances, name="reappearances"),
    path("/scans", datasets.scans, name="scans"),
    path("/datasets/<uuid:uuid>/scan", datasets.scan, name="scan"),
    path("/notices", recipients.notices, name="notices"),
    path("/notices/<uuid:uuid>", recipients.notice, name="notice"),
    path("/notices/<uuid:uuid>/tell", recipients.tell, name="tell"),
    path("/notices/<uuid:uuid>/settle", recipients.settle, name="settle-notice"),
    path("/deliveries", webhooks.deliveries, name="deliveries"),
    path("/webhooks/disabled", webhooks.disabled, name="webhooks-disabled"),
    path("/webhooks/<uuid:uuid>", webhooks.webhook, name="webhook"),
    path("/webhooks/<uuid:uuid>/disable", webhooks.disable, name="disable-webhook"),
    path(
        "/webhooks/<uuid:uuid>/deliveries/<uuid:delivery>/deliver", webhooks.deliver, name="deliver"
    ),
]
