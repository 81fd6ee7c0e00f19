"""Making the rules: purposes, and policies that are drafted and then published for good."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import rfc8785
from django.db import transaction
from django.utils import timezone

from governance import iris
from governance.errors import ColophonError
from governance.models import LegalBasis, Policy, PolicyVersion, Purpose, WebhookKind
from governance.policy_rules import PolicyRulesUnusableError, demands
from governance.selectors.rules import StandardState, standard_purposes
from governance.services import ledger, webhooks
from governance.services.registry import Registered

MOST_LEVELS = 8


class PurposeKeyTakenError(ColophonError):
    """The key stands for another purpose; a purpose is never redefined under people's feet."""

    code = "purpose_key_taken"
    status = 409


class PurposeIriMalformedError(ColophonError):
    """What should say what is meant is no whole address: abbreviations are nobody else's."""

    code = "purpose_iri_malformed"
    status = 400


class PurposeTooDeepError(ColophonError):
    """So many purposes within each other are a mistake, and nobody could read them."""

    code = "purpose_too_deep"
    status = 422


class NoDraftError(ColophonError):
    """There is nothing to publish: the policy's last version is published already."""

    code = "policy_without_draft"
    status = 409


@transaction.atomic
def create_purpose(
    *,
    key: str,
    title: str,
    dpv_iri: str,
    legal_basis: str,
    special_basis: str = "",
    parent: Purpose | None = None,
) -> Registered[Purpose]:
    """Create a purpose once; the same facts again return it, others raise `PurposeKeyTakenError`.

    ``dpv_iri`` is the W3C DPV address of what is meant. A parent is given at creation and never
    changed, so the tree has no cycles. Raises `PurposeIriMalformedError` and
    `PurposeTooDeepError`.
    """
    if not iris.is_absolute(dpv_iri):
        raise PurposeIriMalformedError("write the address out: https://w3id.org/dpv#…, or a URN")
    _refuse_depth(parent)
    facts = {
        "title": title, "dpv_iri": dpv_iri, "legal_basis": legal_basis,
        "special_basis": special_basis, "parent": parent,
    }  # fmt: skip
    purpose, created = Purpose.objects.get_or_create(key=key, defaults=facts)
    if created:
        ledger.append(
            kind="purpose.created",
            facts={
                "purpose": str(purpose.uuid),
                "key": key,
                "title": title,
                "dpv_iri": dpv_iri,
                "legal_basis": str(legal_basis),
                "special_basis": str(special_basis),
                "parent": parent.key if parent else None,
            },
        )
    elif any(getattr(purpose, name) != value for name, value in facts.items()):
        raise PurposeKeyTakenError("this key stands for another purpose", key=key)
    return Registered(purpose, created=created)


@transaction.atomic
def add_standard_purposes(*, basis_of: Callable[[str], LegalBasis]) -> list[Purpose]:
    """Create the standard purposes that are missing and change none; return the new ones.

    ``basis_of`` gives the ground for a key. See `governance.selectors.rules.standard_purposes`.
    """
    made: list[Purpose] = []
    for planned in standard_purposes():
        if planned.state is StandardState.MISSING:
            said = planned.purpose
            parent = Purpose.objects.get(key=said.parent) if said.parent else None
            registered = create_purpose(
                key=said.key, title=said.title, dpv_iri=said.dpv_iri,
                legal_basis=basis_of(said.key).value, parent=parent,
            )  # fmt: skip
            made.append(registered.thing)
    return made


def _refuse_depth(parent: Purpose | None) -> None:
    levels, above = 1, parent
    while above is not None:
        levels, above = levels + 1, above.parent
    if levels > MOST_LEVELS:
        raise PurposeTooDeepError(f"at most {MOST_LEVELS} purposes stand within each other")


@transaction.atomic
def draft_policy(
    *, key: str, title: str, text: str, rules: Mapping[str, Any] | None = None
) -> PolicyVersion:
    """Write the next version of a policy, or rewrite it while it is a draft.

    The first draft brings the policy into being. Raises `PolicyRulesUnusableError`.
    """
    facts: dict[str, Any] = {"title": title, "text": text, "rules": dict(rules or {})}
    demands(facts["rules"])
    digest = _content_sha256(**facts)
    Policy.objects.get_or_create(key=key)
    policy = Policy.objects.select_for_update().get(key=key)
    last = policy.versions.order_by("number").last()
    if last and last.published_at is None:
        version = last
        for name, value in facts.items():
            setattr(version, name, value)
        version.save(update_fields=list(facts))
    else:
        version = policy.versions.create(number=last.number + 1 if last else 1, **facts)
    ledger.append(kind="policy.drafted", facts=_version_facts(version, digest))
    return version


@transaction.atomic
def publish_policy(*, policy: Policy) -> PolicyVersion:
    """Publish the draft of a policy; from then on nobody can change it. Raises `NoDraftError`."""
    Policy.objects.select_for_update().get(pk=policy.pk)
    version = policy.versions.select_related("policy").filter(published_at=None).first()
    if version is None:
        raise NoDraftError("this policy has no draft to publish", key=policy.key)
    version.published_at = timezone.now()
    version.save(update_fields=["published_at"])
    digest = _content_sha256(title=version.title, text=version.text, rules=version.rules)
    facts = _version_facts(version, digest)
    webhooks.announce(kind=WebhookKind.POLICY_PUBLISHED, facts=facts)
    ledger.append(kind="policy.published", facts=facts)
    return version


def _content_sha256(*, title: str, text: str, rules: dict[str, Any]) -> str:
    """Return the digest of a version's canonical JSON, which its readers can compute again."""
    try:
        content = rfc8785.dumps({"title": title, "text": text, "rules": rules})
    except rfc8785.CanonicalizationError:
        raise PolicyRulesUnusableError("a number in the rules is out of range") from None
    return hashlib.sha256(content).hexdigest()


def _version_facts(version: PolicyVersion, digest: str) -> dict[str, str | int]:
    return {
        "policy": version.policy.key,
        "version": str(version.uuid),
        "number": version.number,
        "content_sha256": digest,
    }
