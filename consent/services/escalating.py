"""Tell of model versions that are not made good in time: once before, and once after."""

from django.db import transaction

from consent.models import Escalation, Remediation
from consent.selectors import remedies
from consent.services.telling import record
from governance.models import WebhookKind
from governance.services import webhooks

_TOLD_AS = {
    Escalation.Kind.DUE_SOON: WebhookKind.REMEDIATION_DUE,
    Escalation.Kind.OVERDUE: WebhookKind.REMEDIATION_OVERDUE,
}


def escalate(*, limit: int) -> int:
    """Tell of what is due and was not told; return how many."""
    due = remedies.to_escalate(limit)
    late = Remediation.objects.select_related("request", "model_version").in_bulk(due)
    return sum(_tell(late[pk], kind) for pk, kind in due.items())


@transaction.atomic
def _tell(remediation: Remediation, kind: Escalation.Kind) -> int:
    _, created = Escalation.objects.get_or_create(remediation=remediation, kind=kind)
    if not created:
        return 0
    made, request = remediation.model_version, remediation.request
    facts = {"model_version": str(made.uuid), "request": str(request.uuid)}
    webhooks.announce(kind=_TOLD_AS[kind], facts=facts)
    record(request, f"remediation.{kind.value}", {"model_version": str(made.uuid)})
    return 1
