"""Addresses of the lineage app; none ends in a slash."""

from django.urls import path

from lineage.api import (
    dead_letters,
    deployments,
    facet_schemas,
    facets,
    graph,
    ingest,
    questions,
    sources,
    transparency,
)

urlpatterns = [
    path("lineage", ingest.one),
    path("lineage/batch", ingest.batch),
    path("lineage/sources/<uuid:source>", ingest.signed),
    path("lineage/dead-letters", dead_letters.DeadLetters.as_view()),
    path("lineage/dead-letters/replay", dead_letters.Replay.as_view()),
    path("lineage/dead-letters/<uuid:event>", dead_letters.DeadLetter.as_view()),
    path("lineage/graph", graph.LineageGraph.as_view()),
    path("lineage/facets", facets.Facets.as_view()),
    path("schemas/facets/<str:version>/<str:name>.json", facet_schemas.facet_schema),
    path("sources", sources.Sources.as_view()),
    path("sources/<uuid:source>/secrets", sources.Secrets.as_view()),
    path("sources/<uuid:source>/secrets/<uuid:secret>", sources.Secret.as_view()),
    path("lineage/events/<uuid:event>", transparency.EventState.as_view()),
    path("lineage/columns", questions.ColumnsAround.as_view()),
    path("lineage/columns/tags", questions.TagArrivals.as_view()),
    *deployments.urlpatterns,
    path("search", questions.Search.as_view()),
    path("transparency/models/by-job", questions.ModelsByJob.as_view()),
    path("transparency/models/by-field", questions.ModelsByField.as_view()),
    path("transparency/models/by-owner", questions.ModelsByOwner.as_view()),
    path("transparency/models/by-tag", questions.ModelsByTag.as_view()),
    path("transparency/models/by-version", questions.ModelsByVersion.as_view()),
    path("transparency/impact", questions.ImpactOf.as_view()),
    path(
        "transparency/model-versions/<uuid:model_version>/changes",
        questions.ChangesSince.as_view(),
    ),
    path("transparency/models", transparency.ModelsUsing.as_view()),
    path(
        "transparency/model-versions/<uuid:model_version>/datasets",
        transparency.DatasetsIn.as_view(),
    ),
]
