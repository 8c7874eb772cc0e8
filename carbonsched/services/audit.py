"""The audit: does what was metered in a period add up, down to what was charged?

For every period, exactly and in whole joules,

    measured = jobs + idle + system + unclaimed

where *jobs* is what counts for jobs that Slurm knows, in their time by its record, and *unclaimed*
what agents divided to jobs beyond that. The left side is summed over segments, the right over
their parts. A segment counts in the period in which it begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from carbonsched.ledger import Ledger
from carbonsched.ledger.audits import NodeTotals, Period
from carbonsched.ledger.entries import Settlement
from carbonsched.ledger.lost_ends import LostEnds
from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import PartKind, Quality
from carbonsched.model.job import Job, JobKey
from carbonsched.ports import Clock
from carbonsched.services.claims import Claims, cut, owner
from carbonsched.services.crosscheck import CrossChecking
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.settle import METHOD

MAX_LISTED = 1000
"""How many jobs or readings each list of the answer has at most; its count has all."""
SILENT_S = 3600
"""A node that told nothing in the last hour of the period is called silent."""
SETTLING_S = 3600
"""How long after its end a job's last readings may still be on their way."""
_LONGEST_SEGMENT_S = 10 * 86_400
_LISTED = (Quality.MISSING, Quality.PARTIAL)

Row = dict[str, Any]


@dataclass(slots=True)
class _Divided:
    """Where the energy of jobs' parts went: to runs, or to nobody and why."""

    lost: LostEnds
    by_run: dict[JobKey, int] = field(default_factory=lambda: defaultdict(int))
    unknown_j: int = 0
    beyond_j: int = 0
    count: int = 0
    unclaimed: list[Row] = field(default_factory=list)

    def take(self, job_id: int, reading: JobReading, runs: Sequence[Job]) -> None:
        run = owner(reading, runs, self.lost)
        claimed_j = 0
        if run is not None:
            claimed_j = cut(run, reading, self.lost).energy_j
            self.by_run[run.key] += claimed_j
        left_j = reading.energy_j - claimed_j
        if run is None:
            self.unknown_j += left_j
        else:
            self.beyond_j += left_j
        if left_j:
            self.count += 1
            if len(self.unclaimed) < MAX_LISTED:
                why = self._why(reading, run, runs)
                self.unclaimed.append(_unclaimed_row(job_id, reading, left_j, why))

    def _why(self, reading: JobReading, run: Job | None, runs: Sequence[Job]) -> str:
        those = runs if run is None else [run]
        if any((one.key, reading.node) in self.lost for one in those):
            return "epilog missing: beyond Slurm's record of the job"
        return "beyond Slurm's record of the job" if run else "no such job was there by Slurm"

    @property
    def jobs_j(self) -> int:
        return sum(self.by_run.values())


class Audits:
    """Adds a period up from the ledger alone."""

    def __init__(self, clusters: Clusters, ledger: Ledger, clock: Clock) -> None:
        self._clusters = clusters
        self._ledger = ledger
        self._clock = clock
        self._claims = Claims(ledger, clock)

    def of(self, cluster: str | None, start_at: int, end_at: int) -> Row:
        """The audit of one cluster, or of each that is managed.

        Raises:
            RequestError: no such cluster.
        """
        asked = list(self._clusters) if cluster is None else [self._clusters.get(cluster)]
        return {
            "now": self._clock.now(),
            "start_at": start_at,
            "end_at": end_at,
            "clusters": [self._cluster(managed, start_at, end_at) for managed in asked],
        }

    def _cluster(self, managed: ManagedCluster, start_at: int, end_at: int) -> Row:
        period = self._ledger.audits.period(managed.name, start_at, end_at)
        nodes = self._ledger.audits.nodes(period)
        kinds = self._ledger.audits.by_kind(period)
        uneven = self._ledger.audits.uneven(period)
        runs = self._runs(period)
        divided = self._divide(period, runs, kinds.get(PartKind.JOB, 0))
        measured_j = sum(one.measured_j for one in nodes)
        shares = {
            "jobs_j": divided.jobs_j,
            "idle_j": kinds.get(PartKind.IDLE, 0),
            "system_j": kinds.get(PartKind.SYSTEM, 0),
            "unclaimed_j": divided.unknown_j + divided.beyond_j,
        }
        difference_j = measured_j - sum(shares.values())
        jobs = self._jobs(managed, period, runs, divided)
        adds_up = difference_j == 0 and uneven == 0 and not jobs["mischarged"]
        return {
            "cluster": managed.name,
            "adds_up": adds_up,
            "measured_j": measured_j,
            **shares,
            "difference_j": difference_j,
            "uneven_segments": uneven,
            "unknown_j": divided.unknown_j,
            "beyond_j": divided.beyond_j,
            "nodes": [self._node_row(one, end_at) for one in nodes],
            "unclaimed_count": divided.count,
            "unclaimed": divided.unclaimed,
            **jobs,
        }

    def _runs(self, period: Period) -> dict[int, list[Job]]:
        """Every run that any segment of the period may be of, by job id."""
        runs: dict[int, list[Job]] = defaultdict(list)
        for known in self._ledger.jobs.select(
            since_at=period.since_at - _LONGEST_SEGMENT_S,
            until_at=period.until_at + _LONGEST_SEGMENT_S,
        ):
            key = known.job.key
            if key.cluster == period.cluster and known.job.started_at is not None:
                runs[key.job_id].append(known.job)
        return runs

    def _divide(self, period: Period, runs: dict[int, list[Job]], parts_j: int) -> _Divided:
        """Most parts lie inside their run and are summed by the ledger; others are looked at."""
        divided = self._looked_at(period, runs, self._ledger.audits.inside(period))
        if divided.jobs_j + divided.unknown_j + divided.beyond_j == parts_j:
            return divided
        return self._looked_at(period, runs, None)

    def _looked_at(
        self, period: Period, runs: dict[int, list[Job]], inside: dict[JobKey, int] | None
    ) -> _Divided:
        since_at, until_at = period.since_at - _LONGEST_SEGMENT_S, self._clock.now()
        divided = _Divided(self._ledger.lost_ends.between(period.cluster, since_at, until_at))
        divided.by_run.update(inside or {})
        for job_id, reading in self._ledger.audits.job_parts(period, inside=inside is None):
            divided.take(job_id, reading, runs.get(job_id, ()))
        return divided

    def _jobs(
        self,
        managed: ManagedCluster,
        period: Period,
        runs: dict[int, list[Job]],
        divided: _Divided,
    ) -> Row:
        """Jobs by quality, those that lack something, wrong charges, and Slurm's own figures."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        listed: list[Row] = []
        mischarged: list[Row] = []
        checking = CrossChecking()
        compared = 0
        for run in sorted((one for some in runs.values() for one in some), key=lambda one: one.key):
            if run.key not in divided.by_run and not _in(period, run):
                continue
            settled = self._ledger.entries.settlement(run.key)
            quality = settled.quality if settled is not None else Quality.MISSING
            is_open = self._open(run, settled)
            count = counts["open" if is_open else quality]
            count[0] += 1
            count[1] += divided.by_run.get(run.key, 0)
            if quality in _LISTED and not is_open:
                listed.append(_job_row(run, settled, quality))
            if settled is None or not settled.complete or settled.method != METHOD:
                continue
            compared += 1
            if (wrong := self._mischarged(run)) is not None:
                mischarged.append(wrong)
            if run.slurm_energy_j is not None:
                classes = managed.classes_of(run.nodes)
                checking.add(run, self._claims.of(run), quality, classes)
        return {
            "qualities": [
                {"quality": name, "jobs": counts[name][0], "energy_j": counts[name][1]}
                for name in (*Quality, "open")
                if name in counts
            ],
            "listed_count": len(listed),
            "listed": sorted(listed, key=lambda row: row["quality"])[:MAX_LISTED],
            "compared": compared,
            "mischarged": mischarged[:MAX_LISTED],
            "slurm": checking.result().document(),
        }

    def _mischarged(self, run: Job) -> Row | None:
        """A complete job's charges beside its readings, where they differ; all as of one moment."""
        with self._ledger.transaction():
            settled = self._ledger.entries.settlement(run.key)
            if settled is None or not settled.complete:
                return None  # a reading came just now
            metered_j = sum(one.energy_j for one in self._claims.of(run))
            charged = self._ledger.entries.charged(run.key).values()
        charged_j = sum(energy_j for _, energy_j, _ in charged)
        if metered_j == charged_j == (settled.energy_j or 0):
            return None
        return _mischarged_row(run, metered_j, charged_j)

    def _open(self, run: Job, settled: Settlement | None) -> bool:
        """Whether a job runs, or has ended so lately that nobody can say what it lacks."""
        if settled is not None and settled.complete:
            return False
        return run.ended_at is None or run.ended_at + SETTLING_S > self._clock.now()

    def _node_row(self, one: NodeTotals, end_at: int) -> Row:
        until_at = min(end_at, self._clock.now())
        return asdict(one) | {"silent": one.last_end_at < until_at - SILENT_S}


def _in(period: Period, run: Job) -> bool:
    started_at, ended_at = run.started_at, run.ended_at
    return (
        started_at is not None
        and started_at < period.until_at
        and (ended_at is None or ended_at >= period.since_at)
    )


def _job_row(run: Job, settled: Settlement | None, quality: Quality) -> Row:
    return {
        "shown_id": run.shown_id,
        "restarts": run.key.restarts,
        "user": run.user,
        "nodes": list(run.nodes),
        "state": run.state,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "quality": quality,
        "energy_j": settled.energy_j if settled else None,
        "why": settled.why if settled else "not settled yet",
    }


def _mischarged_row(run: Job, metered_j: int, charged_j: int) -> Row:
    return {
        "shown_id": run.shown_id,
        "restarts": run.key.restarts,
        "user": run.user,
        "metered_j": metered_j,
        "charged_j": charged_j,
    }


def _unclaimed_row(job_id: int, reading: JobReading, energy_j: int, why: str) -> Row:
    return {
        "job_id": job_id,
        "restarts": reading.restarts,
        "node": reading.node,
        "start_at": reading.start_at,
        "end_at": reading.end_at,
        "energy_j": energy_j,
        "why": why,
    }
