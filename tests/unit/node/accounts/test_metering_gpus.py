"""GPUs of jobs: whose energy it is, and what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.mark_format import Mark
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.meters.model import ModelledGpus
from carbonsched.site import NodeClass

from .rig import Rig

GPUS = (Gpu(device="GPU-a", index=0), Gpu(device="GPU-b", index=1))


@pytest.fixture
def gpu_rig(log, steady_panel):
    rig = Rig(steady_panel(inventory=GPUS, qualities={"gpu/GPU-b": Quality.SAMPLED}), log)
    rig.counters |= {"gpu/GPU-a": 0, "gpu/GPU-b": 0}
    rig.see()
    return rig


def gpu_second(rig, *events, a=0, b=0, uj=0):
    rig.counters["gpu/GPU-a"] += a
    rig.counters["gpu/GPU-b"] += b
    rig.go(1, *events, uj=uj)


def test_one_job_of_two_has_its_own_gpu_and_nobody_elses(gpu_rig):
    gpu_second(
        gpu_rig,
        replace(gpu_rig.begin(7, cpus=2), gpus="1"),
        replace(gpu_rig.begin(8, cpus=2), name="begin.8"),
        a=30_000_000, b=50_000_000, uj=60_000_000,
    )  # fmt: skip
    for _ in range(9):
        gpu_rig.run(8, 1)
        gpu_second(gpu_rig, a=30_000_000, b=250_000_000, uj=70_000_000)
    (segment,) = gpu_rig.segments
    by_job = {part.job_id: part for part in segment.parts}
    assert by_job[7].domains[Domain.GPU] == 50 + 9 * 250
    assert Domain.GPU not in by_job[8].domains
    (idle,) = [part for part in segment.parts if part.kind is PartKind.IDLE]
    assert idle.domains[Domain.GPU] == 300
    assert (by_job[7].quality, by_job[8].quality) == (Quality.SAMPLED, Quality.MEASURED)
    # A quarter of the CPUs, and one of two GPUs in the mean with it.
    assert (by_job[7].node_ms, by_job[8].node_ms) == (3_750, 1_250)
    assert sum(part.node_ms for part in segment.parts) == 10_000
    totals = gpu_rig.metering.totals
    assert (
        sum(totals.node_uj.values()) == sum(totals.consumed_uj.values()) == segment.total_j * 10**6
    )
    assert totals.node_uj[Domain.GPU, "GPU-b"] == 50_000_000 + 9 * 250_000_000
    assert totals.job_w == {7: pytest.approx(250 + 12.5), 8: pytest.approx(32.5)}


def test_a_lost_gpu_makes_its_own_jobs_figures_partial_and_nobody_elses(gpu_rig):
    gpu_rig.panel.qualities["gpu/GPU-b"] = Quality.PARTIAL
    gpu_second(
        gpu_rig,
        replace(gpu_rig.begin(7), gpus="1"),
        replace(gpu_rig.begin(8), name="begin.8", gpus="0"),
    )
    for _ in range(9):
        gpu_second(gpu_rig, a=40_000_000, uj=60_000_000)
    qualities = {part.job_id: part.quality for part in gpu_rig.segments[0].parts if part.job_id}
    assert qualities == {7: Quality.PARTIAL, 8: Quality.MEASURED}


def test_a_job_whose_gpus_no_meter_sees_is_not_billed_as_measured(log, steady_panel):
    rig = Rig(steady_panel(), log)
    rig.see()
    begin, other = replace(rig.begin(7), gpus="0,1"), replace(rig.begin(8), name="begin.8")
    for _ in range(10):
        rig.run(7, 1)
        rig.run(8, 1, inode=2)
        rig.go(1, begin, other, uj=60_000_000)
    qualities = {part.job_id: part.quality for part in rig.segments[0].parts if part.job_id}
    assert qualities == {7: Quality.PARTIAL, 8: Quality.MEASURED}


def test_an_epoch_is_as_good_as_its_jobs_part(gpu_rig):
    gpu_second(gpu_rig, replace(gpu_rig.begin(7), gpus="1"))
    job = gpu_rig.metering.jobs.latest(7)
    marks = [
        Mark(start=first, epoch=1, epochs=None, steps=0, step_relative_sd=None)
        for first in (True, False)
    ]
    gpu_second(gpu_rig, b=1000)
    gpu_rig.metering.mark(job, 1000, marks[0])
    gpu_second(gpu_rig, b=9_000_000)
    gpu_rig.metering.mark(job, 1000, marks[1])
    (epoch,) = [one for one in gpu_rig.metering.closed if isinstance(one, EpochRecord)]
    assert (epoch.energy_millij, epoch.quality) == (9_000, Quality.SAMPLED)


def test_modelled_gpus_draw_more_than_idle_only_where_a_job_has_them(log, linear_panel):
    class Panel(linear_panel):
        def between(self, before, after, length_ns, busy_ns):
            gpus = ModelledGpus(NodeClass(nodes="n1", cpus=8, idle_w=0, max_w=0, gpus=2,
                                          gpu_idle_w=10, gpu_max_w=110))  # fmt: skip
            return (
                *super().between(before, after, length_ns, busy_ns),
                *gpus.between({}, {}, length_ns, busy_ns),
            )

    rig = Rig(Panel(inventory=(Gpu(device="gpu0", index=0), Gpu(device="gpu1", index=1))), log)
    rig.see(replace(rig.begin(7, cpus=8), gpus="1"))
    for _ in range(10):
        rig.go(1)
    (segment,) = rig.segments
    by_job = {part.job_id: part for part in segment.parts}
    assert by_job[7].domains == {Domain.NODE: 600, Domain.GPU: 600}
    assert by_job[None].domains == {Domain.GPU: 100}
    assert by_job[7].uncertainty_j == 150 + 500
    assert by_job[None].uncertainty_j == 0
