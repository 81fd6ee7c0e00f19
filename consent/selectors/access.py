"""Everything that is on record about one person: what Art. 15 GDPR says they may know.

It is made of what the portal shows, so that a copy and a page never disagree. The rows themselves
come beside it, from the storages (`consent.selectors.copies`).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from consent import copies as words
from consent.models import (
    AccessPackage,
    CopyAssembly,
    CopyReading,
    Manifest,
    RequestKind,
    RightsRequest,
    Subject,
)
from consent.selectors import portal, receipts, recipients, subjects
from consent.selectors.derived import Derivations, Derived
from consent.selectors.persons import rows_of
from consent.selectors.portal import Holding, ModelUse, Position
from consent.selectors.requests import under_way
from governance.models import Dataset
from governance.policy_rules import demands_of_published
from governance.selectors.rules import policies_in_force
from lineage.selectors.transparency import Certainty

FORMAT = "colophon-access-1"
KINDS = (RequestKind.ACCESS, RequestKind.PORTABILITY)


def waiting() -> "QuerySet[RightsRequest]":
    """Return the requests that wait for a copy."""
    return under_way().filter(
        kind__in=KINDS, verified_at__isnull=False, answered_at=None, subject__erased_at=None
    )


def to_prepare() -> "QuerySet[RightsRequest]":
    """Return those for whose copy nothing has to be read any more, those due first at the front.

    One for which nobody has asked yet what to read is among them; none that a worker is at, that
    is put off, or that was given up.
    """
    open_ = CopyReading.objects.filter(request=OuterRef("pk"), finished_at=None)
    later = Q(lease_until__gte=Now()) | Q(retry_at=None) | Q(retry_at__gt=Now())
    held = CopyAssembly.objects.filter(later, request=OuterRef("pk"))
    return waiting().exclude(Exists(open_)).exclude(Exists(held)).order_by("due_at", "pk")


def stuck() -> "QuerySet[CopyAssembly]":
    """Return the copies that could not be put together, and wait for another try or a person."""
    return CopyAssembly.objects.filter(lease_until=None, request__in=waiting()).exclude(code="")


def expired(at: datetime) -> "QuerySet[AccessPackage]":
    """Return the copies whose content has to go."""
    return AccessPackage.objects.filter(content_sealed__isnull=False, expires_at__lte=at)


def package_of(subject: Subject, request: RightsRequest) -> AccessPackage | None:
    """Return a person's own copy, if one was made for the request; nobody else's, ever.

    Its content is not fetched with it.
    """
    found = AccessPackage.objects.filter(request=request, request__subject__in=rows_of(subject))
    return found.defer("content_sealed").first()


def provided_by(subject: Subject, at: datetime) -> dict[str, Any]:
    """Return what a person gave, to take elsewhere (Art. 20): who they are, and where it went.

    What they decided comes beside it, with receipts. Raises `SubjectErasedError` and
    `SubjectUnregisteredError`.
    """
    named = [
        {"scheme": scheme, "value": value}
        for row in Subject.objects.filter(pk__in=rows_of(subject)).order_by("pk")
        for scheme, value in subjects.clear_identifiers(row)
    ]
    return {
        "format": FORMAT,
        "as_of": at,
        "controller": asdict(receipts.controller()),
        "person": {"subject": str(subject.uuid), "identifiers": named},
        "datasets": [_holding(each) for each in portal.holdings(subject)],
    }


def known_of(subject: Subject, at: datetime, derived: Derivations) -> dict[str, Any]:
    """Return all that is known of a person, with sources, purposes, models and requests.

    ``derived`` may hold them, too. Raises `SubjectErasedError` and `SubjectUnregisteredError`.
    """
    return {
        **provided_by(subject, at),
        "derived_datasets": [_derived(each) for each in derived.found],
        "derived_datasets_not_named": _not_named(derived),
        "recipients": [{"name": each.name} for each in recipients.holding_data_of(subject)],
        "models": [_use(each) for each in portal.model_uses(subject)],
        "purposes": [_position(each) for each in portal.positions(subject, at)],
        "policies": [
            {
                "policy": version.policy.key, "version": version.number, "title": version.title,
                "asks": [
                    line for each in demands_of_published(version.rules)
                    for line in each.sentences()
                ],
            }
            for version in policies_in_force(at)
        ],
        "requests": [
            {
                "request": str(each.request.uuid), "kind": each.request.kind,
                "state": str(each.state), "received_at": each.request.received_at,
                "completed_at": each.completed_at,
            }
            for each in portal.requests_of(subject)
        ],
    }  # fmt: skip


def _holding(held: Holding) -> dict[str, Any]:
    dataset = held.dataset
    told = {"since": held.since, "until": held.until, "known_from": _sources(dataset)}
    return {**_named(dataset), **told}


def _derived(found: Derived) -> dict[str, Any]:
    return {
        **_named(found.dataset), "certainty": str(Certainty.INFERRED),
        "made_from": [
            {"namespace": each.namespace, "name": each.name} for each in found.made_from
        ],
    }  # fmt: skip


def _not_named(derived: Derivations) -> dict[str, Any] | None:
    why = words.why_fewer(more=derived.more, truncated=derived.truncated)
    ask = words.whom_to_ask(asdict(receipts.controller()))
    return {"code": words.CUT, "count": derived.more, "why": why, "ask": ask} if why else None


def _named(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": str(dataset.uuid), "namespace": dataset.namespace, "name": dataset.name,
        "description": dataset.description, "categories": list(dataset.categories),
        "storage": dataset.storage.name if dataset.storage else None,
    }  # fmt: skip


def _sources(dataset: Dataset) -> list[dict[str, Any]]:
    """Return who told that people are in a data set, the latest first (Art. 15(1)(g))."""
    told = Manifest.objects.filter(dataset=dataset).select_related("received_from")
    return [
        {
            "list_received_at": each.received_at,
            "from": each.received_from.name if each.received_from else "this service",
        }
        for each in told.order_by("-received_at", "-pk")[: words.MOST_SOURCES]
    ]


def _use(told: ModelUse) -> dict[str, Any]:
    made = told.use.model_version
    return {
        "namespace": made.model.dataset.namespace, "name": made.model.dataset.name,
        "version": made.version.declared, "trained_at": made.version.complete_at,
        "training": told.state.name.lower(), "certainty": str(told.use.certainty),
        "way": [step.name for step in told.way],
    }  # fmt: skip


def _position(position: Position) -> dict[str, Any]:
    purpose, decision = position.purpose, position.decision
    return {
        "purpose": purpose.key, "title": purpose.title, "dpv": purpose.dpv_iri,
        "legal_basis": purpose.legal_basis, "standing": str(position.standing),
        "permitted": position.permitted,
        "decided_at": decision.decided_at if decision else None,
    }  # fmt: skip
