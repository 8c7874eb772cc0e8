"""carbonsched on a lab, under a grid whose intensity the tests decide; a look into its ledger."""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from lab import Lab, LabConfig, LabError
from stack import SITE_FILE, AgentExtras, OtherCluster, Stack, StackSettings

from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import SCHEME, signed_payload

ROOT = Path(__file__).resolve().parents[2]
ADA, BEN = "carbon-ada", "carbon-ben"
DIRTY, CLEAN = 600, 200
LEASE_S = 12
_DAY_S = 86_400


class Grid:
    """Files of a file provider: from now on as a test wishes, the past as it was."""

    slot_s = 5

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o755, parents=True)
        self.began_at = self._slot(time.time())
        self._changes = [(self.began_at, DIRTY)]
        self.issued_at = 0
        self.plateau()

    def plateau(self, reach_s: int = _DAY_S, level: int = DIRTY) -> int:
        """One level, foretold for ``reach_s``; returns when that was issued."""
        return self._write([(self._slot(time.time()), level)], reach_s)

    def valley(self, in_s: int, reach_s: int = _DAY_S) -> int:
        """Dirty now, clean from some seconds on; returns the instant when that begins."""
        now = self._slot(time.time())
        at = now + -(-in_s // self.slot_s) * self.slot_s
        self._write([(now, DIRTY), (at, CLEAN)], reach_s)
        return at

    def spoil(self) -> None:
        """What a proxy's error page leaves."""
        for name in ("actual.csv", "forecasts.csv"):
            self._replace(name, "<html>502 Bad Gateway</html>\n")

    def level(self, at: int) -> int:
        """Grams a kilowatt-hour at an instant."""
        return next(g for start, g in reversed(self._changes) if start <= at)

    def _write(self, changes: list[tuple[int, int]], reach_s: int) -> int:
        while (issued_at := int(time.time())) <= self.issued_at:
            time.sleep(0.05)  # two issues of one second would be one
        self.issued_at = issued_at
        self._changes = [one for one in self._changes if one[0] < changes[0][0]] + changes
        ends = [start for start, _ in changes[1:]] + [changes[0][0] + reach_s]
        rows = [
            f"{issued_at},{start},{end},{g}" for (start, g), end in zip(changes, ends, strict=True)
        ]
        self._replace("forecasts.csv", "\n".join(["issued,start,end,g_per_kwh", *rows, ""]))
        slots = range(self.began_at, self._slot(time.time()) + 3600, self.slot_s)
        rows = [f"{at},{at + self.slot_s},{self.level(at)}" for at in slots]
        self._replace("actual.csv", "\n".join(["start,end,g_per_kwh", *rows, ""]))
        return issued_at

    def _slot(self, at: float) -> int:
        return int(at // self.slot_s * self.slot_s)

    def _replace(self, name: str, text: str) -> None:
        draft = self.folder / f"{name}.new"
        draft.write_text(text)
        draft.replace(self.folder / name)


@dataclass(frozen=True)
class Answer:
    """What the daemon answered."""

    status: int
    document: Any

    @property
    def error(self) -> str:
        """Its one line."""
        message: str = self.document["error"]
        assert "\n" not in message
        assert "Traceback" not in message
        return message


def check_evidence(trial: Trial, row: dict[str, Any]) -> None:
    """From the readings to the figures, and no entry that the readings do not bear."""
    evidence = row["evidence"]
    assert evidence
    assert sum(one["energy_j"] for one in evidence) == row["energy_j"] > 0
    assert abs(sum(Decimal(one["mg"]) for one in evidence) - row["mg"]) <= Decimal("0.501")
    assert trial.charged(row) == {"mg": row["mg"], "energy_j": row["energy_j"]}
    for one in evidence:
        assert one["g_per_kwh"] == trial.grid.level(one["start_at"])
        exact = Decimal(one["energy_j"]) * Decimal(str(one["g_per_kwh"])) * Decimal("1.25") / 3600
        assert abs(Decimal(one["mg"]) - exact) <= Decimal("0.00001")


class Trial:
    """One cluster with carbonsched on it; ``extras`` are its agents', ``speeds`` the stack's."""

    def __init__(
        self,
        lab: Lab,
        programs: Path,
        grid: Grid,
        extras: Mapping[str, AgentExtras] | None = None,
        others: Sequence[OtherCluster] = (),
        **speeds: Any,
    ) -> None:
        self.lab = lab
        self.grid = grid
        self.programs = programs
        settings = StackSettings(
            intensity_files=grid.folder,
            hour_s=5.0,
            tick_s=1.0,
            delivery_s=0.5,
            lease_s=LEASE_S,
            quotas=((BEN, "10 kg"),),
            operators=("root",),
        )
        self.stack = Stack(lab, programs, replace(settings, **speeds), extras, others)
        self.stack.start()
        self.api = Client(f"http://127.0.0.1:{self.stack.port}", Munge(str(lab.munge_socket)), 30.0)

    @staticmethod
    def config(folder: Path, programs: Path) -> LabConfig:
        """The lab that a trial needs."""
        return LabConfig(
            directory=folder,
            submit_plugin=ROOT / "slurm" / "job_submit.lua",
            path=(programs,),
            environment={"CARBONSCHED_SITE": str(folder / SITE_FILE)},
        )

    # The grid

    def valley(self, in_s: int = 15) -> int:
        """A cleaner time ahead, known to the daemon; returns when it begins."""
        at = self.grid.valley(in_s)
        self._wait_forecast()
        return at

    def plateau(self, reach_s: int = _DAY_S, level: int = DIRTY) -> None:
        """No reason to wait, known to the daemon."""
        self.grid.plateau(reach_s, level)
        self._wait_forecast()

    def _wait_forecast(self) -> None:
        newest = "SELECT MAX(issued_at) AS at FROM forecasts"
        self.until(
            lambda: self.one(newest)["at"] >= self.grid.issued_at, "the forecast in the archive"
        )

    # Jobs

    def csbatch(self, user: str, *argv: str | Path, **options: Any) -> tuple[int, str]:
        """The job's id and what csbatch told."""
        return self.stack.submit(user, *argv, **options)

    def sbatch(self, user: str, *argv: str | Path) -> int:
        """The job's id."""
        return int(self.lab.run_as(user, ["sbatch", "--parsable", *argv]).stdout)

    def shown(self, job_id: int, field: str) -> str:
        """A field of ``scontrol show job``."""
        words = self.lab.slurm("scontrol", "show", "job", str(job_id)).split()
        return next(word for word in words if word.startswith(f"{field}=")).partition("=")[2]

    def start_time(self, job_id: int) -> int:
        """When Slurm will start or has started a job."""
        text = self.shown(job_id, "StartTime")
        assert text != "Unknown", f"job {job_id} may start at any time: {self.queued(job_id)}"
        return int(time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")))

    def rows(self, job_id: int) -> list[dict[str, Any]]:
        """What carbonsched says of a job's runs, tasks and components."""
        query = {"job": job_id, "all": 1, "evidence": 1}
        rows: list[dict[str, Any]] = self.api.get("/v1/jobs", **query)["jobs"]
        return rows

    def queued(self, job_id: int) -> dict[str, Any]:
        """A waiting or running job's row in the queue."""
        rows = self.api.get("/v1/queue", all=1)["jobs"]
        found = [row for row in rows if row["job_id"] == job_id]
        return found[0] if found else {}

    def settled(self, job_id: int, runs: int = 1, timeout_s: float = 90) -> list[dict[str, Any]]:
        """All of a job's rows, once they are final."""

        def final() -> bool:
            found = [row for row in self.rows(job_id) if row["started_at"] is not None]
            return len(found) >= runs and not any(row["provisional"] for row in found)

        try:
            self.until(final, f"job {job_id} to be settled", timeout_s)
        except LabError as error:
            raise AssertionError(f"{error}: {json.dumps(self.rows(job_id), indent=1)}") from None
        return [row for row in self.rows(job_id) if row["started_at"] is not None]

    @staticmethod
    def uncovered_s(row: dict[str, Any]) -> float:
        """Seconds of a job's run, on the average node, that no reading covers.

        Slurm tells whole seconds, and the prolog comes a moment after the start that it tells.
        """
        return float((1 - row["coverage"]) * row["elapsed_s"])

    def wait_state(self, job_id: int, *states: str, timeout_s: float = 60) -> str:
        """Until the job is in one of these states."""
        return str(self.lab.wait_job_state(job_id, *states, timeout_s=timeout_s))

    def until(self, condition: Any, what: str, timeout_s: float = 30) -> None:
        """Polls with a limit."""
        self.lab.wait_until(condition, what, timeout_s)

    # The ledger

    def select(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of the ledger itself."""
        path = self.stack.folder / "state" / "ledger.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as ledger:
            ledger.row_factory = sqlite3.Row
            return [dict(row) for row in ledger.execute(sql, parameters)]

    def one(self, sql: str, **parameters: Any) -> dict[str, Any]:
        """A query's only row."""
        (row,) = self.select(sql, **parameters)
        return row

    def charged(self, row: dict[str, Any]) -> dict[str, Any]:
        """The sums of a run's charges: mg and energy_j."""
        return self.one(
            "SELECT SUM(mg) AS mg, SUM(energy_j) AS energy_j FROM entries WHERE job_id = :job_id"
            " AND submitted_at = :submitted_at AND restarts = :restarts"
            " AND kind IN ('charge', 'adjust')",
            **{name: row[name] for name in ("job_id", "submitted_at", "restarts")},
        )

    def timeline(self, node: str) -> list[tuple[int, int]]:
        """A node's segments in the order of time."""
        sql = "SELECT start_at, end_at FROM segments WHERE node = :node ORDER BY start_at"
        return [(row["start_at"], row["end_at"]) for row in self.select(sql, node=node)]

    # The daemon

    @property
    def daemon_log(self) -> str:
        """All that it has logged."""
        return (self.lab.log / "carbonschedd.log").read_text()

    def health(self) -> dict[str, Any]:
        """Its word on itself."""
        health: dict[str, Any] = self.ask("GET", "/v1/health").document
        return health

    def carbonsched(self, *argv: str | Path, user: str = "slurm") -> CompletedProcess[str]:
        """A subcommand with its exit status."""
        command = [self.programs / "carbonsched", *argv]
        return self.lab.run_as(user, command, cwd=Path("/"), check=False)

    # Its HTTP API, request by request

    def credential(self, user: str, method: str, path: str, body: bytes = b"") -> str:
        """A user's MUNGE credential for one request."""
        command = ["munge", "--socket", self.lab.munge_socket]
        payload = signed_payload(method, path, body).decode()
        return str(self.lab.run_as(user, command, stdin=payload, cwd=Path("/")).stdout).strip()

    def ask(
        self, method: str, path: str, body: bytes | None = None, credential: str | None = None
    ) -> Answer:
        """One request, with a credential or without."""
        headers = {"Content-Type": "application/json"}
        if credential is not None:
            headers["Authorization"] = f"{SCHEME} {credential}"
        url = f"http://127.0.0.1:{self.stack.port}{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))

    def ask_as(self, user: str, method: str, path: str, document: Any = None) -> Answer:
        """One request of a user."""
        body = None if document is None else json.dumps(document).encode()
        credential = self.credential(user, method, path, body or b"")
        return self.ask(method, path, body, credential)
