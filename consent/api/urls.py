"""Addresses of the consent app; none ends in a slash, each list stands beside its views."""

from consent.api import (
    assessments,
    decisions,
    gate,
    membership,
    merges,
    notices,
    receipts,
    request_urls,
    subjects,
)

urlpatterns = [
    *subjects.urlpatterns,
    *merges.urlpatterns,
    *decisions.urlpatterns,
    *receipts.urlpatterns,
    *notices.urlpatterns,
    *membership.urlpatterns,
    *gate.urlpatterns,
    *request_urls.urlpatterns,
    *assessments.urlpatterns,
]
