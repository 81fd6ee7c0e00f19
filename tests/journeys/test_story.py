"""The demonstration is a test: it checks its own answers and fails at the first wrong one."""

import re

import pytest

SAID = [
    "Real patients",
    "Which models used this data",
    "withdraws",
    "exactly one row is gone",
    "the whole ledger",
    "the certificate holds, offline",
    "one with a changed outcome is refused",
]


def test_the_whole_story_is_told_on_the_running_service(service):
    told = service.run("-m", "deploy.demo", "--url", service.url, "--workdir", str(service.folder))
    assert told.returncode == 0, f"{told.stdout}\n{service.log.read_text()[-4000:]}"
    for line in SAID:
        assert line in told.stdout
    assert re.search(r"(\d+) answers, all of them right", told.stdout)


def test_the_story_can_be_told_again_at_once(service):
    told = service.run("-m", "deploy.demo", "--url", service.url, "--workdir", str(service.folder))
    assert told.returncode == 0, f"{told.stdout}\n{service.log.read_text()[-4000:]}"


def test_a_story_without_a_service_says_so_and_fails(service):
    told = service.run(
        "-m", "deploy.demo", "--url", "http://127.0.0.1:9", "--workdir", str(service.folder)
    )
    assert told.returncode == 1
    assert "Traceback" not in told.stdout
    assert "http://127.0.0.1:9" in told.stdout


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_option(service, option):
    told = service.run("-m", "deploy.demo", option)
    assert told.returncode == 0
    for name in ("--url", "--workdir"):
        assert name in told.stdout
