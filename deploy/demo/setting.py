"""The beginning: keys, rules, real patients, and what each of them says."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from deploy.demo import patients
from deploy.demo.announcing import Announcer, Name
from deploy.demo.doors import Api, at_once, issue_key
from deploy.demo.patients import COLUMN, TABLE, Patient
from deploy.demo.pipeline import Pipeline
from deploy.demo.stage import Story

KEYS = {
    "operator": ("registry:write", "registry:read"),
    "steward": ("consent:write", "consent:read", "requests:write", "requests:read"),
    "pipeline": ("lineage:write", "gate:ask", "consent:write", "audit:read"),
    "auditor": ("audit:read", "requests:read", "registry:read"),
}
RESEARCH = "https://w3id.org/dpv#AcademicResearch"
NOTICE = (
    "We would like to use your measurements to learn how diabetes goes on. You may say no, and "
    "you may take a yes back whenever you like."
)
POLICY = "Models of patients are trained on consent alone, and trained again without who leaves."


def issue_keys(story: Story) -> None:
    """Have an operator issue a key for each program, with the scopes that it needs."""
    with ThreadPoolExecutor(len(KEYS)) as pool:
        issued = dict(zip(KEYS, pool.map(lambda who: _issue(story, who), KEYS), strict=True))
    story.operator, story.steward, story.auditor = (
        Api(story.url, issued[who]) for who in ("operator", "steward", "auditor")
    )
    announcer = Announcer(story.url, issued["pipeline"], story.names.jobs)
    story.pipeline = Pipeline(
        Api(story.url, issued["pipeline"]), announcer, story.names, story.places, story.purpose,
        story.datasets,
    )  # fmt: skip
    story.teller.expect("keys issued", sorted(issued), sorted(KEYS))
    refused = story.auditor.client.post("purposes", json={})
    story.teller.expect(
        "the auditor's key may not make rules", refused.json()["code"], "scope_missing"
    )


def _issue(story: Story, who: str) -> str:
    namespaces = [f"{story.names.jobs}*", "shop-dbt"] if who == "pipeline" else []
    return issue_key(f"Demo {who}", KEYS[who], namespaces)


def make_rules(story: Story) -> None:
    """Register the purpose, publish the notice that people see and the policy that binds us."""
    made = story.operator.post(
        "purposes",
        {
            "key": story.purpose,
            "title": "Research on how diabetes goes on",
            "dpv_iri": RESEARCH,
            "legal_basis": "consent",
        },
    )
    story.teller.expect("legal basis", made["legal_basis"], "consent")
    draft = story.operator.post(
        "notices",
        {
            "key": f"diabetes-{story.run}",
            "language": "en",
            "title": "Your measurements and our research",
            "text": NOTICE,
            "purposes": [story.purpose],
        },
    )
    story.teller.expect("a draft is not published", draft["published_at"], None)
    published = story.operator.post(f"notices/{draft['uuid']}/publish")
    story.teller.expect("notice", (published["number"], published["text"]), (1, NOTICE))
    story.notice = published["uuid"]
    policy = f"training-{story.run}"
    story.operator.post("policies", {"key": policy, "title": "Training", "text": POLICY})
    version = story.operator.post(f"policies/{policy}/publish")
    story.teller.expect("policy", (version["number"], version["text"]), (1, POLICY))


def settle_in(story: Story) -> None:
    """Write real records into two databases, and register where they and their copies lie."""
    story.patients = patients.load(story.run)
    story.folder.mkdir(parents=True)
    story.places.create(story.patients)
    names, places = story.names, story.places
    for storage, kind, address in (
        ("hospital", "sql", places.hospital_address),
        ("registry", "sql", places.registry_address),
        ("lake", "files", str(places.lake)),
    ):
        named = f"demo-{story.run}-{storage}"
        story.operator.post("storages", {"name": named, "kind": kind, "address": address})
    for name, storage, location in (
        (names.measurements, "hospital", TABLE),
        (names.progression, "registry", places.registry_table),
        (names.raw, "lake", "raw/*.parquet"),
        (names.features, "lake", "features/*.parquet"),
    ):
        story.datasets[name] = _register(story, name, f"demo-{story.run}-{storage}", location)
    story.teller.expect("patients", len(story.patients), 442)
    story.teller.expect("data sets registered", len(story.datasets), 4)
    where = "PostgreSQL" if story.postgres else "SQLite, for want of DATABASE_URL"
    story.teller.say(f"Measurements lie in SQLite, outcomes a year later in {where}.")


def _register(story: Story, name: Name, storage: str, location: str) -> str:
    made = story.operator.post(
        "datasets",
        {
            "namespace": name[0],
            "name": name[1],
            "categories": ["health"],
            "storage": storage,
            "location": location,
            "subject_column": COLUMN,
            "subject_scheme": "email",
        },
    )
    return str(made["uuid"])


def hear_everybody(story: Story) -> None:
    """Record what each person says; who says nothing is not registered at all."""
    asked = [each for each in story.patients if not each.silent]
    with story.teller.progress("people registered, decisions recorded", len(asked)) as done:
        said = at_once(lambda each: _hear(story, each), asked, done)
    story.subjects = {each.number: subject for each, (subject, _) in zip(asked, said, strict=True)}
    kinds = [kind for _, kind in said]
    told = {kind: kinds.count(kind) for kind in ("given", "refused")}
    told["silent"] = len(story.patients) - len(asked)
    story.teller.expect("what people said", told, {"given": 414, "refused": 17, "silent": 11})


def _hear(story: Story, patient: Patient) -> tuple[str, str]:
    identifiers = [{"scheme": "email", "value": patient.email}]
    subject = str(story.steward.post("subjects", {"identifiers": identifiers})["uuid"])
    decision: dict[str, Any] = {
        "purpose": story.purpose,
        "kind": "given" if patient.agrees else "refused",
        "decided_at": datetime.now(UTC).isoformat(),
        "notice_version": story.notice,
    }
    key = {"Idempotency-Key": str(uuid.uuid4())}
    recorded = story.steward.post(f"subjects/{subject}/decisions", decision, **key)
    return subject, str(recorded["kind"])


def name_members(story: Story) -> None:
    """Say whose data lies in each table: one list as NDJSON, the other as CSV."""
    people = [each.email for each in story.patients]
    taken = story.pipeline.name_members(story.names.measurements, people)
    story.teller.expect("measurements, as NDJSON", (taken["rows"], taken["people"]), (442, 442))
    lines = "\r\n".join([COLUMN, *people]) + "\r\n"
    where = f"datasets/{story.datasets[story.names.progression]}/members"
    taken = story.pipeline.api.send(where, lines.encode(), "text/csv", mode="replace").json()
    story.teller.expect("outcomes, as CSV", (taken["rows"], taken["people"]), (442, 442))
