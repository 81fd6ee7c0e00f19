"""Renew the snapshots of the schemas."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from deploy.schemas import graphql_text, openapi_text


class Command(BaseCommand):
    """Write both schemas to a folder."""

    help = "Writes openapi.json and schema.graphql, by default over the snapshots of the tests."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", nargs="?", default="tests/snapshots", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "openapi.json").write_text(openapi_text())
        (folder / "schema.graphql").write_text(graphql_text())
        self.stdout.write(f"written to {folder}")
