"""A short storm on every run of the tests; `make chaos` is the long one."""

import os
import subprocess

from deploy import programs

SMOKE = (
    "worker killed", "broker flushed", "broker killed", "database stopped in immediate mode",
    "sweeper killed",
)  # fmt: skip


def test_what_people_were_told_holds_after_a_storm():
    asked = ["--seconds", "12", "--people", "12", "--pause", "1.2", "--seed", "20261125"]
    for each in SMOKE:
        asked += ["--only", each]
    done = subprocess.run(
        programs.python("-m", "tests.faults.chaos", *asked), cwd=programs.ROOT,
        env=dict(os.environ), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert all(f"1 × {each}" in done.stdout or f"2 × {each}" in done.stdout for each in SMOKE)
    assert "acknowledged: {'erasure': 12, 'decision': 12" in done.stdout
