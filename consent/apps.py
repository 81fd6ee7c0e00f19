"""The app's registration with Django."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """Whose data it is, and what they allow."""

    name = "consent"
