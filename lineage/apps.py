"""The app's registration with Django."""

from django.apps import AppConfig


class LineageConfig(AppConfig):
    """What flowed where."""

    name = "lineage"
