"""A node's day without the daemon, and the daemon's return: how long, how much memory, what sum.

python tests/bench/catch_up.py [JOBS]. A spool is filled with a day of segments of JOBS jobs each
(640: many short jobs), and the agent's own delivery, in a process of its own, brings them to a real
daemon with a real ledger, by HTTP and with MUNGE. Then everything is put back and sent again, as an
agent does that was killed before it could remove what the daemon had taken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DAY_S = 86_400
SEGMENT_S = 300
PORT = 18_471
PATIENCE_S = 30.0
CONFIG = """\
site: {{name: Bench, time_zone: UTC, state_dir: {base}/state}}
daemon:
  url: "http://127.0.0.1:{port}"
  listen_host: 127.0.0.1
  listen_port: {port}
  munge_socket: {munge}
  quota_file: {base}/quota
clusters:
  - name: {cluster}
    zone: DE
    pue: 1.2
    nodes: [{{nodes: n1, cpus: 8, idle: 80 W, max: 240 W}}]
    slurm: {{bin_dir: {base}}}
zones:
  - name: DE
    providers: [{{kind: static, g_per_kwh: 380, source: a report, year: 2024}}]
"""


def main() -> int:
    """Fill, deliver, deliver again."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 640
    with tempfile.TemporaryDirectory(prefix="carbonsched-catch-up-", dir="/var/tmp") as name:
        spool = Path(name) / "spool"
        _fill(spool / "outbox", jobs)
        catch_up(spool, "bench", Path(name))
    return 0


def catch_up(spool: Path, cluster: str, base: Path) -> None:
    """Bring what a spool holds to a daemon, print what that took, and check the sums."""
    outbox, kept = spool / "outbox", base / "kept"
    shutil.copytree(outbox, kept)
    files = list(kept.glob("*.json"))
    told = [json.loads(path.read_bytes()) for path in kept.glob("segment.*.json")]
    drawn = (len(told), sum(one["total_j"] for one in told))
    size = sum(path.stat().st_size for path in files)
    _print(f"{len(files)} files, {size / 2**20:.1f} MiB, {drawn[0]} segments of {drawn[1]} J")
    with _daemon(base, cluster) as daemon:
        for title in ("first", "again"):
            shutil.copytree(kept, outbox, dirs_exist_ok=True)
            before = daemon.cpu_s()
            done = _deliver(spool, cluster, daemon)
            left = len(list(outbox.iterdir())) + len(list((spool / "rejected").iterdir()))
            _print(
                f"{title}: {done['seconds']:.1f} s, {done['settled']} settled, {left} left or"
                f" rejected; agent {done['before_mb']:.1f} MB, at most {done['peak_mb']:.1f} MB;"
                f" daemon {daemon.cpu_s() - before:.1f} s of CPU, {daemon.peak_mb():.0f} MB"
            )
            assert daemon.stored() == (*drawn, drawn[1]), daemon.stored()
            assert left == 0
    _print("the ledger holds the same segments and joules, whole and by parts, none of them twice")


def _fill(outbox: Path, jobs: int) -> None:
    outbox.mkdir(parents=True)
    first = (int(time.time()) - DAY_S) // SEGMENT_S * SEGMENT_S
    for number in range(DAY_S // SEGMENT_S):
        parts = [
            {
                "kind": "job", "energy_j": 1774, "cpu_ms": 59_000, "present_ms": 60_000,
                "job_id": 1_234_567 + number * jobs + job, "restarts": 0, "uid": 10_001,
                "node_ms": 468, "quality": "measured", "uncertainty_j": 0,
                "domains": {"cpu": 1234, "memory": 40, "rest": 500},
            }
            for job in range(jobs)
        ]  # fmt: skip
        start_at = first + number * SEGMENT_S
        segment = {
            "cluster": "bench", "node": "n1", "start_at": start_at, "end_at": start_at + SEGMENT_S,
            "total_j": 1774 * jobs, "quality": "measured", "meter": "rapl(package-0, package-1)",
            "parts": parts,
        }  # fmt: skip
        (outbox / f"segment.{start_at:012d}.json").write_text(json.dumps(segment))


@dataclass
class _Daemon:
    """A running daemon, its munged and its ledger."""

    pid: int
    munge: Path
    ledger: Path

    def cpu_s(self) -> float:
        """CPU time since its start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """The most memory that it has had."""
        return _peak_mb(self.pid)

    def stored(self) -> tuple[int, int, int]:
        """Segments, their joules, and the joules of their parts."""
        with closing(sqlite3.connect(self.ledger)) as ledger:
            count, total_j = ledger.execute(
                "SELECT COUNT(*), SUM(total_j) FROM segments"
            ).fetchone()
            (parts_j,) = ledger.execute("SELECT SUM(energy_j) FROM parts").fetchone()
        return count, total_j, parts_j


@contextmanager
def _daemon(base: Path, cluster: str) -> Iterator[_Daemon]:
    base.chmod(0o755)  # munged insists
    (base / "key").write_bytes(os.urandom(64))
    (base / "key").chmod(0o600)
    munge, config = base / "munge.socket", base / "carbonsched.yaml"
    config.write_text(CONFIG.format(base=base, port=PORT, munge=munge, cluster=cluster))
    files = {"key-file": "key", "pid-file": "pid", "log-file": "munge.log", "seed-file": "seed"}
    with _process(
        shutil.which("munged") or "/usr/sbin/munged", "--foreground", "--force",
        f"--socket={munge}", *(f"--{option}={base / name}" for option, name in files.items()),
    ):  # fmt: skip
        _wait(munge.exists)
        with _process(
            sys.executable, "-m", "carbonsched.cli.main", "daemon", f"--config={config}"
        ) as process:
            _wait(_healthy)
            yield _Daemon(process.pid, munge, base / "state" / "ledger.db")


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _healthy() -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{PORT}/v1/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it does not start"
        time.sleep(0.1)


def _deliver(spool: Path, cluster: str, daemon: _Daemon) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--agent", spool, cluster, daemon.munge],
        check=True, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def agent() -> int:
    """The agent's side: all that an agent loads, and one delivery."""
    import carbonsched.cli.agent  # noqa: F401, PLC0415 - for its memory
    from carbonsched.node.delivery import Delivery, Sender  # noqa: PLC0415
    from carbonsched.node.journal import Journal  # noqa: PLC0415
    from carbonsched.node.spool import Spool  # noqa: PLC0415
    from carbonsched.transport.client import Client  # noqa: PLC0415
    from carbonsched.transport.munge import Munge  # noqa: PLC0415

    journal = Journal("bench")
    spool, url = Spool(Path(sys.argv[2]), journal), f"http://127.0.0.1:{PORT}"
    delivery = Delivery(
        spool, lambda: Client(url, Munge(sys.argv[4])), 10, journal, Sender(sys.argv[3], "n1")
    )
    before_mb, began = _peak_mb(os.getpid()), time.monotonic()
    settled = delivery.deliver()
    took = {"seconds": time.monotonic() - began, "settled": settled}
    _print(json.dumps(took | {"before_mb": before_mb, "peak_mb": _peak_mb(os.getpid())}))
    return 0


def _peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(agent() if sys.argv[1:2] == ["--agent"] else main())
