"""Addresses of the consent app; none ends in a slash, each list stands beside its views."""

from consent.api import (
    assessments,
    decisions,
    gate,
    membership,
    notices,
    plans,
    receipts,
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
    *plans.urlpatterns,
    *assessments.urlpatterns,
]
