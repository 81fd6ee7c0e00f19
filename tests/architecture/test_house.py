"""Rules of the house that a program can check."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.urls import get_resolver

ROOT = Path(__file__).parents[2]
APPS = ("governance", "lineage", "consent")
MODULES = [
    path
    for folder in (*APPS, "deploy")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]
OURS = [model for app in APPS for model in apps.get_app_config(app).get_models()]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_module_is_longer_than_400_lines():
    assert not [p.name for p in MODULES if len(p.read_text().splitlines()) > 400]


def test_no_function_is_longer_than_40_lines():
    long = [
        f"{path.relative_to(ROOT)}:{each.name}"
        for path in MODULES
        for each in functions(path)
        if (each.end_lineno or 0) - each.lineno + 1 > 40
    ]
    assert not long


def test_no_module_is_a_grab_bag():
    assert not {p.stem for p in MODULES} & {"utils", "helpers", "common", "misc"}


def test_nothing_listens_to_signals_or_works_inside_save():
    for path in MODULES:
        text = path.read_text()
        assert "django.dispatch" not in text, path
        assert "django.db.models.signals" not in text, path
        assert "save" not in [each.name for each in functions(path)], path


@pytest.mark.parametrize("model", OURS, ids=lambda m: m._meta.label)
def test_constraints_are_named_after_their_app(model):
    for constraint in model._meta.constraints:
        assert constraint.name.startswith(f"{model._meta.app_label}_")


@pytest.mark.parametrize("model", OURS, ids=lambda m: m._meta.label)
def test_a_link_to_another_app_has_no_way_back(model):
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey) and not field.auto_created:
            other = field.related_model._meta.app_label
            if other != model._meta.app_label and not isinstance(field, models.OneToOneField):
                assert field.remote_field.related_name == "+", field


def test_migrations_are_linear_and_reversible():
    graph = MigrationLoader(None).graph
    for app in APPS:
        assert len(graph.leaf_nodes(app)) == 1
        for key, migration in graph.nodes.items():
            if key[0] == app:
                assert all(operation.reversible for operation in migration.operations), key


def test_no_api_address_ends_in_a_slash():
    for pattern in get_resolver().url_patterns:
        if str(pattern.pattern).startswith("api/"):
            inner = getattr(pattern, "url_patterns", [])
            assert not [each for each in inner if str(each.pattern).endswith("/")]


def test_every_requirement_is_pinned_with_hashes_and_names_no_address():
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    pinned = re.findall(r"^[a-z0-9][\w.\-\[\]]*==", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(blocks) == len(pinned)
    assert all("--hash=sha256:" in block for block in blocks)


def test_no_committed_file_names_a_path_of_one_machine():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    here = f"{ROOT}/"
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.suffix not in {".ndjson", ".png"}:
            assert here not in path.read_text(errors="replace"), name


PLANTED = {
    "governance/models/planted.py": "import lineage.models",
    "lineage/selectors/planted.py": "import lineage.services.graph",
    "consent/services/planted.py": "import rest_framework.views",
}


@pytest.mark.parametrize("where", PLANTED)
def test_each_import_contract_fails_on_a_planted_violation(where, tmp_path):
    for folder in (*APPS, "deploy"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / where).write_text(PLANTED[where] + "\n")
    checker = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [checker, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 broken" in run.stdout
