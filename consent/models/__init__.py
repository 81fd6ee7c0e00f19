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
)
from consent.models.gate import GateDecision, GateInput
from consent.models.identifier_keys import IdentifierKey
from consent.models.membership import (
    Manifest,
    MembershipBlock,
    MembershipChunk,
    MembershipSpan,
    Reappearance,
)
from consent.models.merges import SubjectMerge
from consent.models.packages import AccessPackage, CopyAssembly, CopyReading
from consent.models.plans import DryRun, ErasurePlan, PlanApproval, PlanRejection
from consent.models.recipients import (
    Disclosure,
    NoticeAnswer,
    Recipient,
    RecipientNotice,
    RecipientSecret,
)
from consent.models.remedies import Escalation, RemediationMeasure
from consent.models.requests import (
    ASKING,
    AT_ONCE,
    RequestKind,
    RequestLetter,
    RequestPause,
    RequestRecord,
    RequestSource,
    Restriction,
    RightsRequest,
)
from consent.models.revivals import JournalLine, Revival
from consent.models.scans import MembershipScan
from consent.models.sign_in import SignInCode
from consent.models.standings import PurposeFold, PurposeStanding, StandingPending
from consent.models.subjects import Subject, SubjectIdentifier, SubjectKey, Tombstone

__all__ = [
    "ASKING",
    "AT_ONCE",
    "AccessPackage",
    "AssessmentDue",
    "ConsentDecision",
    "CopyAssembly",
    "CopyReading",
    "DecisionImport",
    "Disclosure",
    "DryRun",
    "ErasureBatch",
    "ErasurePlan",
    "ErasureStep",
    "Escalation",
    "GateDecision",
    "GateInput",
    "IdentifierKey",
    "JournalLine",
    "Manifest",
    "MembershipBlock",
    "MembershipChunk",
    "MembershipScan",
    "MembershipSpan",
    "Notice",
    "NoticeAnswer",
    "NoticeVersion",
    "PlanApproval",
    "PlanRejection",
    "PurposeFold",
    "PurposeStanding",
    "Reappearance",
    "Recipient",
    "RecipientNotice",
    "RecipientSecret",
    "Remediation",
    "RemediationMeasure",
    "RequestKind",
    "RequestLetter",
    "RequestPause",
    "RequestRecord",
    "RequestSource",
    "Restriction",
    "Revival",
    "RightsRequest",
    "SignInCode",
    "StandingPending",
    "Subject",
    "SubjectIdentifier",
    "SubjectKey",
    "SubjectMerge",
    "Tombstone",
    "Unweighed",
    "UseAssessment",
    "Violation",
]
