"""The embedded servers, started, joined, killed and stopped for real."""

import base64
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psycopg
import pytest
import redis

from deploy.devstack import DevstackError, Endpoints
from deploy.devstack.keeper import Keeper
from deploy.processes import Program

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "REDIS_URL", "COLOPHON_MASTER_KEY")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OURS}
HOLD = """
import json, os, pathlib, sys
from deploy.devstack import DevstackError, servers
try:
    with servers(pathlib.Path(sys.argv[1]), os.environ) as environment:
        print(json.dumps({name: environment[name] for name in sys.argv[2:]}), flush=True)
        sys.stdin.read()
except DevstackError as error:
    sys.exit(str(error))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


class Holder:
    """Another process that holds the servers of a state until it is told to leave."""

    def __init__(self, state, **variables):
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(state), *OURS],
            cwd=ROOT,
            env=ENVIRONMENT | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        told = self._process.stdout.readline()
        if not told:
            self.complaint = self._process.communicate()[1]
            return
        addresses = json.loads(told)
        self.complaint = ""
        self.database, self.redis, self.key = (addresses[name] for name in OURS)

    def sql(self, query):
        with psycopg.connect(self.database, autocommit=True) as session:
            cursor = session.execute(query)
            return cursor.fetchall() if cursor.description else None

    def valkey(self):
        return contextlib.closing(redis.Redis.from_url(self.redis, decode_responses=True))

    def leave(self):
        self._process.communicate(timeout=30)
        return self._process.returncode

    def signal_group(self, number):
        os.killpg(self._process.pid, number)
        self._process.communicate(timeout=30)

    def close(self):
        if self._process.poll() is None:
            self.leave()


@pytest.fixture(scope="module")
def above():
    """A directory that the account of PostgreSQL can pass, unlike pytest's own."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="colophon-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def used_once(above):
    holder = Holder(above / "used-once")
    assert holder.leave() == 0
    return above / "used-once"


@pytest.fixture
def state(above, used_once):
    """A state whose servers have been made and stopped; a copy is quicker than a new one."""
    copy = above / secrets.token_hex(4)
    subprocess.run(["cp", "-a", str(used_once), str(copy)], check=True)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def hold():
    with contextlib.ExitStack() as stack:

        def start(state, **variables):
            holder = Holder(state, **variables)
            stack.callback(holder.close)
            return holder

        yield start


def processes_in(state):
    """The server processes, zombies excepted, that work in a directory of the state."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink().is_relative_to(state.resolve()):
                    found.append(int(entry.name))
    return found


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_the_servers_answer_where_it_is_said_and_leave_no_process_behind(above, hold):
    state = above / "new"
    holder = hold(state)
    settings = "fsync", "listen_addresses", "TimeZone"
    shown = [holder.sql(f"SHOW {name}")[0][0] for name in settings]
    assert shown == ["on", "", "UTC"]
    assert holder.sql("SELECT current_database(), lower('Ä') = 'ä'") == [("colophon", True)]
    with holder.valkey() as valkey:
        assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert valkey.config_get("append*")["appendfsync"] == "everysec"
    assert len(base64.b64decode(holder.key)) == 32
    assert (state / "master.key").stat().st_mode & 0o777 == 0o600
    assert len(processes_in(state)) > 2
    assert holder.leave() == 0
    assert processes_in(state) == []
    assert not (state / "endpoints.json").exists()


def test_a_second_process_joins_the_running_servers_and_leaves_them_running(state, hold):
    first = hold(state)
    pids = Endpoints.read(state)
    second = hold(state)
    assert (second.database, second.redis, second.key) == (first.database, first.redis, first.key)
    second.sql("CREATE TABLE shared (fact int)")
    assert second.leave() == 0
    assert first.sql("SELECT count(*) FROM shared") == [(0,)]
    assert Endpoints.read(state) == pids


def test_a_killed_postgres_comes_back_at_its_address_with_what_was_committed(state, hold):
    holder = hold(state)
    holder.sql("CREATE TABLE kept AS SELECT 7 AS fact")
    killed = Endpoints.read(state).postgres
    busy = psycopg.connect(holder.database)  # a session that the dead server leaves behind
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: Endpoints.read(state).postgres.pid != killed.pid)
    busy.close()
    assert Endpoints.read(state).postgres.url == killed.url
    assert holder.sql("SELECT fact FROM kept") == [(7,)]


def test_a_killed_valkey_comes_back_with_what_is_older_than_a_second(state, hold):
    holder = hold(state)
    with holder.valkey() as valkey:
        valkey.set("kept", "7")
        assert valkey.execute_command("WAITAOF", 1, 0, 5000) == [1, 0]  # appendfsync everysec
    killed = Endpoints.read(state).valkey
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: Endpoints.read(state).valkey.pid != killed.pid)
    with holder.valkey() as valkey:
        assert valkey.get("kept") == "7"


def test_servers_of_a_killed_supervisor_end_and_the_next_one_has_their_data(state, hold):
    first = hold(state)
    first.sql("CREATE TABLE kept AS SELECT 7 AS fact")
    with first.valkey() as valkey:
        valkey.set("kept", "7")
    first.signal_group(signal.SIGKILL)
    assert (state / "endpoints.json").exists()  # stale: nobody was left to remove it
    second = hold(state)  # at once: the servers may be stopping still
    assert second.sql("SELECT fact FROM kept") == [(7,)]
    with second.valkey() as valkey:
        assert valkey.get("kept") == "7"
    assert second.key == first.key
    assert second.leave() == 0
    assert processes_in(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_process_group_stops_the_servers_in_order(state, hold, number):
    holder = hold(state)
    holder.signal_group(number)
    eventually(lambda: processes_in(state) == [])
    log = (state / "postgres" / "postgres.log").read_text()
    assert log.rstrip().endswith("database system is shut down")
    assert "User requested shutdown" in (state / "valkey" / "valkey.log").read_text() or (
        "Received SIGTERM" in (state / "valkey" / "valkey.log").read_text()
    )


def test_a_long_path_with_spaces_and_commas_is_no_obstacle(above, hold):
    odd = above / "a checkout, of mine" / ("long" * 25) / "state"
    holder = hold(odd)
    assert holder.sql("SELECT 1") == [(1,)]
    with holder.valkey() as valkey:
        assert valkey.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_root_works_below_a_closed_home_and_opens_none_of_its_directories(above, hold):
    home = above / "home"
    home.mkdir()
    home.chmod(0o700)
    holder = hold(home / "state")
    try:
        assert holder.sql("SELECT 1") == [(1,)]
        assert home.stat().st_mode & 0o777 == 0o700
        assert holder.leave() == 0
    finally:
        shutil.rmtree((home / "state" / "postgres").resolve())


def test_a_server_that_cannot_start_shows_the_end_of_its_log_and_where_it_is(state, hold):
    assert hold(state).leave() == 0
    (state / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    complaint = hold(state).complaint
    assert str(state / "postgres" / "postgres.log") in complaint
    assert "database files are incompatible with server" in complaint
    assert processes_in(state) == []


def run_command(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "deploy", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_an_unreachable_database_is_named_by_its_variable_and_not_by_its_password():
    url = "postgresql://auditor:tell-nobody@127.0.0.1:1/books"
    done = run_command("manage", "check", DATABASE_URL=url)
    assert done.returncode == 2
    assert "DATABASE_URL is set" in done.stderr
    assert "host 127.0.0.1, port 1, database books" in done.stderr
    assert "tell-nobody" not in done.stderr + done.stdout


def test_an_unreachable_redis_is_named_by_its_variable_and_not_by_its_password():
    done = run_command("manage", "check", REDIS_URL="redis://:tell-nobody@127.0.0.1:1/0")
    assert done.returncode == 2
    assert "REDIS_URL is set" in done.stderr
    assert "host 127.0.0.1, port 1" in done.stderr
    assert "tell-nobody" not in done.stderr + done.stdout


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_an_address_that_cannot_be_read_is_not_repeated(variable):
    done = run_command("manage", "check", **{variable: "mailto:me:tell-nobody@host:port"})
    assert done.returncode == 2
    assert f"{variable} is not an address" in done.stderr
    assert "tell-nobody" not in done.stderr + done.stdout


def test_a_busy_port_is_noticed_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_command("up", "--port", str(port))
    assert (done.returncode, done.stderr) == (
        2,
        f"port {port} is in use: choose another with --port\n",
    )
    assert done.stdout == ""


def living(group):
    """The processes of a group that are not zombies."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            mode, _, leader = status.read_text().rpartition(")")[2].split()[:3]
            if mode != "Z" and int(leader) == group:
                found.append(int(status.parent.name))
    return found


def program(name, code, lines):
    command = [sys.executable, "-c", code]
    return Program(name, command, dict(os.environ), lambda *line: lines.append(line))


def test_a_killed_program_is_started_again_and_what_it_left_behind_is_ended():
    lines = []
    code = "import os, time; print(os.getpid()); os.fork(); time.sleep(60)"
    member = program("sweeper", code, lines)
    with Keeper([member], enduring=False):
        eventually(lambda: lines)
        first = member.pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: len(lines) > 1)
        assert lines == [("sweeper", str(first)), ("sweeper", str(member.pid))]
        assert (living(first), len(living(member.pid))) == ([], 2)
    eventually(lambda: living(member.pid) == [])  # killed, and gone as soon as the kernel can


def test_a_program_that_fails_three_times_at_once_stops_them_all():
    lines = []
    steady = program("web", "import time; time.sleep(60)", lines)
    failing = program("worker", "print('no settings'); raise SystemExit(3)", lines)
    with Keeper([failing, steady], enduring=False) as keeper:
        with pytest.raises(DevstackError, match="worker ended with status 3, the third time"):
            keeper.wait(10)
        assert steady.ended()
    assert lines == [("worker", "no settings")] * 3


SLOW_TO_STOP = """
import logging, os, pathlib, sys
from deploy.devstack.keeper import Keeper
from deploy.processes import Program
code = '''
import signal, sys, time
def leave(*_):
    time.sleep(1)
    sys.exit("stopped in order")
signal.signal(signal.SIGTERM, leave)
print("running", flush=True)
time.sleep(60)
'''
show = lambda name, line: print(line, flush=True)
with Keeper([Program("slow", [sys.executable, "-c", code], os.environ, show)], enduring=True) as it:
    it.wait()
"""


def test_a_second_interrupt_does_not_cut_the_stopping_short():
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_STOP],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "running\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert process.communicate(timeout=20)[0] == "stopped in order\n"
