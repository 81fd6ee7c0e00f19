"""The app's registration with Django."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """What exists, and under which rules."""

    name = "governance"
