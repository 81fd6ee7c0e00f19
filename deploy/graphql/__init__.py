"""The door for auditors: GraphQL over POST, by key, within limits, and never unrecorded."""

from deploy.graphql.view import AuditorsView

__all__ = ["AuditorsView"]
