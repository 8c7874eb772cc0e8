"""The agent as a process of its own, a daemon that takes what it sends, and Slurm's hooks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

from carbonsched.model.energy import EnergySegment
from carbonsched.model.epoch import EpochRecord

FIRST_UJ = 10**11
"""Of as many digits as any that follow."""
HOOKS = Path(__file__).parents[4] / "slurm"
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


def hook(name, spool, **variables):
    text = (HOOKS / name).read_text().replace("/var/spool/carbonsched", str(spool))
    script = spool / name
    script.write_text(text)
    environment = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7"} | variables
    subprocess.run(["sh", str(script)], env=environment, check=True, timeout=10)
