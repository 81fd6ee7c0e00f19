"""Addresses of rights requests."""

from django.urls import path

from consent.api import deciding, requests

urlpatterns = [
    path("requests", requests.Requests.as_view()),
    path("requests/<uuid:uuid>", requests.RequestStanding.as_view()),
    path("requests/<uuid:uuid>/identity", requests.RequestIdentity.as_view()),
    path("requests/<uuid:uuid>/extension", deciding.Extension.as_view()),
    path("requests/<uuid:uuid>/pause", deciding.Pause.as_view()),
    path("requests/<uuid:uuid>/resume", deciding.Resume.as_view()),
    path("requests/<uuid:uuid>/refusal", deciding.Refusal.as_view()),
    path("requests/<uuid:uuid>/correction", deciding.Correction.as_view()),
    path("requests/<uuid:uuid>/lifting-notice", deciding.LiftingNotice.as_view()),
    path("requests/<uuid:uuid>/lifting", deciding.Lifting.as_view()),
    path("requests/<uuid:uuid>/certificate", requests.RequestCertificate.as_view()),
    path("requests/<uuid:uuid>/steps/<uuid:step>", requests.RequestStep.as_view()),
]
