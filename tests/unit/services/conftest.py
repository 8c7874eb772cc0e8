"""A small site: real ledger, real services; only Slurm and the clock are stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from carbonsched.accounting import Budgets, Embodied
from carbonsched.errors import ClusterRefusedError
from carbonsched.ledger import Ledger
from carbonsched.model.directives import encode_mark
from carbonsched.model.energy import EnergyPart, EnergySegment, PartKind, Quality
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo
from carbonsched.model.job import Job, JobKey
from carbonsched.planning import DelayPolicy, PlanningParameters
from carbonsched.ports import Node, Partition, Pue, Reservation, Standing
from carbonsched.services.adopt import AdoptJobs
from carbonsched.services.advice import Advice
from carbonsched.services.audit import Audits
from carbonsched.services.budgets import JobBudgets
from carbonsched.services.grid import Grid
from carbonsched.services.ingest import TakeReadings
from carbonsched.services.learning import Learning
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.moves import Moves
from carbonsched.services.pieces import Pieces, StopPolicy
from carbonsched.services.pilots import Pilots
from carbonsched.services.place import PlaceJobs
from carbonsched.services.plan import PlanStarts
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.predict import PredictJobs
from carbonsched.services.presence import Presence
from carbonsched.services.pue import ConstantPue
from carbonsched.services.quotas import Quotas
from carbonsched.services.settle import SettleJobs
from carbonsched.services.shadow import ShadowReports
from carbonsched.services.statement import Statements
from carbonsched.services.stops import StopRuns
from carbonsched.services.use import Use
from carbonsched.services.views import Views
from carbonsched.site import NodeClass
from carbonsched.transport.munge import Caller

START = 1_792_998_000  # a whole hour
LEASE_S = 120
INFO = SeriesInfo(provider="recorded", zone="DE")
STOPPING = StopPolicy(enabled=True, signal="USR1", grace_s=120, cost_s=300, least_run_s=1800)
ALIKE = (NodeClass(nodes="n[1-2]", cpus=8, idle_w=80.0, max_w=240.0),)
ROOT = Caller(uid=0, gid=0, payload=b"")


def over_the_wire(segment: EnergySegment):
    return json.loads(json.dumps(segment.to_wire()))


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


class StandInSlurm:
    """A cluster that remembers jobs and what it was told, with Slurm's rules for moving them."""

    def __init__(self, clock: Clock, name: str = "lab", cpus: int = 8) -> None:
        self.name = name
        self.cpus = cpus
        self._clock = clock
        self.present: dict[int, Job] = {}
        self.past: list[Job] = []
        self.reserved: list[Reservation] = []
        self.parts: dict[Partition, tuple[str, ...]] = {}
        self.drained: set[str] = set()
        self.moves: list[tuple[int, int, str]] = []
        self.signals: list[tuple[int, str]] = []
        self.requeues: list[int] = []
        self.cancels: list[int] = []
        self.remarks: list[tuple[int, str]] = []
        self.fixed: set[int] = set()  # jobs that may not be requeued
        self._ended: dict[int, tuple[int, int]] = {}
        self._next = 1

    def submit(self, user="ada", directives=None, *, begin=LEASE_S, **fields) -> Job:
        now = self._clock.now()
        if directives and begin == LEASE_S and not directives.start_now:
            directives = replace(directives, lease_s=LEASE_S)  # as csbatch does
        comment = encode_mark(directives) if directives else ""
        job = Job(
            key=JobKey(cluster=self.name, job_id=self._next, submitted_at=now, restarts=0),
            uid={"ada": 1001, "ben": 1002}[user], user=user, account="physics", partition="main",
            name="train", state="PENDING", cpus=2, time_limit_s=3600, eligible_at=now + begin,
        )  # fmt: skip
        job = replace(job, **{"comment": comment, **fields})
        self.present[self._next] = job
        self._next += 1
        return job

    def begin(self, job_id: int, node: str = "n1") -> None:
        now = self._clock.now()
        self.present[job_id] = replace(
            self.present[job_id], state="RUNNING", started_at=now, nodes=(node,)
        )

    def end(self, job_id: int, state="COMPLETED", status=0, by_signal=0) -> None:
        job = self.present.pop(job_id)
        self.past.append(replace(job, state=state, ended_at=self._clock.now()))
        self._ended[job_id] = status, by_signal

    def standing(self, job_id):
        if job_id in self.present:
            job, exits = self.present[job_id], (0, 0)
        elif job_id in self._ended:
            job = [one for one in self.past if one.key.job_id == job_id][-1]
            exits = self._ended[job_id]
        else:
            return None
        return Standing(
            state=job.state, reason=job.reason, submitted_at=job.key.submitted_at,
            restarts=job.key.restarts, requeueable=job_id not in self.fixed, ended_at=job.ended_at,
            exit_status=exits[0], exit_signal=exits[1],
        )  # fmt: skip

    def signal(self, job_id, name):
        self.signals.append((job_id, name))

    def cancel(self, job_id):
        if job_id not in self.present:
            raise ClusterRefusedError(f"job {job_id} was not ended: Invalid job id")
        self.cancels.append(job_id)
        self.end(job_id, "CANCELLED")

    def remark(self, job_id, note):
        self.remarks.append((job_id, note))

    def requeue(self, job_id, *, ended):
        """As Slurm does it: the run's record ends now, and the next begins in two minutes."""
        if job_id in self.fixed:
            raise ClusterRefusedError(f"job {job_id} was not requeued: disabled")
        if ended == (job_id in self.present):
            return  # Slurm says nothing where it leaves a job alone
        now = self._clock.now()
        self.requeues.append(job_id)
        if ended:
            job = [one for one in self.past if one.key.job_id == job_id][-1]
            self.past.remove(job)
        else:
            job = self.present.pop(job_id)
        self.past.append(replace(job, state="REQUEUED", ended_at=now))
        key = replace(job.key, submitted_at=now, restarts=job.key.restarts + 1)
        self.present[job_id] = replace(
            job, key=key, state="PENDING", started_at=None, ended_at=None, nodes=(),
            eligible_at=now + 121,
        )  # fmt: skip

    def jobs(self):
        return list(self.present.values())

    def job(self, job_id):
        return self.present.get(job_id)

    def history(self, since_at, until_at):
        there = [job for job in self.past if (job.eligible_at or 0) < until_at]
        return [job for job in there if (job.ended_at or 0) >= since_at]

    def runs(self, job_ids):
        return [job for job in self.past if job.key.job_id in job_ids]

    def nodes(self):
        return [self._node(f"n{number}") for number in (1, 2)]

    def _node(self, name):
        inside = tuple(one.name for one, nodes in self.parts.items() if name in nodes)
        available = name not in self.drained
        return Node(name=name, cpus=self.cpus, available=available, partitions=inside)

    def partitions(self):
        return list(self.parts)

    def reservations(self):
        return list(self.reserved)

    def set_start(self, job_id, start_at, note):
        job = self.present.get(job_id)
        if job is None or not job.pending:
            raise ClusterRefusedError(f"job {job_id} is not pending")
        self.moves.append((job_id, start_at, note))
        self.present[job_id] = replace(job, eligible_at=start_at, admin_comment=note)


@dataclass
class Site:
    clock: Clock
    slurm: StandInSlurm
    ledger: Ledger
    budgets: dict = field(default_factory=dict)
    pue: Pue = field(default_factory=lambda: ConstantPue(pue_ppm=1_200_000))
    embodied: Embodied | None = None
    shadow: bool = False
    most_moves: int = 200
    stopping: StopPolicy = STOPPING
    others: tuple[ManagedCluster, ...] = ()
    node_classes: tuple[NodeClass, ...] = ALIKE

    def __post_init__(self) -> None:
        managed = ManagedCluster(
            cluster=self.slurm, zone="DE", pue=self.pue, embodied=self.embodied,
            node_classes=self.node_classes,
        )  # fmt: skip
        self.clusters = Clusters([managed, *self.others])
        zones = {"DE", *(one.zone for one in self.others)}
        self.grid = Grid(
            self.ledger.archive, {name: (replace(INFO, zone=name),) for name in zones}, 3600
        )
        self.adopt = AdoptJobs(self.clusters, self.ledger, self.clock)
        self.predict = PredictJobs(
            self.clusters, self.ledger, self.grid, self.clock, self.stopping.cost_s
        )
        self.quotas = Quotas(Budgets(users=self.budgets), self.ledger, self.predict, "UTC")
        policy = DelayPolicy(default_max_delay_s=0, max_delay_s=7 * 86_400)
        parameters = PlanningParameters(slot_s=900, minimum_gain_pct=5.0)
        learning = Learning(self.clusters, self.ledger)
        pieces = Pieces(self.ledger, learning, policy, self.stopping)
        requests = PlanningRequests(
            self.ledger, self.grid, self.quotas, learning, policy, parameters, pieces,
            shadow=self.shadow,
        )  # fmt: skip
        moves = Moves(self.ledger, self.most_moves)
        stops = StopRuns(self.ledger, pieces, self.stopping, self.clock)
        pilots = Pilots(self.ledger, pieces, shadow=self.shadow)
        self.plan = PlanStarts(
            self.clusters, self.ledger, requests, self.quotas, self.clock, moves, stops, pilots
        )
        self.place = PlaceJobs(self.clusters, self.ledger, self.predict, requests, self.clock)
        presence = Presence()
        self.settle = SettleJobs(
            self.clusters, self.ledger, self.grid, self.predict, self.quotas, presence, self.clock,
            "UTC", 900,
        )  # fmt: skip
        self.take = TakeReadings(self.clusters, self.ledger, presence, self.clock)
        use = Use(self.clusters, self.ledger, self.grid, self.settle, self.clock)
        self.job_budgets = JobBudgets(
            self.clusters, self.ledger, self.predict, use, self.stopping, self.clock
        )
        self.views = Views(
            self.clusters, self.ledger, self.grid, self.predict, self.settle, self.clock,
            self.quotas, self.job_budgets,
        )  # fmt: skip
        self.advice = Advice(
            self.ledger, self.predict, self.quotas, self.clock, "UTC", pieces, self.job_budgets
        )
        self.statements = Statements(
            "Test site", "UTC", self.clusters, self.ledger, self.grid, self.quotas, self.settle,
            self.views, self.clock,
        )  # fmt: skip
        self.audits = Audits(self.clusters, self.ledger, self.clock)
        self.shadows = ShadowReports(self.clusters, self.ledger, self.settle, self.clock)

    def round(self) -> None:
        self.adopt.run()
        self.predict.run()
        self.job_budgets.run()
        self.plan.run()
        self.settle.run()

    def forecast(self, *g_per_kwh: int, zone="DE") -> None:
        hour = self.clock.now() // 3600 * 3600
        points = tuple(
            Point(hour + index * 3600, hour + (index + 1) * 3600, value * 1000)
            for index, value in enumerate(g_per_kwh)
        )
        self.ledger.archive.add_forecast(
            Forecast(info=replace(INFO, zone=zone), issued_at=self.clock.now(), points=points),
            self.clock.now(),
        )

    def actual(self, start_at: int, *g_per_kwh: int, zone="DE") -> None:
        points = tuple(
            Point(start_at + index * 3600, start_at + (index + 1) * 3600, value * 1000)
            for index, value in enumerate(g_per_kwh)
        )
        self.ledger.archive.add_actual(
            IntensitySeries(
                info=replace(INFO, zone=zone), fetched_at=self.clock.now(), points=points
            )
        )

    def segment(self, job: Job, start_at: int, length_s=300, energy_j=30_000, node="n1", **more):
        part = EnergyPart(
            kind=PartKind.JOB, energy_j=energy_j, uid=job.uid, job_id=job.key.job_id,
            **{"cpu_ms": length_s * 1000, "present_ms": length_s * 1000,
               "restarts": job.key.restarts, **more},
        )  # fmt: skip
        idle = EnergyPart(kind=PartKind.IDLE, energy_j=6000)
        return EnergySegment(
            cluster="lab", node=node, start_at=start_at, end_at=start_at + length_s,
            total_j=energy_j + 6000, quality=Quality.MODELLED, meter="model", parts=(part, idle),
        )  # fmt: skip

    def deliver(self, *segments) -> dict:
        return self.take.take(ROOT, [over_the_wire(segment) for segment in segments], [])


@pytest.fixture
def make_site(tmp_path):
    opened = []

    def make(
        *, pue=None, embodied=None, shadow=False, beside=(), node_classes=ALIKE, **budgets
    ) -> Site:
        clock = Clock()
        ledger = Ledger(tmp_path / f"ledger-{len(opened)}.db")
        opened.append(ledger)
        given = {"pue": pue} if pue else {}
        others = tuple(one(clock) for one in beside)
        return Site(
            clock,
            StandInSlurm(clock),
            ledger,
            budgets,
            embodied=embodied,
            shadow=shadow,
            others=others,
            node_classes=node_classes,
            **given,
        )

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def site(make_site) -> Site:
    return make_site()


@pytest.fixture
def make_two(make_site):
    """Makes a site with a second cluster, north in zone SE, of other nodes or another PUE."""

    def make(*, cpus=8, pue_ppm=1_200_000, max_w=240.0):
        def north(clock):
            return ManagedCluster(
                cluster=StandInSlurm(clock, "north", cpus), zone="SE",
                pue=ConstantPue(pue_ppm=pue_ppm),
                node_classes=(NodeClass(nodes="n[1-2]", cpus=8, idle_w=80.0, max_w=max_w),),
            )  # fmt: skip

        return make_site(beside=[north])

    return make


@pytest.fixture
def two(make_two) -> Site:
    return make_two()
