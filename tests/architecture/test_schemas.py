"""The schemas that others build on are complete, valid, and change only on purpose.

Renew the snapshots with ``sh deploy/run manage write_schemas``.
"""

import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from openapi_spec_validator import validate

from deploy.schemas import graphql_text, openapi_text

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


@pytest.mark.parametrize(
    ("name", "now"), [("openapi.json", openapi_text), ("schema.graphql", graphql_text)]
)
def test_the_schema_equals_its_snapshot(name, now):
    assert now() == (SNAPSHOTS / name).read_text()


def test_the_openapi_schema_is_valid():
    validate(json.loads(openapi_text()))


def test_the_openapi_schema_is_made_without_a_warning():
    told = io.StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json",
                 stdout=told, stderr=told)  # fmt: skip
    assert json.loads(told.getvalue())["info"]["title"] == "Colophon"
