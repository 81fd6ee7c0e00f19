"""Addresses of the lineage app; none ends in a slash."""

from django.urls import path

from lineage.api import ingest, transparency

urlpatterns = [
    path("lineage", ingest.one),
    path("lineage/batch", ingest.batch),
    path("lineage/events/<uuid:event>", transparency.EventState.as_view()),
    path("transparency/models", transparency.ModelsUsing.as_view()),
    path(
        "transparency/model-versions/<uuid:model_version>/datasets",
        transparency.DatasetsIn.as_view(),
    ),
]
