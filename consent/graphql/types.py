"""Rights requests as auditors see them. Nobody is named, and no free text is shown.

A person is a pseudonym that is the same in all answers to one client and another in the answers
to the next, so that two engagements cannot be joined. Reasons are left out because people write
them; codes are shown.
"""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from datetime import datetime
from enum import Enum
from uuid import UUID

import graphene

from consent import models
from consent.selectors import requests
from consent.selectors.remedies import Remedied, RemedyState
from consent.selectors.requests import Standing
from consent.services import certificates
from governance import graphql as governance
from governance.crypto import keyed_digest
from governance.graphql import JSON, Info, Page, connection, enum_of, in_db, page_field, part_of
from governance.graphql.pages import page_of_list
from governance.keys import secret_for
from lineage import graphql as lineage
from lineage.graphql import loaders_of as of_lineage
from lineage.models import ModelVersion

STATES = {
    requests.RequestState.RECEIVED: "Received; the person's identity is not yet checked.",
    requests.RequestState.VERIFIED: "The person is who they say; neither planned nor answered yet.",
    requests.RequestState.REVIEW: "Planned; somebody has to approve it before data is touched.",
    requests.RequestState.REFUSED: "Refused, with a code.",
    requests.RequestState.ERASING: "A data set has no outcome yet.",
    requests.RequestState.VERIFYING: "All data sets are done; models or keys are not.",
    requests.RequestState.COMPLETED: "Answered, or every part has its outcome.",
    requests.RequestState.JOINED: "Joined to an earlier request, whose course is its own.",
}

REMEDIES = {
    RemedyState.OPEN: "The data is in it, and in use.",
    RemedyState.MITIGATED: "The data is in it; for a while it does not come out.",
    RemedyState.UNAPPROVED: "A measure waits for a second person.",
    RemedyState.RETIRING: "Declared retired, and still in use somewhere.",
    RemedyState.CLOSED: "Made good.",
}

PSEUDONYM = "A pseudonym of the person: the same in all answers to this client only."

RequestState = enum_of(
    requests.RequestState, "RequestState", "The stations of a request.", STATES.__getitem__
)


def _words(choice: Enum) -> str:
    return str(getattr(choice, "label", choice.value))


RequestKind = enum_of(models.RequestKind, "RequestKind", "What is asked for.", _words)
RequestSource = enum_of(models.RequestSource, "RequestSource", "Who opened a request.", _words)
StepState = enum_of(models.ErasureStep.State, "StepState", "Where a step stands.", _words)
StepOutcome = enum_of(models.ErasureStep.Outcome, "StepOutcome", "How a step ended.", _words)
RemediationOutcome = enum_of(
    models.Remediation.Outcome, "RemediationOutcome", "How a model was made good.", _words
)
RemediationState = enum_of(
    RemedyState, "RemediationState", "Where a model version stands.", REMEDIES.__getitem__
)


def pseudonym(*, client: UUID, subject: UUID) -> str:
    """Return what a person is called in the answers to one client."""
    engagement = keyed_digest(secret_for("auditor-pseudonym-v1"), client.bytes)
    return keyed_digest(engagement, subject.bytes).hex()


class ErasureStep(graphene.ObjectType):
    """One data set of a request."""

    id = graphene.UUID(required=True, source="uuid", description="The step's public id.")
    dataset = graphene.Field(governance.Dataset, required=True, description="Where to erase.")
    certainty = graphene.Field(
        lineage.Certainty, required=True, description="How it is known that the person is there."
    )
    state = graphene.Field(StepState, required=True, description="Where the step stands.")
    outcome = graphene.Field(StepOutcome, description="How it ended; nothing while it is open.")
    read_back = graphene.Boolean(
        required=True,
        description="Whether the outcome rests on a reading, and not on somebody's word.",
    )
    code = graphene.String(
        required=True, description="What stands in the way, or the exemption; empty for nothing."
    )
    attempts = graphene.Int(required=True, source="attempt", description="How often it was tried.")
    finished_at = graphene.DateTime(description="When it ended.")

    @staticmethod
    def resolve_outcome(step: models.ErasureStep, _info: Info) -> str | None:
        """Leave out what is not decided."""
        return step.outcome or None


class Remediation(graphene.ObjectType):
    """One affected model version of a request."""

    id = graphene.UUID(required=True, source="uuid", description="The remediation's public id.")
    model_version = graphene.Field(
        lineage.ModelVersion, required=True, description="The version that holds the data."
    )
    certainty = graphene.Field(
        lineage.Certainty, required=True, description="How it is known that it does."
    )
    state = graphene.Field(RemediationState, required=True, description="Where it stands.")
    due_at = graphene.DateTime(required=True, description="By when it is to be made good.")
    opened_at = graphene.DateTime(required=True, description="When it was found.")
    closed_at = graphene.DateTime(description="When it was made good.")
    outcome = graphene.Field(RemediationOutcome, description="How; nothing while it is open.")
    code = graphene.String(required=True, description="The exemption; empty for none.")
    closed_by = graphene.Field(
        lineage.ModelVersion, description="The later version that no longer holds the data."
    )

    @staticmethod
    def resolve_model_version(each: Remedied, info: Info) -> Awaitable[ModelVersion]:
        """Look it up with those of the other remediations."""
        return of_lineage(info).model_versions.load(each.model_version_id)

    @staticmethod
    def resolve_outcome(each: Remedied, _info: Info) -> str | None:
        """Leave out what is not decided."""
        return each.outcome or None

    @staticmethod
    def resolve_closed_by(each: Remedied, info: Info) -> Awaitable[ModelVersion] | None:
        """Look it up with those of the other remediations."""
        key = each.closed_by_id
        return None if key is None else of_lineage(info).model_versions.load(key)


ErasureStepConnection = connection(ErasureStep)
RemediationConnection = connection(Remediation)
OutstandingConnection = connection(graphene.String, "Outstanding")


class RequestEntry(graphene.ObjectType):
    """A line in the list of requests; what became of its parts is told by the request itself."""

    id = graphene.UUID(required=True, source="uuid", description="The request's public id.")
    subject = graphene.String(required=True, description=PSEUDONYM)
    kind = graphene.Field(RequestKind, required=True, description="What is asked for.")
    source = graphene.Field(RequestSource, required=True, description="Who opened it.")
    received_at = graphene.DateTime(required=True, description="When the clock began to run.")
    due_at = graphene.DateTime(required=True, description="By when the law wants it done.")
    verified_at = graphene.DateTime(description="When the person's identity was checked.")
    planned_at = graphene.DateTime(description="When its parts were written down.")
    refused_at = graphene.DateTime(description="When it was refused.")
    completed_at = graphene.DateTime(
        source="completion_recorded_at", description="When the ledger learned of its completion."
    )

    @staticmethod
    def resolve_subject(request: models.RightsRequest, info: Info) -> str:
        """Hide who it is."""
        return pseudonym(client=info.context.client.uuid, subject=request.subject.uuid)


class RightsRequest(graphene.ObjectType):
    """A person's request, the legal clock, and every part of what was done about it."""

    id = graphene.UUID(required=True, description="The request's public id.")
    subject = graphene.String(required=True, description=PSEUDONYM)
    kind = graphene.Field(RequestKind, required=True, description="What is asked for.")
    source = graphene.Field(RequestSource, required=True, description="Who opened it.")
    state = graphene.Field(RequestState, required=True, description="Where it stands.")
    received_at = graphene.DateTime(required=True, description="When the clock began to run.")
    due_at = graphene.DateTime(required=True, description="By when the law wants it done.")
    extended_at = graphene.DateTime(description="When the person was told that it takes longer.")
    completed_at = graphene.DateTime(description="When the last part ended, if all have.")
    keys_destroyed_at = graphene.DateTime(description="When the person's keys were destroyed.")
    refusal_code = graphene.String(required=True, description="Why it was refused; empty if not.")
    steps = page_field(ErasureStepConnection, "The data sets to erase from, sources first.")
    remediations = page_field(RemediationConnection, "The affected model versions.")
    outstanding = page_field(OutstandingConnection, "What keeps the request open, by name.")
    certificate = graphene.Field(
        JSON,
        required=True,
        description="What was erased and what is outstanding, with proofs; to read, and signed.",
    )

    @staticmethod
    def resolve_id(standing: Standing, _info: Info) -> str:
        """Read it off the request."""
        return str(standing.request.uuid)

    @staticmethod
    def resolve_subject(standing: Standing, info: Info) -> str:
        """Hide who it is."""
        return pseudonym(client=info.context.client.uuid, subject=standing.request.subject.uuid)

    @staticmethod
    def resolve_kind(standing: Standing, _info: Info) -> str:
        """Read it off the request."""
        return standing.request.kind

    @staticmethod
    def resolve_source(standing: Standing, _info: Info) -> str:
        """Read it off the request."""
        return standing.request.source

    @staticmethod
    def resolve_received_at(standing: Standing, _info: Info) -> datetime:
        """Read it off the request."""
        return standing.request.received_at

    @staticmethod
    def resolve_due_at(standing: Standing, _info: Info) -> datetime:
        """Read it off the request."""
        return standing.request.due_at

    @staticmethod
    def resolve_extended_at(standing: Standing, _info: Info) -> datetime | None:
        """Read it off the request."""
        return standing.request.extended_at

    @staticmethod
    def resolve_keys_destroyed_at(standing: Standing, _info: Info) -> datetime | None:
        """Read it off the request."""
        return standing.request.forgotten_at

    @staticmethod
    def resolve_refusal_code(standing: Standing, _info: Info) -> str:
        """Read it off the request."""
        return standing.request.refusal_code

    @staticmethod
    def resolve_steps(
        standing: Standing, _info: Info, first: int | None = None, after: str | None = None
    ) -> Page[models.ErasureStep]:
        """Cut what was read with the request."""
        part = part_of(f"request/{standing.request.uuid}/steps", first=first, after=after)
        return page_of_list(standing.steps, part, lambda step: step.pk)

    @staticmethod
    def resolve_remediations(
        standing: Standing, _info: Info, first: int | None = None, after: str | None = None
    ) -> Page[Remedied]:
        """Cut what was read with the request."""
        part = part_of(f"request/{standing.request.uuid}/remediations", first=first, after=after)
        return page_of_list(standing.remediations, part, lambda each: each.pk)

    @staticmethod
    def resolve_outstanding(
        standing: Standing, _info: Info, first: int | None = None, after: str | None = None
    ) -> Page[str]:
        """Cut what follows from the parts."""
        part = part_of(f"request/{standing.request.uuid}/outstanding", first=first, after=after)
        return page_of_list(standing.outstanding, part)

    @staticmethod
    def resolve_certificate(standing: Standing, _info: Info) -> Awaitable[object]:
        """Issue it as it stands now."""
        return in_db(lambda: certificates.issue(standing).as_json())()
