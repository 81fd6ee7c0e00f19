"""The container files agree with each other and with the code; no container is started."""

import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from deploy import programs

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OUR_SERVICES = sorted(name for name, service in SERVICES.items() if "build" in service)


def instructions():
    """The Dockerfile as pairs of an instruction and its argument, continuations joined."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def arguments(name):
    return [argument for instruction, argument in instructions() if instruction == name]


def exec_form(name):
    (argument,) = arguments(name)
    return yaml.safe_load(argument)


def test_compose_runs_every_program_by_its_name():
    assert sorted(programs.PROGRAMS) == OUR_SERVICES
    for name in OUR_SERVICES:
        assert SERVICES[name]["command"][0] == name


def test_the_image_runs_the_module_that_knows_the_programs_and_web_by_default():
    assert exec_form("ENTRYPOINT") == ["python", "-m", programs.__name__]
    assert exec_form("CMD") == SERVICES["web"]["command"]


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_each_program_is_a_module_or_a_file_that_exists(name):
    interpreter, *rest = programs.PROGRAMS[name]("127.0.0.1", 8000)
    assert interpreter == sys.executable
    if "-m" in rest:
        assert importlib.util.find_spec(rest[rest.index("-m") + 1])
    else:
        assert pathlib.Path(rest[0]).samefile(ROOT / "manage.py")


def test_a_program_that_does_not_exist_is_refused_with_the_list_of_those_that_do():
    done = subprocess.run(
        [sys.executable, "-m", programs.__name__, "beat"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert all(name in done.stderr for name in programs.PROGRAMS)


def test_the_image_is_built_from_the_root_by_the_dockerfile_that_is_there():
    for name in OUR_SERVICES:
        build = SERVICES[name]["build"]
        context = ROOT / "deploy" / build["context"]
        assert context.samefile(ROOT)
        assert (context / build["dockerfile"]).samefile(ROOT / "deploy" / "Dockerfile")


def test_everything_the_image_copies_exists_and_nothing_is_copied_wholesale():
    sources = [source for copy in arguments("COPY") for source in shlex.split(copy)[:-1]]
    assert sources
    for source in sources:
        assert source not in {".", "./"}, "a checkout may hold keys and data"
        assert (ROOT / source).exists()


def test_the_image_installs_by_hash_and_does_not_run_as_root():
    (install,) = [command for command in arguments("RUN") if command.startswith("pip install")]
    assert "--require-hashes" in install
    assert "-r requirements.txt" in install
    (user,) = arguments("USER")
    assert user != "root"
    last_run = max(i for i, (name, _) in enumerate(instructions()) if name in {"RUN", "COPY"})
    assert instructions().index(("USER", user)) > last_run


def test_the_port_is_the_same_in_image_compose_and_programs():
    assert arguments("EXPOSE") == [str(programs.PORT)]
    (published,) = SERVICES["web"]["ports"]
    assert published.rpartition(":")[2] == str(programs.PORT)
    assert f":{programs.PORT}" in SERVICES["web"]["healthcheck"]["test"][-1]


def test_the_addresses_of_the_servers_name_services_that_are_waited_for():
    for name in OUR_SERVICES:
        environment = SERVICES[name]["environment"]
        hosts = {re.search(r"@(\w+):", environment["DATABASE_URL"])[1]}
        hosts.add(re.fullmatch(r"redis://(\w+):6379/0", environment["REDIS_URL"])[1])
        assert hosts == {"postgres", "valkey"}
        waits = SERVICES[name]["depends_on"]
        assert {waits[host]["condition"] for host in hosts} == {"service_healthy"}
        assert all("healthcheck" in SERVICES[host] for host in hosts)


def test_only_the_migrated_database_is_served():
    for name in ("web", "worker", "sweeper"):
        waits = SERVICES[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["restart"] == "no"


def test_what_must_outlive_the_database_lies_in_a_volume_of_its_own_that_the_image_can_write():
    for name in OUR_SERVICES:
        place = SERVICES[name]["environment"]["COLOPHON_JOURNAL_DIR"]
        assert SERVICES[name]["volumes"] == [f"journal:{place}"]
        made = [command for command in arguments("RUN") if command.endswith(place)]
        assert ["--owner=colophon" in each for each in made] == [True]
    assert "journal" in COMPOSE["volumes"]
    assert not any("journal" in each for each in SERVICES["postgres"]["volumes"])


def test_no_secret_has_a_default():
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    for secret in ("COLOPHON_MASTER_KEY", "POSTGRES_PASSWORD"):
        uses = re.findall(r"\$\{" + secret + r"(.{2})", text)
        assert uses
        assert set(uses) == {":?"}


def test_the_database_account_and_name_are_those_that_the_server_makes():
    made = SERVICES["postgres"]["environment"]
    address = SERVICES["web"]["environment"]["DATABASE_URL"]
    assert address.startswith(f"postgresql://{made['POSTGRES_USER']}:")
    assert address.endswith(f":5432/{made['POSTGRES_DB']}")


def test_the_health_check_of_the_web_container_is_code_that_compiles_and_imports():
    code = SERVICES["web"]["healthcheck"]["test"][-1]
    assert code.endswith('("http://127.0.0.1:8000", 3)')
    done = subprocess.run(
        [sys.executable, "-c", code.partition(";")[0]],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
