"""Who has to be a person: a key tells of a client, which is a machine or a team."""

from typing import ClassVar

from consent.models import PlanApproval
from governance.errors import ColophonError


class PersonNeededError(ColophonError):
    """A key tells of a client, and not which person uses it: it is not one of two people."""

    code: ClassVar[str] = "approval_needs_a_person"
    status: ClassVar[int] = 403


def is_person(by: str) -> bool:
    """Say whether a name is that of somebody of the staff, who has signed in at the desk."""
    return by.startswith(PlanApproval.STAFF)
