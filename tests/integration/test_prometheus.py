"""Debian's Prometheus against the agent: scraped, queried, alerted on. No cluster is needed."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

RULES = Path(__file__).resolve().parents[2] / "deploy/prometheus"
PROGRAMS = {name: shutil.which(name) for name in ("prometheus", "promtool")}
PATIENCE_S = 60
JOB = 71
pytestmark = pytest.mark.skipif(
    None in PROGRAMS.values(), reason="prometheus is not installed (Debian package prometheus)"
)


def promtool(*arguments, folder=RULES, **extra):
    return subprocess.run(
        [PROGRAMS["promtool"], *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False, **extra,
    )  # fmt: skip


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition, what):
    """What ``condition`` answers as soon as that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    pytest.fail(f"not within {PATIENCE_S} s: {what}")


@contextmanager
def running(arguments, log, stop=signal.SIGTERM):
    with log.open("ab") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


@dataclass
class Node:
    """A small tree in which one package counts, and a job that uses its CPUs."""

    root: Path
    port: int

    def __post_init__(self):
        self.spool = self.root / "spool"
        self.zone = self.root / "sys/class/powercap/intel-rapl:0"
        self.groups = self.root / "sys/fs/cgroup/cpuacct/slurm_n1"
        self.job = self.groups / f"uid_1000/job_{JOB}"
        for folder in (self.zone, self.root / "proc/sys/kernel/random", self.groups):
            folder.mkdir(parents=True)
        self.put(self.zone / "name", "package-0")
        self.put(self.zone / "max_energy_range_uj", 262_143_328_850)
        self.put(self.root / "proc/sys/kernel/random/boot_id", "boot-1")
        self.put(self.root / "site.json", json.dumps({
            "cluster": "lab",
            "daemon_url": "http://127.0.0.1:9",
            "agent": {
                "socket": str(self.root / "n1.sock"), "spool": str(self.spool),
                "sample_s": 0.2, "segment_s": 2, "delivery_s": 0.5,
            },
        }))  # fmt: skip
        self.energy_uj = 5_000_000
        self.advance(0, 0)

    @staticmethod
    def put(path, value):
        """Whole at once: nobody sees half a number."""
        new = path.with_suffix(".new")
        new.write_text(f"{value}\n")
        new.replace(path)

    def advance(self, energy_uj, job_ticks):
        """The counters after more energy and more CPU time of the job (the node is 2 CPUs)."""
        self.energy_uj += energy_uj
        if self.job.exists():
            used_ns = int((self.job / "cpuacct.usage").read_text()) + job_ticks * 10**7
            self.put(self.job / "cpuacct.usage", used_ns)
            self.put(self.groups / "cpuacct.usage", used_ns)
        self.put(self.root / "proc/stat", f"cpu  {job_ticks} 0 0 9 9 0 0 0 0 0\ncpu0 1\ncpu1 1")
        self.put(self.zone / "energy_uj", self.energy_uj)

    def begin(self):
        self.job.mkdir(parents=True)
        for folder in (self.job, self.groups):
            self.put(folder / "cpuacct.usage", 0)
        self.put(
            self.spool / f"events/begin.{JOB}.0.77",
            "uid=1000\nnodelist=n1\ncpus_per_node=2\nend",
        )

    def command(self):
        return [
            sys.executable, "-m", "carbonsched.cli.agent", "--node=n1",
            f"--site={self.root / 'site.json'}", f"--path.sysfs={self.root / 'sys'}",
            f"--path.procfs={self.root / 'proc'}", f"--metrics=127.0.0.1:{self.port}",
        ]  # fmt: skip

    def segments(self):
        return [json.loads(path.read_text()) for path in self.spool.glob("outbox/segment.*.json")]


@dataclass
class Prometheus:
    """Its HTTP API."""

    port: int

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def values(self, query):
        """Labels and value of each sample that a query has now."""
        data = self.get("query", query=query)
        return [
            (one["metric"], float(one["value"][1])) for one in (data or {"result": []})["result"]
        ]

    def value(self, query):
        found = self.values(query)
        return found[0][1] if len(found) == 1 else None


@contextmanager
def prometheus(folder, target):
    """A server of our own that scrapes one target, with the rules as they are given out."""
    folder.mkdir()
    for path in RULES.glob("*.yml"):
        shutil.copy(path, folder)
    text = (RULES / "prometheus.yml").read_text()
    text = text.replace('["n1:9797", "n2:9797"]', f'["127.0.0.1:{target}"]')
    assert str(target) in text
    (folder / "prometheus.yml").write_text(text.replace(": 15s", ": 200ms"))
    port = free_port()
    with running(
        [
            PROGRAMS["prometheus"], f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "log",
    ):  # fmt: skip
        yield Prometheus(port)


@pytest.fixture
def node(tmp_path):
    (tmp_path / "node").mkdir()
    return Node(tmp_path / "node", free_port())


def test_prometheus_shows_what_the_agent_metered(node, tmp_path):
    log = tmp_path / "agent.log"
    with prometheus(tmp_path / "prometheus", node.port) as server:
        with running(node.command(), log) as agent:
            until(lambda: server.value("carbonsched_samples_total >= 2"), log.read_text())
            node.begin()
            until(lambda: server.value("carbonsched_jobs") == 1, "the job is seen")
            for _ in range(10):
                node.advance(12_345_678, 30)
                time.sleep(0.25)  # about one sample each, so that there is power to be seen
            metered = "sum(carbonsched_node_energy_joules_total)"
            until(lambda: server.value(metered) == 123.45678, f"{metered} is 123.45678")
            consumed = "sum(carbonsched_consumed_energy_joules_total)"
            assert server.value(consumed) == pytest.approx(123.45678, abs=1e-6)
            jobs_j = server.value('carbonsched_consumed_energy_joules_total{by="jobs"}')
            assert jobs_j > 0
            highest = f'max_over_time(carbonsched_job_power_watts{{job_id="{JOB}"}}[1m])'
            assert server.value(highest) > 0
            until(lambda: server.value("carbonsched_spool_items >= 1"), "a segment waits")
            assert server.values("carbonsched_last_delivery_timestamp_seconds") == []
            assert server.value("carbonsched_rejected_items") == 0
            assert server.value("time() - carbonsched_last_sample_timestamp_seconds") < 10
            assert server.value("process_resident_memory_bytes{job='carbonsched'}") < 60e6
            about = server.values("carbonsched_meter_info")
            assert (about[0][0]["instance"], about[0][0]["node"]) == ("127.0.0.1", "n1")
            assert about[0][0]["meter"].startswith("rapl(package-0)")
            assert server.value("sum(carbonsched_sample_quality)") == 1
            joined = "carbonsched_meter_info * on (instance) group_left (quality) "
            assert len(server.values(f"{joined}(carbonsched_sample_quality == 1)")) == 1
            assert server.value('carbonsched_meter_errors_total{meter="nvml"}') == 0
            until(
                lambda: server.value("instance:carbonsched_power_watts:rate2m"),
                "the recording rule has power",
            )
            assert server.values('ALERTS{alertname="CarbonschedDoesNotAddUp"}') == []
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(30) == 0
        segments = node.segments()
        # Whole joules for each of job, idle and system; the agent keeps what is less.
        assert sum(one["total_j"] for one in segments) == pytest.approx(123.45678, abs=3)
        of_jobs = [
            part["energy_j"] for one in segments for part in one["parts"] if part["kind"] == "job"
        ]
        assert sum(of_jobs) == pytest.approx(jobs_j, abs=1)
        until(lambda: server.value('up{job="carbonsched"}') == 0, "the agent is down")
        until(
            lambda: server.values('ALERTS{alertname="CarbonschedAgentDown"}'),
            "the alert is pending",
        )


def test_what_the_agent_shows_has_no_fault_that_promtool_knows(node, tmp_path):
    log = tmp_path / "agent.log"
    with running(node.command(), log):
        node_url = f"http://127.0.0.1:{node.port}/metrics"

        def scrape():
            try:
                with urllib.request.urlopen(node_url, timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                return None
            return text if "carbonsched_node_energy_joules_total{" in text else None

        text = until(scrape, "the agent shows energy")
    done = promtool("check", "metrics", input=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    broken = promtool("check", "metrics", input=text.replace("_total", ""))
    assert broken.returncode != 0


def test_the_example_and_the_rules_are_right():
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "7 rules found" in checked.stdout
    assert "8 rules found" in checked.stdout
    tested = promtool("test", "rules", "carbonsched-tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("alerts", "> 1800", "> 180000"),
        ("alerts", "== 0", "== 2"),
        ("alerts", ") > 1\n", ") > 50\n"),
        ("rules", "without (domain, device)", "without (device)"),
        ("rules", "[1h]", "[2h]"),
    ],
)
def test_the_rules_tests_find_a_fault(tmp_path, name, right, wrong):
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)
    path = folder / f"carbonsched-{name}.yml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    assert promtool("test", "rules", "carbonsched-tests.yml", folder=folder).returncode == 1
