"""Addresses of the consent app; none ends in a slash, each list stands beside its views."""

from consent.api import (
    assessments,
    decisions,
    filtering,
    gate,
    membership,
    merges,
    notice_answers,
    notices,
    plans,
    receipts,
    recipients,
    remediations,
    request_urls,
    scans,
    subjects,
    uses,
)

urlpatterns = [
    *subjects.urlpatterns,
    *merges.urlpatterns,
    *decisions.urlpatterns,
    *receipts.urlpatterns,
    *notices.urlpatterns,
    *membership.urlpatterns,
    *scans.urlpatterns,
    *gate.urlpatterns,
    *filtering.urlpatterns,
    *request_urls.urlpatterns,
    *uses.urlpatterns,
    *plans.urlpatterns,
    *assessments.urlpatterns,
    *remediations.urlpatterns,
    *recipients.urlpatterns,
    *notice_answers.urlpatterns,
]
