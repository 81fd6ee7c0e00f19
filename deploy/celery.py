"""The Celery application: a carrier of ids; what is to be done stands in PostgreSQL."""

import os
from typing import Any

from celery import Celery, bootsteps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

application = Celery("colophon")
application.config_from_object("django.conf:settings", namespace="CELERY")
application.autodiscover_tasks(["governance", "lineage", "consent"])


class Ready(bootsteps.Step):
    """Refuse to start while people whom a backup brought back are not forgotten again."""

    def create(self, _worker: Any) -> None:
        """Look, before anything of the worker starts."""
        from deploy.starting import refuse_unless_ready

        refuse_unless_ready()


application.steps["worker"].add(Ready)
