"""The Celery application: a carrier of ids; what is to be done stands in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

application = Celery("colophon")
application.config_from_object("django.conf:settings", namespace="CELERY")
application.autodiscover_tasks(["governance", "lineage", "consent"])
