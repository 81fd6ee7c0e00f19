"""Addresses of the consent app; none ends in a slash, each list stands beside its views."""

from consent.api import (
    assessments,
    decisions,
    gate,
    membership,
    notice_answers,
    notices,
    receipts,
    recipients,
    remediations,
    request_urls,
    subjects,
)

urlpatterns = [
    *subjects.urlpatterns,
    *decisions.urlpatterns,
    *receipts.urlpatterns,
    *notices.urlpatterns,
    *membership.urlpatterns,
    *gate.urlpatterns,
    *request_urls.urlpatterns,
    *assessments.urlpatterns,
    *remediations.urlpatterns,
    *recipients.urlpatterns,
    *notice_answers.urlpatterns,
]
