"""What exists, under which rules, who may call, and the ledger of what happened."""

from governance.legal import LegalBasis
from governance.models.clients import ApiClient, ApiKey, Scope
from governance.models.ledger import (
    LedgerCheckpoint,
    LedgerEntry,
    LedgerHead,
    LedgerQueued,
    LedgerRecord,
    LedgerTile,
)
from governance.models.registry import Dataset, Model, Storage
from governance.models.rules import Policy, PolicyVersion, Purpose
from governance.models.signing import SigningKey
from governance.models.webhooks import (
    Sending,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    WebhookMessage,
    WebhookSecret,
)

__all__ = [
    "ApiClient",
    "ApiKey",
    "Dataset",
    "LedgerCheckpoint",
    "LedgerEntry",
    "LedgerHead",
    "LedgerQueued",
    "LedgerRecord",
    "LedgerTile",
    "LegalBasis",
    "Model",
    "Policy",
    "PolicyVersion",
    "Purpose",
    "Scope",
    "Sending",
    "SigningKey",
    "Storage",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookKind",
    "WebhookMessage",
    "WebhookSecret",
]
