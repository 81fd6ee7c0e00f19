"""Whose data it is, and what they allow."""

from consent.models.assessments import AssessmentDue, Unweighed, UseAssessment, Violation
from consent.models.decisions import (
    ConsentDecision,
    DecisionImport,
    Notice,
    NoticeVersion,
)
from consent.models.erasure import (
    ErasureBatch,
    ErasureStep,
    Remediation,
    RequestKind,
    RequestRecord,
    RequestSource,
    RightsRequest,
)
from consent.models.gate import GateDecision, GateInput
from consent.models.membership import (
    Manifest,
    MembershipBlock,
    MembershipChunk,
    MembershipSpan,
    Reappearance,
)
from consent.models.revivals import JournalLine, Revival
from consent.models.sign_in import SignInCode
from consent.models.standings import PurposeFold, PurposeStanding, StandingPending
from consent.models.subjects import Subject, SubjectIdentifier, SubjectKey, Tombstone

__all__ = [
    "AssessmentDue",
    "ConsentDecision",
    "DecisionImport",
    "ErasureBatch",
    "ErasureStep",
    "GateDecision",
    "GateInput",
    "JournalLine",
    "Manifest",
    "MembershipBlock",
    "MembershipChunk",
    "MembershipSpan",
    "Notice",
    "NoticeVersion",
    "PurposeFold",
    "PurposeStanding",
    "Reappearance",
    "Remediation",
    "RequestKind",
    "RequestRecord",
    "RequestSource",
    "Revival",
    "RightsRequest",
    "SignInCode",
    "StandingPending",
    "Subject",
    "SubjectIdentifier",
    "SubjectKey",
    "Tombstone",
    "Unweighed",
    "UseAssessment",
    "Violation",
]
