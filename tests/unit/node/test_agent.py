"""The real agent as a process of its own, on trees shaped like /sys, /proc and the spool."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

import pytest

from carbonsched.cli import agent as agent_command
from carbonsched.epochs import EpochTracker
from carbonsched.model.energy import EnergySegment, PartKind
from carbonsched.model.epoch import EpochRecord

FIRST_UJ = 10**11
"""Of as many digits as any that follow."""
HOOKS = Path(__file__).parents[3] / "slurm"
# The agent's own command, but for the credential: no munged need run where tests do.
DRIVER = """
import http.client, json, sys
from urllib.parse import urlsplit
import carbonsched.cli.agent as command
from carbonsched.errors import DaemonError

class Plain:
    def __init__(self, site):
        self.address = urlsplit(site.daemon_url).netloc
    def post(self, path, document):
        connection = http.client.HTTPConnection(self.address, timeout=2)
        try:
            connection.request("POST", path, json.dumps(document).encode())
            return json.loads(connection.getresponse().read())
        except OSError as error:
            raise DaemonError(f"the daemon does not answer ({error})") from None
        finally:
            connection.close()

command._connect = Plain
sys.exit(command.main(sys.argv[1:]))
"""

# The same on a machine whose clock is set: a file says by how many nanoseconds it is off.
STEPPED = (
    """
import os, pathlib, time, types
import carbonsched.node.clock as clock

offset = pathlib.Path(os.environ["CLOCK_OFFSET"])
clock.time = types.SimpleNamespace(
    time_ns=lambda: time.time_ns() + int(offset.read_text()),
    clock_gettime_ns=time.clock_gettime_ns,
    CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
)
"""
    + DRIVER
)


class Daemon:
    """Keeps readings by their keys, as the ledger does, and every body it was sent."""

    def __init__(self):
        self.segments = {}
        self.epochs = {}
        self.contradictions = []
        self.ended = []
        self.present = None
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                daemon.take(body)
                answer = {"accepted": 1, "duplicates": 0, "refused": [], "ended": daemon.ended}
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def told_present(self):
        """The runs that the node said it has, in its last delivery."""
        return self.present or []

    def take(self, body):
        self.present = body["node"]["jobs"]
        for wire in body["segments"]:
            one = EnergySegment.from_wire(wire)
            if self.segments.setdefault(one.start_at, one) != one:
                self.contradictions.append(one)
        for wire in body["epochs"]:
            one = EpochRecord.from_wire(wire)
            self.epochs[one.epoch] = one

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Node:
    """A tree, an agent on it, and one job that uses CPU time: 100 J a CPU second, 0 W idle.

    A RAPL counter tells the energy, so what the agent has of it is known to the microjoule.
    """

    def __init__(self, tree, daemon):
        self.tree, self.daemon = tree, daemon
        tree.idle_w, tree.max_w, tree.port = 0, 800, daemon.server.server_port
        self.site = tree.site(sample_s=0.05, segment_s=1, delivery_s=0.1)
        self.cpu_ns = 0
        tree.zone("intel-rapl:0", "package-0", FIRST_UJ)
        self.counter = tree.sysfs / "class/powercap/intel-rapl:0/energy_uj"
        self.cgroup = tree.cpu_v1(7, 0)
        self.driver = DRIVER
        self.process = None
        self.log = tree.root / "agent.log"

    def start(self, *options):
        before = self.sampled_at()
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", self.driver, "--node", "n1", "--site", str(self.site),
                f"--path.sysfs={self.tree.sysfs}", f"--path.procfs={self.tree.procfs}",
                *options,
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        # Through a pipe, for the disk that the agent may not write to must not hold its log.
        threading.Thread(target=self.copy_log, args=(self.process.stderr,), daemon=True).start()
        self.until(lambda: self.sampled_at() != before)

    def copy_log(self, lines):
        with lines, self.log.open("ab") as log:
            for line in lines:
                log.write(line)
                log.flush()

    def sampled_at(self):
        try:
            return json.loads((self.tree.spool / "state.json").read_text())["last"]
        except (FileNotFoundError, ValueError):
            return None

    def work(self, seconds):
        """The job uses CPU time for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.cpu_ns += 7_654_321
            temporary = self.cgroup / "new"
            temporary.write_text(f"{self.cpu_ns}\n")
            temporary.replace(self.cgroup / "cpuacct.usage")
            with self.counter.open("r+b", buffering=0) as file:  # in place, as the kernel does
                file.write(b"%d\n" % (FIRST_UJ + self.used_uj))
            time.sleep(0.005)

    @property
    def used_uj(self):
        return self.cpu_ns // 10

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0

    def until(self, true):
        deadline = time.monotonic() + 15
        while not true():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)

    def check_sums(self):
        """What the daemon has and what the node still holds is what the job used, exactly."""
        state = json.loads((self.tree.spool / "state.json").read_text())["segments"]
        held = [cell[1] for one in state["open"] for tally in one["tallies"] for cell in tally[-1]]
        carried = [left[4] for left in state["carry"]]
        delivered = sum(one.total_j for one in self.daemon.segments.values())
        assert delivered * 1_000_000 + sum(carried) + sum(held) == self.used_uj
        assert not self.daemon.contradictions
        ordered = [self.daemon.segments[start] for start in sorted(self.daemon.segments)]
        for before, after in pairwise(ordered):
            assert before.end_at <= after.start_at


@pytest.fixture
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture
def node(tree, daemon):
    made = Node(tree, daemon)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def hook(name, spool, **variables):
    text = (HOOKS / name).read_text().replace("/var/spool/carbonsched", str(spool))
    script = spool / name
    script.write_text(text)
    environment = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7"} | variables
    subprocess.run(["sh", str(script)], env=environment, check=True, timeout=10)


def test_a_job_from_prolog_to_delivered_segments_and_epochs(node, daemon, monkeypatch):
    node.cgroup.joinpath("cpuacct.usage").unlink()
    node.cgroup.rmdir()
    node.start()
    spool = node.tree.spool.parent
    job = {
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_NODELIST": "n[1-2]",
        "SLURM_JOB_RESTART_COUNT": "1",
        "SLURM_JOB_CPUS_PER_NODE": "4(x2)",
    }
    hook("prolog.sh", spool, **job)
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    node.tree.process(os.getpid(), 7)
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    used = []
    for _ in EpochTracker(epochs=2):
        before = node.cpu_ns
        node.work(0.3)
        used.append(node.cpu_ns - before)
    hook("epilog.sh", spool, SLURM_JOB_EXIT_CODE="0", **job)
    node.until(lambda: not any((node.tree.spool / "events").iterdir()))
    node.until(lambda: daemon.segments)
    node.stop()
    node.check_sums()
    parts = [part for one in daemon.segments.values() for part in one.parts]
    assert {(one.job_id, one.restarts, one.uid) for one in parts if one.kind is PartKind.JOB} == {
        (7, 1, os.getuid())
    }
    assert sorted(daemon.epochs) == [1, 2]
    for number, cpu_ns in enumerate(used, start=1):
        record = daemon.epochs[number]
        assert record.epochs == 2
        assert abs(record.energy_millij - cpu_ns / 1e4) < 5_000
        assert 290 <= record.duration_ms < 2000
    assert not node.tree.socket.exists()


def test_many_ranks_make_one_epoch_each_and_nobody_marks_anothers_job(node, daemon, monkeypatch):
    node.start()
    spool = node.tree.spool.parent
    for job_id, uid in ((7, os.getuid()), (8, os.getuid() + 1)):
        variables = {"SLURM_JOB_UID": str(uid), "SLURM_NODELIST": "n1", "SLURM_JOB_ID": str(job_id)}
        hook("prolog.sh", spool, **variables, SLURM_JOB_CPUS_PER_NODE="4")
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    node.tree.process(os.getpid(), 8, uid=os.getuid() + 1)
    EpochTracker(epochs=3).epoch_start()  # in a job that is another user's
    node.work(0.2)
    node.tree.process(os.getpid(), 7, uid=os.getuid())
    ranks = [EpochTracker(epochs=3) for _ in range(64)]
    for _ in range(3):  # more marks at once than the node would meter in six seconds
        for rank in ranks:
            rank.epoch_start()
            time.sleep(0.001)
        node.work(0.2)
        for rank in ranks:
            rank.step()
            rank.epoch_end()
            time.sleep(0.001)
    node.until(lambda: len(daemon.epochs) == 3)
    node.stop()
    assert {(one.job_id, one.epochs, one.steps) for one in daemon.epochs.values()} == {(7, 3, 1)}
    for record in daemon.epochs.values():
        assert [one.duration_ms for one in record.parts] == [record.duration_ms]
    assert "marks ignored" in node.log.read_text()
    assert "1 marks ignored" in node.log.read_text()


def test_an_epoch_starts_when_it_was_marked_however_late_the_agent_comes_to_it(
    node, daemon, monkeypatch
):
    node.start()
    uid = str(os.getuid())
    variables = {"SLURM_JOB_UID": uid, "SLURM_NODELIST": "n1", "SLURM_JOB_CPUS_PER_NODE": "4"}
    hook("prolog.sh", node.tree.spool.parent, **variables)
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    node.tree.process(os.getpid(), 7)
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    tracker = EpochTracker(epochs=2)
    tracker.epoch_start()
    node.work(0.2)
    node.process.send_signal(signal.SIGSTOP)
    tracker.epoch_end()
    before_ms = time.time_ns() // 10**6
    tracker.epoch_start()
    after_ms = time.time_ns() // 10**6
    node.work(0.1)
    node.process.send_signal(signal.SIGCONT)
    for _ in range(2):
        node.work(0.1)
        tracker.step()
    tracker.epoch_end()
    node.until(lambda: sorted(daemon.epochs) == [1, 2])
    node.stop()
    assert before_ms <= daemon.epochs[2].started_ms <= after_ms
    assert len(daemon.epochs[2].parts) == 2


def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(node, daemon):
    dice = random.Random(4)
    node.start()
    for _ in range(6):
        node.work(0.1 + dice.random() * 0.5)
        node.kill()
        node.work(dice.random() * 0.1)
        node.start()
    node.work(0.3)
    node.stop()
    assert len(daemon.segments) >= 3
    node.check_sums()


def test_a_full_disk_is_outlived_without_losing_or_doubling(node, daemon):
    node.start()
    node.work(0.4)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    at = node.sampled_at()
    node.work(2.2)
    assert node.sampled_at() == at
    resource.prlimit(
        node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    node.until(lambda: node.sampled_at() != at)
    node.work(0.2)
    node.stop()
    assert len(daemon.segments) >= 2
    node.check_sums()
    lines = node.log.read_text().splitlines()
    assert len([line for line in lines if "cannot write" in line]) == 1
    assert len([line for line in lines if "can be written again" in line]) == 1


def test_a_full_disk_and_then_a_kill_recovers_from_the_counters(node, daemon):
    node.start()
    node.work(0.3)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    node.work(1.3)
    node.kill()
    node.start()
    node.stop()
    node.check_sums()


def test_a_damaged_state_does_not_stop_the_metering(node, daemon):
    node.start()
    node.kill()
    (node.tree.spool / "state.json").write_text('{"version": 1, "clu')
    node.start()
    node.stop()
    assert "kept as state.json.damaged" in node.log.read_text()


def test_a_second_agent_on_the_same_node_is_told(node, capsys):
    node.start()
    arguments = ["--node", "n1", "--site", str(node.site), f"--path.sysfs={node.tree.sysfs}"]
    assert agent_command.main(arguments) == 64
    assert "another agent is metering" in capsys.readouterr().err


def test_what_is_missing_is_one_line_with_its_status(tree, capsys):
    assert agent_command.main(["--site", str(tree.root / "none.json")]) == 78
    site = str(tree.site())
    assert agent_command.main(["--node", "x9", "--site", site, f"--path.sysfs={tree.sysfs}"]) == 69
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "config compile" in lines[0]
    assert "node x9 has no power meter" in lines[1]


@pytest.mark.parametrize(
    "setting",
    [{"sample_s": 0}, {"sample_s": "1"}, {"segment_s": 0}, {"segment_s": 1.5}, {"delivery_s": 0}],
)
def test_a_period_that_makes_no_sense_is_one_line(tree, capsys, setting):
    assert agent_command.main(["--node", "n1", "--site", str(tree.site(**setting))]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert f"agent.{next(iter(setting))} must be" in line


def test_users_may_mark_and_only_root_may_read_the_spool(node):
    node.start()
    assert stat.S_ISSOCK(node.tree.socket.stat().st_mode)
    assert node.tree.socket.stat().st_mode & 0o222 == 0o222
    for folder in ("events", "outbox", "rejected"):
        assert (node.tree.spool / folder).stat().st_mode & 0o777 == 0o700


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_prometheus_is_shown_the_same_joules(node, daemon):
    port = free_port()
    node.start(f"--metrics=127.0.0.1:{port}")
    node.work(0.4)
    drawn = 'carbonsched_node_energy_joules_total{domain="cpu",device="package-0"}'
    values = {}

    def scraped():
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        values.update(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        delivered = "carbonsched_last_delivery_timestamp_seconds" in values
        return delivered and float(values.get(drawn, 0)) == pytest.approx(node.used_uj / 1e6)

    node.until(scraped)
    consumed = [float(v) for k, v in values.items() if k.startswith("carbonsched_consumed_")]
    assert sum(consumed) == pytest.approx(node.used_uj / 1e6)
    assert float(values["carbonsched_samples_total"]) > 3
    assert float(values["carbonsched_last_delivery_timestamp_seconds"]) > time.time() - 60
    assert 'carbonsched_job_power_watts{job_id="7"}' in values
    failures = "carbonsched_meter_errors_total"
    assert {key: value for key, value in values.items() if key.startswith(failures)} == {
        f'{failures}{{meter="{key}"}}': "0"
        for key in ("cray", "gpu-hwmon", "hwmon", "nvml", "rapl")
    }
    node.stop()
    node.check_sums()


def test_while_the_meter_cannot_be_read_nothing_is_lost(node, daemon):
    node.start()
    node.work(0.3)
    text = node.counter.read_bytes()
    node.counter.write_text("nonsense\n")
    node.until(lambda: "the next reading covers this time too" in node.log.read_text())
    at = node.sampled_at()
    time.sleep(0.2)  # four samples
    assert node.sampled_at() == at
    node.counter.write_bytes(text)
    node.until(lambda: "the meter can be read again" in node.log.read_text())
    node.work(0.3)
    node.stop()
    node.check_sums()


def test_nothing_is_shown_if_the_site_says_so_and_the_option_says_no(node):
    port = free_port()
    node.site = node.tree.site(sample_s=0.05, segment_s=1, metrics=f"127.0.0.1:{port}")
    node.start("--no-metrics")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    node.stop()


def test_a_port_that_somebody_has_is_said_and_does_not_stop_the_metering(node):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        node.start(f"--metrics={address}")
        node.work(0.3)
        node.stop()
    node.check_sums()
    (line,) = [one for one in node.log.read_text().splitlines() if "agent.metrics" in one]
    assert f"{address}: Address already in use" in line
    assert line.endswith("metering goes on without /metrics")


def test_an_address_that_is_none_is_one_line(tree, capsys):
    arguments = ["--node", "n1", "--site", str(tree.site()), "--metrics=everywhere"]
    paths = [f"--path.sysfs={tree.sysfs}", f"--path.procfs={tree.procfs}"]
    assert agent_command.main([*arguments, *paths]) == 78
    assert "'everywhere' is not HOST:PORT" in capsys.readouterr().err.splitlines()[-1]


def test_a_job_over_by_slurms_record_is_closed_although_no_epilog_came(node, daemon):
    node.start()
    spool = node.tree.spool.parent
    hook("prolog.sh", spool, SLURM_JOB_UID="1000", SLURM_NODELIST="n1",
         SLURM_JOB_CPUS_PER_NODE="4")  # fmt: skip
    node.until(lambda: [7, 0] in daemon.told_present())
    (node.cgroup / "cpuacct.usage").unlink()
    node.cgroup.rmdir()
    daemon.ended = [[7, 0, int(time.time())]]
    node.until(lambda: daemon.told_present() == [])
    node.until(lambda: "has ended by Slurm's record" in node.log.read_text())
    node.stop()


def test_a_clock_that_is_set_while_the_agent_runs_and_while_it_does_not_costs_no_joule(
    node, daemon, monkeypatch
):
    offset = node.tree.root / "offset"
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))

    def set_clock(seconds):
        offset.with_suffix(".new").write_text(str(round(seconds * 1e9)))
        offset.with_suffix(".new").replace(offset)

    set_clock(0)
    node.driver = STEPPED
    node.start()
    for seconds in (3600, 3597.7, 3600.4, 3599):
        node.work(1.2)
        set_clock(seconds)
    node.work(1.2)
    node.kill()
    set_clock(3597)
    node.work(0.3)
    node.start()
    node.work(4)
    node.stop()
    node.check_sums()
    starts = sorted(daemon.segments)
    assert starts[-1] - starts[0] > 3590
    assert max(one.end_at - one.start_at for one in daemon.segments.values()) == 1
    assert "the clock went back by" in node.log.read_text()
