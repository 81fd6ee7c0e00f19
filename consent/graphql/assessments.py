"""What was concluded about trainings, as auditors see it. Nobody is named, no free text shown."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from enum import Enum
from uuid import UUID

import graphene
from django.db.models import QuerySet

from consent import models
from consent.selectors import assessments as selectors
from governance.graphql import Info, Page, connection, enum_of, in_db, page_field, part_of
from governance.graphql.pages import page_of_rows
from lineage import graphql as lineage
from lineage.graphql import loaders_of as of_lineage
from lineage.models import ModelVersion


def _words(choice: Enum) -> str:
    return str(getattr(choice, "label", choice.value))


Verdict = enum_of(models.UseAssessment.Verdict, "Verdict", "What a use was.", _words)
AssessmentReason = enum_of(
    models.UseAssessment.Reason, "AssessmentReason", "Why; never about people.", _words
)
Resolution = enum_of(
    models.Violation.Resolution, "Resolution", "How a violation was settled.", _words
)


class Assessment(graphene.ObjectType):
    """The conclusion about one training run that counts."""

    id = graphene.UUID(required=True, source="uuid", description="The conclusion's public id.")
    run = graphene.UUID(required=True, source="run_uuid", description="The run's public id.")
    number = graphene.Int(required=True, description="From 1; earlier ones were superseded.")
    model_version = graphene.Field(lineage.ModelVersion, description="What it made, if anything.")
    verdict = graphene.Field(Verdict, required=True, description="What the use was.")
    reasons = graphene.List(
        graphene.NonNull(AssessmentReason), required=True, description="Why it is not compliant."
    )
    purposes = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="What it declared."
    )
    gate_decision = graphene.UUID(description="The gate's answer that it named.")
    without_permission = graphene.Int(
        required=True, description="How many people had not permitted it when it read."
    )
    affected = graphene.Boolean(
        required=True, description="Somebody whose data it used does not permit the use any more."
    )
    read_at = graphene.DateTime(required=True, description="When it began to read.")
    assessed_at = graphene.DateTime(required=True, description="When this was concluded.")

    @staticmethod
    def resolve_model_version(
        each: models.UseAssessment, info: Info
    ) -> Awaitable[ModelVersion] | None:
        """Look it up with those of the others."""
        key = each.model_version_id
        return None if key is None else of_lineage(info).model_versions.load(key)

    @staticmethod
    def resolve_gate_decision(each: models.UseAssessment, _info: Info) -> UUID | None:
        """Read it off what was read with it."""
        return each.gate_decision.uuid if each.gate_decision else None

    @staticmethod
    def resolve_affected(each: models.UseAssessment, _info: Info) -> Awaitable[bool]:
        """Ask what people say now."""
        return in_db(lambda: each.pk in selectors.affected([each]))()


class Violation(graphene.ObjectType):
    """A use without permission, and what became of it."""

    id = graphene.UUID(required=True, source="uuid", description="The violation's public id.")
    assessment = graphene.Field(Assessment, required=True, description="What it rests on.")
    opened_at = graphene.DateTime(required=True, description="When it was found.")
    assigned_at = graphene.DateTime(description="When somebody was given it to settle.")
    resolved_at = graphene.DateTime(description="When it was settled or taken back.")
    resolution = graphene.Field(Resolution, description="How; nothing while it is open.")
    withdrawn_by = graphene.UUID(description="The later conclusion that it was none.")

    @staticmethod
    def resolve_resolution(each: models.Violation, _info: Info) -> str | None:
        """Leave out what is not decided."""
        return each.resolution or None

    @staticmethod
    def resolve_withdrawn_by(each: models.Violation, _info: Info) -> UUID | None:
        """Read it off what was read with it."""
        return each.withdrawn_by.uuid if each.withdrawn_by else None


class AssessmentQuery(graphene.ObjectType):
    """Conclusions about trainings."""

    assessments = page_field(
        connection(Assessment), "The conclusions that count, one a training.",
        verdict=graphene.Argument(Verdict, description="Only those of one verdict."),
    )  # fmt: skip
    assessment_of_run = graphene.Field(
        Assessment, description="The conclusion about one run; nothing while there is none.",
        run=graphene.UUID(required=True, description="The run's public id."),
    )  # fmt: skip
    violations = page_field(
        connection(Violation), "Uses without permission, in the order of their opening.",
        open_only=graphene.Boolean(default_value=False, description="Only what is not settled."),
    )  # fmt: skip

    @staticmethod
    def resolve_assessments(
        _root: None, _info: Info, verdict: str | None = None, first: int | None = None,
        after: str | None = None,
    ) -> Awaitable[Page[models.UseAssessment]]:  # fmt: skip
        """Read a page."""
        part = part_of(f"assessments/{verdict or ''}", first=first, after=after)
        return in_db(lambda: page_of_rows(_counting(verdict), part))()

    @staticmethod
    def resolve_assessment_of_run(
        _root: None, _info: Info, run: UUID
    ) -> Awaitable[models.UseAssessment | None]:
        """Look it up."""
        return in_db(lambda: selectors.counting().filter(run_uuid=run).first())()

    @staticmethod
    def resolve_violations(
        _root: None, _info: Info, open_only: bool, first: int | None = None,
        after: str | None = None,
    ) -> Awaitable[Page[models.Violation]]:  # fmt: skip
        """Read a page."""
        part = part_of(f"violations/{open_only}", first=first, after=after)
        return in_db(lambda: page_of_rows(selectors.violations(open_only=open_only), part))()


def _counting(verdict: str | None) -> "QuerySet[models.UseAssessment]":
    found = selectors.counting()
    return found.filter(verdict=verdict) if verdict else found
