"""Addresses of the portal. None ends with a slash, and none holds an identifier of a person."""

from django.urls import path

from consent.portal import erasing, following, me, packages, public, receipts, rights, sign_in

app_name = "portal"

urlpatterns = [
    path("", public.front, name="front"),
    path("policies", public.policies, name="policies"),
    path("policies/<slug:key>", public.policy, name="policy"),
    path("policies/<slug:key>/<int:number>", public.policy, name="policy-version"),
    path("sign-in", sign_in.ask, name="sign-in"),
    path("sign-in/code", sign_in.answer, name="code"),
    path("sign-out", sign_in.leave, name="sign-out"),
    path("me", me.overview, name="me"),
    path("me/decisions", me.decide, name="decide"),
    path("me/decisions.json", receipts.decisions_json, name="decisions-json"),
    path("me/erase", erasing.erase, name="erase"),
    path("me/rights", rights.choose, name="rights"),
    path("me/rights/lift", rights.lift, name="lift"),
    path("me/packages/<uuid:uuid>", packages.download, name="package"),
    path("requests/<uuid:uuid>", following.follow, name="request"),
    path("requests/<uuid:uuid>/certificate", following.certificate, name="certificate"),
    path(
        "requests/<uuid:uuid>/certificate.json", following.certificate_json,
        name="certificate-json",
    ),
]  # fmt: skip
