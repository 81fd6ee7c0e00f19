"""Every address of the service. API addresses have no trailing slash and never redirect."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from consent.desk import urls as desk
from consent.portal import urls as portal
from deploy.graphql import AuditorsView
from deploy.health import healthz
from governance.api.privacy_signal import gpc
from governance.api.signing_keys import jwks

urlpatterns = [
    path("healthz", healthz),
    path("api/v1/", include("lineage.api.urls")),
    path("api/v1/", include("consent.api.urls")),
    path("api/v1/", include("governance.api.urls")),
    path(".well-known/jwks.json", jwks),
    path(".well-known/gpc.json", gpc),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("graphql", AuditorsView.as_view()),
    path("admin/", admin.site.urls),
    path("desk", include(desk)),
    path("", include(portal)),
]

handler400 = "governance.api.problems.handler400"
handler403 = "governance.api.problems.handler403"
handler404 = "governance.api.problems.handler404"
handler500 = "governance.api.problems.handler500"
