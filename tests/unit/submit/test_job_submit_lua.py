"""The gate in slurmctld, run by the Lua interpreters that sites' slurmctld may be linked with."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[3] / "slurm" / "job_submit.lua"
NO_VAL = 4294967294

DRIVER = """
local log = {}
slurm = { SUCCESS = 0, ERROR = -1, ESLURM_ACCESS_DENIED = 2002, NO_VAL = 4294967294 }
function slurm.log_info(fmt, ...) io.write("log ", string.format(fmt, ...), "\\n") end
function slurm.log_user(fmt, ...) io.write("user ", string.format(fmt, ...), "\\n") end
local function write(text)
  local file = assert(io.open(QUOTA, "wb")); file:write(text); file:close()
end
dofile(PLUGIN_COPY)
local function submit(job, uid, parts)
  local rc = slurm_job_submit(job, parts or {}, uid or 1000)
  io.write("submit ", tostring(rc), " ", string.format("%d", job.begin_time or 0), " ",
    tostring(job.admin_comment), "\\n")
end
local function modify(job, rec, uid)
  io.write("modify ", tostring(slurm_job_modify(job, rec, {}, uid)), "\\n")
end
"""


@pytest.fixture(params=["lua5.1", "lua5.3"])
def gate(request, tmp_path):
    """Runs a piece of Lua against the plug-in and returns the lines it printed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    quota = tmp_path / "quota"
    copy = tmp_path / "job_submit.lua"
    line = 'local QUOTA_FILE = "/var/lib/carbonsched/quota"'
    text = PLUGIN.read_text(encoding="utf-8")
    assert text.count(line) == 1  # the line that an installer rewrites
    copy.write_text(text.replace(line, f"local QUOTA_FILE = {json.dumps(str(quota))}"))

    def run(body):
        names = f"QUOTA = {json.dumps(str(quota))}\nPLUGIN_COPY = {json.dumps(str(copy))}\n"
        (tmp_path / "driver.lua").write_text(names + DRIVER + body, encoding="utf-8")
        done = subprocess.run(
            [request.param, str(tmp_path / "driver.lua")],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    run.quota = quota
    return run


def snapshot(*lines, now=None, valid_s=600, end_s=86_400, rate=1000):
    now = int(time.time()) if now is None else now
    head = f"carbonsched-quota 1 {now} {now + valid_s} {now + end_s} {rate}"
    return "\n".join([head, *lines, "end", ""])


def test_within_its_quota_a_job_passes_untouched(gate):
    gate.quota.write_text(snapshot("user alice 1000 5000"))
    assert gate("submit({min_cpus=1, time_limit=60})") == ["submit 0 0 nil"]


def test_a_user_without_a_quota_passes(gate):
    gate.quota.write_text(snapshot("user alice 1000 0"))
    assert gate("submit({min_cpus=1}, 1001)") == ["submit 0 0 nil"]


def test_an_exhausted_user_waits_for_the_next_period(gate):
    now = int(time.time())
    gate.quota.write_text(snapshot("user alice 1000 0", now=now))
    lines = gate("submit({min_cpus=1, begin_time=0})")
    assert lines[0].startswith("user carbonsched: the carbon quota of user alice is used up")
    until = now + 86_400
    assert lines[1] == (
        f"submit 0 {until} carbonsched:quota the carbon quota of user alice is used up"
        f" (until={until})"
    )


def test_the_owners_own_begin_is_written_down(gate):
    now = int(time.time())
    gate.quota.write_text(snapshot("user alice 1000 -3", now=now))
    lines = gate(f"submit({{min_cpus=1, begin_time={now + 500}}})")
    assert f"carbonsched:quota begin={now + 500} the carbon quota" in lines[1]


def test_a_job_that_begins_in_the_next_period_anyway_is_left_alone(gate):
    now = int(time.time())
    gate.quota.write_text(snapshot("user alice 1000 0", now=now))
    begin = now + 100_000
    assert gate(f"submit({{begin_time={begin}}})") == [f"submit 0 {begin} nil"]


@pytest.mark.parametrize("field", ["account", "default_account"])
def test_an_exhausted_account_binds(gate, field):
    gate.quota.write_text(snapshot("account bio%2Fx - 0"))
    lines = gate(f'submit({{{field}="Bio/x"}})')
    assert "the carbon quota of account bio/x is used up" in lines[0]


def test_root_submitting_for_a_user_binds_that_user(gate):
    gate.quota.write_text(snapshot("user alice 1000 0"))
    assert len(gate("submit({user_id=1000}, 0)")) == 2


def test_the_tally_stops_a_burst_between_two_snapshots(gate):
    gate.quota.write_text(snapshot("user alice 1000 2500", rate=1000))
    lines = gate("for i = 1, 4 do submit({min_cpus=1, time_limit=60}) end")
    passed = [line for line in lines if line == "submit 0 0 nil"]
    assert len(passed) == 3  # 2500, 1500 and 500 mg remained before them


def test_a_newer_snapshot_resets_the_tally(gate):
    now = int(time.time())
    first = snapshot("user alice 1000 900", now=now)
    second = snapshot("user alice 1000 900", now=now + 1)
    gate.quota.write_text(first)
    job = "submit({min_cpus=1, time_limit=60})"
    lines = gate(f"{job} {job} write([[{second}]]) {job}")
    assert [line.startswith("submit 0 0") for line in lines if line.startswith("submit")] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("job", "weight"),
    [
        ("{min_cpus=4, time_limit=60}", 4),
        ("{num_tasks=3, cpus_per_task=2, time_limit=60}", 6),
        (f"{{min_cpus={NO_VAL}, num_tasks={NO_VAL}, cpus_per_task=65534, time_limit=60}}", 1),
        ("{min_nodes=2, ntasks_per_node=4, time_limit=60}", 8),
        ('{min_cpus=1, time_limit=60, array_inx="1-10%2,12"}', 11),
        ('{min_cpus=1, time_limit=60, array_inx="0-8:4"}', 3),
        ("{min_cpus=1}", 1),
        (f"{{min_cpus=1, time_limit={NO_VAL}}}", 1),
        ("{min_cpus=1, time_limit=120}", 2),
    ],
)
def test_how_much_a_submission_weighs(gate, job, weight):
    # With w - 1/2 grams remaining, one such job exhausts what remains; with w + 1/2 it does not.
    for remaining, second_passes in ((weight * 1000 - 500, False), (weight * 1000 + 500, True)):
        gate.quota.write_text(snapshot(f"user alice 1000 {remaining}", rate=1000))
        last = gate(f"submit({job}) submit({job})")[-1]
        assert last.startswith("submit 0 0 nil") is second_passes


def test_the_partitions_limit_stands_in_for_the_jobs(gate):
    parts = (
        "{main={flag_default=1, default_time=4294967294, max_time=240}, short={default_time=60}}"
    )
    for job, hours in (("{}", 4), ('{partition="short"}', 1), ('{partition="a,short"}', 1)):
        gate.quota.write_text(snapshot(f"user alice 1000 {hours * 1000}", rate=1000))
        lines = gate(f"submit({job}, 1000, {parts}) submit({job}, 1000, {parts})")
        assert lines[0] == "submit 0 0 nil"
        assert len(lines) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "cut off"),
        ("carbonsched-quota 1 1 2 3 4\nuser alice 1000 0\n", "cut off"),
        ("carbonsched-quota 2 1 9999999999 9999999999 4\nend\n", "does not know"),
        ("\x00\xff\nend\n", "does not know"),
        (snapshot("user alice 1000 0", now=1000), "older than it may be"),
    ],
)
def test_without_a_good_file_every_job_passes_and_the_log_says_so_once(gate, content, words):
    if content is not None:
        gate.quota.write_text(content, encoding="latin-1")
    lines = gate("submit({}) submit({})")
    assert lines[1:] == ["submit 0 0 nil"] * 2
    assert lines[0].startswith("log carbonsched: every job passes")
    assert words in lines[0]


def test_an_error_of_our_own_lets_the_job_pass(gate):
    gate.quota.write_text(snapshot("user alice 1000 5000"))
    lines = gate(
        "local job = setmetatable({}, {__index = function() error('boom') end})\n"
        "io.write('rc ', slurm_job_submit(job, nil, 1000), '\\n')"
    )
    assert "rc 0" in lines
    assert any("boom" in line for line in lines if line.startswith("log"))


def test_only_root_and_slurm_may_move_a_job_that_waits_for_its_quota_earlier(gate):
    rec = (
        '{admin_comment="carbonsched:quota the carbon quota of user alice is used up (until=500)"}'
    )
    lines = gate(
        f"modify({{begin_time=100}}, {rec}, 1000)\n"
        f"modify({{begin_time=600}}, {rec}, 1000)\n"
        f"modify({{begin_time=100}}, {rec}, 0)\n"
        f"modify({{begin_time=0, name='x'}}, {rec}, 1000)\n"
        "modify({begin_time=100}, {admin_comment='JS1:abc'}, 1000)\n"
        "modify({begin_time=100}, {}, 1000)\n"
    )
    assert lines[0] == (
        "user carbonsched: this job waits for its carbon quota's next period;"
        " ask an operator for a grant (carbonsched quota grant)"
    )
    assert lines[1:] == ["modify 2002", *["modify 0"] * 5]


def test_a_file_of_thousands_costs_slurmctld_little(gate):
    gate.quota.write_text(snapshot(*(f"user u{i} {i} 100000000" for i in range(10_000))))
    line = gate(
        "submit({min_cpus=1})\n"
        "local start = os.clock()\n"
        "for i = 1, 200 do slurm_job_submit({min_cpus=1, time_limit=1}, {}, 1000) end\n"
        "io.write('ms ', (os.clock() - start) * 5, '\\n')\n"
    )[-1]
    assert float(line.split()[1]) < 5
