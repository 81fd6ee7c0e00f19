"""Under which rules: purposes and policies."""

from typing import Any

from django.db import models
from django.db.models import Q

from governance.fields import public_id
from governance.legal import LegalBasis, SpecialBasis


class Purpose(models.Model):
    """What data may be used for; a tree, each node with its W3C DPV address.

    ``special_basis`` is the exception of Art. 9(2) by which special categories may be used for it;
    empty where only explicit consent would do.
    """

    uuid = public_id()
    key = models.SlugField(unique=True)
    title = models.TextField()
    dpv_iri = models.TextField()
    legal_basis = models.TextField(choices=LegalBasis.choices)
    special_basis = models.TextField(
        choices=SpecialBasis.choices, blank=True, default="", db_default=""
    )
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(legal_basis__in=LegalBasis.values),
                name="governance_purpose_legal_basis_known",
            ),
            models.CheckConstraint(
                condition=Q(special_basis__in=["", *SpecialBasis.values]),
                name="governance_purpose_special_basis_known",
            ),
            models.CheckConstraint(
                condition=Q(parent=None) | ~Q(parent=models.F("id")),
                name="governance_purpose_not_its_own_parent",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Policy(models.Model):
    """A rule that people can read; its text lives in versions."""

    uuid = public_id()
    key = models.SlugField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key


class PolicyVersion(models.Model):
    """One text of a policy; a draft until ``published_at``, of which a policy has at most one.

    Once it is published, a trigger refuses to change or delete it.
    """

    uuid = public_id()
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    title = models.TextField()
    text = models.TextField()
    rules: "models.JSONField[Any, Any]" = models.JSONField(default=dict, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "number"], name="governance_policyversion_number_once"
            ),
            models.UniqueConstraint(
                fields=["policy"],
                condition=Q(published_at=None),
                name="governance_policyversion_one_draft",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} {self.number}"
