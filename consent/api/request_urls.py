"""Addresses of rights requests."""

from django.urls import path

from consent.api import requests

urlpatterns = [
    path("requests", requests.Requests.as_view()),
    path("requests/<uuid:uuid>", requests.RequestStanding.as_view()),
    path("requests/<uuid:uuid>/identity", requests.RequestIdentity.as_view()),
    path("requests/<uuid:uuid>/certificate", requests.RequestCertificate.as_view()),
    path("requests/<uuid:uuid>/steps/<uuid:step>", requests.RequestStep.as_view()),
    path("subjects/<uuid:uuid>/uses", requests.SubjectUses.as_view()),
]
