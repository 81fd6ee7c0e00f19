"""The schema of our own facet is public, unchanging, and what the SDK sends fits it."""

import json

import jsonschema
import pytest

from lineage.facets.warnings import warnings
from lineage.sdk.training import TrainingFacet

ADDRESS = "/api/v1/schemas/facets/1-0-0/ColophonTrainingRunFacet.json"


@pytest.mark.django_db
def test_anyone_may_read_it_and_keep_it(client):
    answer = client.get(ADDRESS)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/schema+json")
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["Access-Control-Allow-Origin"] == "*"
    again = client.get(ADDRESS, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [ADDRESS.replace("1-0-0", "9-9-9"), ADDRESS.replace("Training", "Other"),
     ADDRESS.replace("1-0-0", "..")],
)  # fmt: skip
def test_what_is_not_published_is_not_found(client, address):
    answer = client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.django_db
def test_what_the_sdk_sends_fits_and_a_wrong_shape_does_not(client):
    schema = json.loads(client.get(ADDRESS).content)
    jsonschema.Draft202012Validator.check_schema(schema)
    facet = TrainingFacet(purposes=["ai-training"], gateDecision="id", gateToken=None)
    said = {"_producer": "urn:x", "_schemaURL": "https://x.test" + ADDRESS,
            "purposes": facet.purposes, "gateDecision": facet.gateDecision,
            "gateToken": facet.gateToken}  # fmt: skip
    jsonschema.validate(said, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said | {"purposes": "ai-training"}, schema)


def test_a_sender_reads_back_that_the_facet_is_of_a_wrong_shape():
    facet = {"_producer": "urn:x", "_schemaURL": "urn:y", "purposes": "ai-training"}
    event = {"producer": "p", "schemaURL": "s", "eventTime": "2026-01-01T00:00:00Z",
             "run": {"runId": "0190a0b0-0000-7000-8000-000000000000",
                     "facets": {"colophon_training": facet}}}  # fmt: skip
    assert [(each["code"], each["where"]) for each in warnings(event)] == [
        ("facet_member_type", "run.facets.colophon_training.purposes")
    ]
    facet["purposes"] = ["ai-training"]
    assert warnings(event) == []
