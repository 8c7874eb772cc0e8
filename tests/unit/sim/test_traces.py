from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from carbonsched.cli import simulate
from carbonsched.cli.common import Parser
from carbonsched.errors import RequestError
from carbonsched.sim.trace import TraceJob, read_trace

HOUR = 3600
SWF = """; Version: 2.2
; UnixStartTime: 1000000000
;
1 0 5 3600 16 -1 -1 16 7200 -1 1 3 1 1 1 1 -1 -1
2 60 5 0 16 -1 -1 16 7200 -1 0 3 1 1 1 1 -1 -1
3 30 5 90.5 8 -1 -1 -1 -1 -1 1 4 1 1 1 1 -1 -1
"""
SACCT = """State|Submit|JobID|NNodes|Elapsed|User|Timelimit|AllocCPUS
COMPLETED|2021-09-20T08:00:00|11|2|01:30:00|ada|02:00:00|64
COMPLETED|2021-09-20T08:00:00|11.batch|1|01:30:00|ada||32
CANCELLED by 7|2021-09-20T09:00:00|12|1|00:00:00|bob|UNLIMITED|32
TIMEOUT|2021-09-20T07:00:00|13_4|1|1-00:00:20|bob|1-00:00:00|32
COMPLETED|2021-09-20T10:00:00|11|4|02:05|ada|UNLIMITED|128
"""


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def written(tmp_path, name: str, text: str):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["jobs.swf", "jobs.SWF.gz"])
def test_the_standard_workload_format(tmp_path, name):
    jobs = read_trace(written(tmp_path, name, SWF))
    begun = 1_000_000_000
    assert jobs == [
        TraceJob(
            job_id="1", user="3", submit_at=begun, runtime_s=3600, requested_s=7200, nodes=None,
            cpus=16,
        ),
        TraceJob(
            job_id="3", user="4", submit_at=begun + 30, runtime_s=90, requested_s=None, nodes=None,
            cpus=8,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["jobs.txt", "jobs.txt.gz"])
def test_an_export_of_sacct_in_any_order_of_columns(tmp_path, name):
    jobs = read_trace(written(tmp_path, name, SACCT))
    assert [(job.job_id, job.user, job.nodes, job.cpus) for job in jobs] == [
        ("13_4", "bob", 1, 32),
        ("11", "ada", 2, 64),
        ("11#2", "ada", 4, 128),
    ]
    assert [job.runtime_s for job in jobs] == [86_420, 5400, 125]
    assert [job.requested_s for job in jobs] == [86_400, 7200, None]
    assert jobs[1].submit_at == seconds("2021-09-20 08:00")
    there = read_trace(tmp_path / name, ZoneInfo("Europe/Berlin"))
    assert there[1].submit_at == seconds("2021-09-20 06:00")


def test_raw_columns_are_seconds_and_minutes(tmp_path):
    text = "jobidraw,submit,elapsedraw,timelimitraw,alloccpus\n7,1632124800,60,30,4\n"
    (job,) = read_trace(written(tmp_path, "jobs.csv", text))
    assert (job.submit_at, job.runtime_s, job.requested_s) == (1_632_124_800, 60, 1800)
    assert (job.job_id, job.nodes, job.cpus) == ("7", None, 4)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"submit": [5], "run": [60], "procs": [16], "req_s": [90], "user": [3]},
            ("1", "3", 5, 60, 90, None, 16),
        ),
        (
            {"arrival_time": [0.5], "length": [2.0], "cpus": [2]},
            ("1", "", 1800, 7200, None, None, 2),
        ),
        (
            {
                "job_id": [9], "user": ["u"], "wallclock_req": [3600.0], "nodes_req": [10],
                "processors_req": [10], "submit_time": ["1970-01-01 00:01:00"],
                "run_time": [float(61)],
            },
            ("9", "u", 60, 61, 3600, 10, 10),
        ),
        (
            {
                "JobID": ["8"], "NCPUS": [4], "NNodes": [2], "Submit": [7], "ElapsedRaw": [5],
                "Start": [float("nan")],
            },
            ("8", "", 7, 5, None, 2, 4),
        ),
        (
            {"job": ["5"], "cpus": [20.0], "elapsed": ["00:00:29"], "start": ["1970-01-01T01:00"]},
            ("5", "", 3600, 29, None, None, 20),
        ),
    ],
)  # fmt: skip
def test_tables_of_public_traces(tmp_path, columns, expected):
    path = tmp_path / "jobs.parquet"
    pd.DataFrame(columns).to_parquet(path)
    (job,) = read_trace(path)
    assert expected == (
        job.job_id, job.user, job.submit_at, job.runtime_s, job.requested_s, job.nodes, job.cpus,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.swf", "1 2 3\n", "line 1 is not a job"),
        ("a.swf", "; nothing\n", "no job in it ever ran"),
        ("a.txt", "JobID|Submit|NNodes\n1|2|3\n", "no column ElapsedRaw; it has: jobid, submit"),
        ("a.csv", "Submit,Elapsed\n5,1:00\n", "no column NNodes"),
        ("a.csv", "x,y\n1,2\n", "no column Submit and no ElapsedRaw and no NNodes"),
        ("a.txt", "JobID|Submit|NNodes|Elapsed\n1|2|3|1:00|x\n", "line 2 has not the fields"),
        ("a.txt", "JobID|Submit|NNodes|Elapsed\n1|2|3\n", "line 2 has not the fields"),
        ("a.parquet", "PAR1 and no more", "not Parquet"),
        ("a.csv", "Submit,Elapsed,NNodes\n1632124800000,1:00,1\n", "seconds since 1970"),
        ("a.csv", "Submit,Elapsed,NNodes\n" + "9" * 200_000 + ",1:00,1\n", "torn or no text"),
        ("a.swf.gz", None, "readable trace"),
        ("none.swf", None, "No such file"),
    ],
)
def test_a_fault_in_a_trace_is_one_line(tmp_path, name, text, says):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    elif name.endswith(".gz"):
        path.write_text("not gzip at all")
    with pytest.raises(RequestError, match=says) as caught:
        read_trace(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_torn_archive_is_one_line(tmp_path):
    path = written(tmp_path, "a.swf.gz", SWF)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RequestError, match="torn or no text"):
        read_trace(path)


@pytest.fixture
def grid(tmp_path):
    """Ten days from 20 September 2021, clean at noon, forecast each day as it came."""
    begun = seconds("2021-09-20")
    actual, issued = io.StringIO("zone,basis,t,ci\n"), io.StringIO("zone,issued,valid,forecast\n")
    actual.seek(0, io.SEEK_END)
    issued.seek(0, io.SEEK_END)
    for hour in range(240):
        grams = 100 if 10 <= hour % 24 < 14 else 400
        at = datetime.fromtimestamp(begun + HOUR * hour, UTC).isoformat()
        actual.write(f"DE,direct,{at},{grams}\nDE,lifecycle,{at},{grams + 50}\n")
        day = datetime.fromtimestamp(begun + HOUR * (hour - hour % 24), UTC).isoformat()
        issued.write(f"DE,{day},{at},{grams}\n")
    (tmp_path / "actual.csv").write_text(actual.getvalue())
    (tmp_path / "forecasts.csv").write_text(issued.getvalue())
    return ["--zone", "DE", "--intensity", str(tmp_path / "actual.csv")]


def command(*arguments: str) -> int:
    parser = Parser(prog="carbonsched simulate")
    simulate.configure(parser)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)


def test_a_trace_is_simulated_and_its_assumptions_are_told(tmp_path, grid, capsys):
    path = written(tmp_path, "jobs.txt", SACCT)
    known = ["--forecasts", str(tmp_path / "forecasts.csv"), "--basis", "direct"]
    command("--trace", str(path), "--nodes", "3", *grid, *known, "--max-delay", "6.5", "--bound")
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "left out: 1 of 3 jobs, wider than 3 nodes",
        "request unknown: 1 of 3 jobs; taken as twice the run time, in half-hours",
        "assumed: 300 W for each node of a job, delays up to 6.5 h",
    ]
    lines = told.out.splitlines()
    assert lines[0] == "jobs: 2 jobs on 3 nodes in DE"
    # One node for 24 h and 20 s from 7:00, four hours of it clean; two from 8:00 to 9:30.
    kg = 0.3 * (20 * 0.4 + 4 * 0.1 + 20 / 3600 * 0.4) + 0.3 * 3 * 0.4
    assert float(lines[3].split()[1]) == pytest.approx(kg, abs=1e-3)


def test_a_trace_can_be_moved_and_cut(tmp_path, grid, capsys):
    path = written(tmp_path, "jobs.swf", SWF + "9 864000 5 60 8 -1 -1 -1 -1 -1 1 4 1 1 1 1 -1 -1\n")
    fixed = ["--trace", str(path), "--nodes", "2", "--cpus-per-node", "8", "--basis", "direct"]
    fixed += ["--policy", "immediate", *grid]
    with pytest.raises(RequestError, match=r"from 2001-09-09 to 2001-09-19.*--start"):
        command(*fixed)
    with pytest.raises(RequestError, match=r"to 2021-10-01, the intensity .* to 2021-09-30"):
        command(*fixed, "--start", "2021-09-21")
    command(*fixed, "--start", "2021-09-21", "--days", "1", "--out", str(tmp_path))
    told = capsys.readouterr()
    assert "no forecasts (--forecasts FILE)" in told.err
    first = (tmp_path / "schedule.csv").read_text().splitlines()[1]
    begun = seconds("2021-09-21 01:46:40")  # the hour of the trace
    assert first == f"1,main,{begun},{begun + 3600}"
    zone = ["--time-zone", "America/Los_Angeles"]  # 18:46:40 of the day before
    command(*fixed, "--start", "2021-09-21", "--days", "1", "--out", str(tmp_path), *zone)
    first = (tmp_path / "schedule.csv").read_text().splitlines()[1]
    assert first.split(",")[2] == str(seconds("2021-09-22 01:46:40"))


def test_what_is_missing_or_ambiguous_is_one_line(tmp_path, grid):
    path = written(tmp_path, "jobs.swf", SWF)
    moved = ["--trace", str(path), "--nodes", "2", "--start", "2021-09-20"]
    cases = [
        ([], "give a SCENARIO"),
        (["example", "--trace", str(path)], "give a SCENARIO"),
        (["--trace", str(path), "--nodes", "2"], "--zone, --intensity as well"),
        ([*moved, *grid], "several bases; --basis is one of direct, lifecycle"),
        ([*moved, *grid, "--zone", "ES"], "nothing about zone ES; it has: DE direct, DE lifecycle"),
        ([*moved, *grid, "--basis", "direct"], "every job is wider than 2 nodes"),
        ([*moved, *grid, "--start", "soon"], "must be a date"),
        ([*moved, *grid, "--time-zone", "Mars/Olympus"], "Europe/Berlin"),
        ([*moved, *grid, "--max-delay", "-1"], "from 0 to 8784"),
        ([*moved, *grid, "--power", "0"], "at least 1"),
    ]
    for arguments, says in cases:
        with pytest.raises(RequestError) as caught:
            command(*arguments)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
