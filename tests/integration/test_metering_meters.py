"""What faults of RAPL and of GPUs cost, and how the figures are marked.

Each test has a node of a power plant to itself, the real hooks and a real agent process. Where the
machine draws nothing while nobody computes, everything that it ever drew must be in the segments.
"""

from __future__ import annotations

import time

import pytest
from plant.physics import Profile
from plant.script import GpuScript, Zone
from scene import COLD, UJ, Scene, drew_j, exact, say, settle, told

GPUS = tuple(
    GpuScript(
        uuid=f"GPU-{number:08x}-2222-4333-8444-555555555555",
        profile=Profile("sine", 240.0, period_s=1.7),
        counter=number != 3,
    )
    for number in range(4)
)


@pytest.fixture(scope="module", autouse=True)
def late_zone(tmp_path_factory):
    """A zone appears while an agent runs. It looks for new ones once a minute: checked at last."""
    zones = tuple(
        Zone(
            directory=f"intel-rapl:{number}",
            name=f"package-{number}",
            device=f"package-{number}",
            hidden=number == 1,
        )
        for number in range(2)
    )
    folder = tmp_path_factory.mktemp("late")
    one = Scene(folder, **COLD, busy_w=60.0, powercap=False, more_zones=zones)
    one.start()
    hand = one.begin(1, cpus=4, load=1.0)
    one.samples(3)
    one.plant.tell("n1", "appear", directory="intel-rapl:1")
    yield one, hand, time.time_ns()
    one.close()


class TestRapl:
    def test_wraps(self, scene):
        one = scene(**COLD, range_uj=500 * UJ, busy_w=240.0)
        one.start()
        hand = one.begin(1, cpus=4, load=4.0)
        time.sleep(3)
        one.end(hand)
        settle(one)
        assert drew_j(one) > 4 * 500
        exact(one, f"{drew_j(one) / 1000:.0f} wraps of two packages")
        told(one, hand, "wraps", within=0.03)
        assert one.qualities(1) == {"measured"}

    def test_a_counter_that_is_reset(self, scene):
        """What it counted since the last sample is lost, and nothing else; never a whole range."""
        one = scene(**COLD, busy_w=60.0)
        one.start()
        hand = one.begin(1, cpus=4, load=4.0)
        time.sleep(1)
        before = one.total_j()
        one.plant.tell("n1", "reset", directory="intel-rapl:0")
        time.sleep(1)
        one.end(hand)
        settle(one)
        lost_j = drew_j(one) - one.total_j()
        say(f"reset of a counter: {lost_j:.2f} J lost of {drew_j(one):.0f} J")
        assert before < one.total_j()
        assert 0 <= lost_j < 120 * 0.5
        assert "partial" in one.qualities(1)

    @pytest.mark.parametrize("kind", ["empty", "garbage", "absent"])
    def test_a_counter_that_cannot_be_read(self, scene, kind):
        """The next reading covers the time."""
        one = scene(**COLD, busy_w=60.0)
        one.start()
        hand = one.begin(1, cpus=4, load=4.0)
        time.sleep(0.7)
        one.plant.tell("n1", "fail", target="intel-rapl:0", kind=kind)
        time.sleep(0.7)
        one.plant.tell("n1", "fail", target="intel-rapl:0")
        time.sleep(0.7)
        one.end(hand)
        settle(one)
        exact(one, f"counter {kind} for 0.7 s")
        told(one, hand, kind, within=0.05)

    def test_refused_by_permissions(self, scene):
        """Root without the right to read any file is refused, and told what to do."""
        one = scene()
        for zone in ("intel-rapl:0", "intel-rapl:1"):
            one.plant.tell("n1", "fail", target=zone, kind="denied")
        weak = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        one.start(wrapper=weak, wait=False)
        assert one.agent.wait(10) != 0, one.said
        line = one.said.splitlines()[-1]
        say(f"permission refused: {line}")
        assert "permission denied" in line
        assert "root" in line


class TestNvml:
    def busy(self, scene, **more):
        """A job with two of four GPUs, another with one."""
        one = scene(gpus=GPUS, **more)
        one.start()
        one.samples(5)
        hands = (
            one.begin(1, cpus=4, load=1.0, gpus=(0, 1)),
            one.begin(2, cpus=2, load=1.0, gpus=(2,), visible=GPUS[2].uuid),
        )
        time.sleep(1.5)
        return one, hands

    def done(self, one, hands):
        time.sleep(1.5)
        for hand in hands:
            one.end(hand)
        settle(one)

    def gpu_j(self, one, job_id):
        return sum(
            part.domains.get("gpu", 0)
            for segment in one.segments()
            for part in segment.parts
            if part.job_id == job_id
        )

    def true_gpu_j(self, one, hand):
        return one.truth().job_uj(one.presence(hand), rest=False)["gpu"] / UJ

    def test_each_job_has_its_own_devices(self, scene):
        """By index and by UUID; the one without a counter is sampled, the free one is idle's."""
        one, hands = self.busy(scene)
        self.done(one, hands)
        for hand in hands:
            true_j, told_j = self.true_gpu_j(one, hand), self.gpu_j(one, hand.job_id)
            say(f"GPUs {hand.gpus}: truth {true_j:.1f} J, billed {told_j} J")
            assert told_j == pytest.approx(true_j, rel=0.05)

    def test_a_device_is_lost_and_comes_back(self, scene):
        one, hands = self.busy(scene)
        one.plant.tell("n1", "gpu", index=0, fail="GPU_IS_LOST")
        time.sleep(1)
        one.plant.tell("n1", "gpu", index=0, fail="SUCCESS")
        self.done(one, hands)
        for hand in hands:
            true_j, told_j = self.true_gpu_j(one, hand), self.gpu_j(one, hand.job_id)
            say(f"GPU 0 lost for 1 s, GPUs {hand.gpus}: truth {true_j:.1f} J, billed {told_j} J")
            assert told_j == pytest.approx(true_j, rel=0.05)
        assert "partial" in one.qualities(1)
        assert one.qualities(2) == {"measured"}

    def test_the_driver_is_loaded_anew(self, scene):
        """All counters begin at zero: what was not read is lost, and never told as negative."""
        one, hands = self.busy(scene)
        one.plant.tell("n1", "gpu", reload=True)
        self.done(one, hands)
        for hand in hands:
            true_j, told_j = self.true_gpu_j(one, hand), self.gpu_j(one, hand.job_id)
            say(f"driver reload, GPUs {hand.gpus}: truth {true_j:.1f} J, billed {told_j} J")
            assert 0.5 * true_j < told_j <= true_j * 1.05
        assert "partial" in one.qualities(1)

    def test_a_device_hangs(self, scene):
        """CPUs are sampled all the same; what the GPUs counted meanwhile comes later."""
        one, hands = self.busy(scene)
        one.plant.tell("n1", "gpu", index=1, hang_ms=3000, calls=["ENERGY"])
        time.sleep(1)
        one.samples(5)
        one.plant.tell("n1", "gpu", index=1, hang_ms=0, calls=["ENERGY"])
        time.sleep(3)
        self.done(one, hands)
        for hand in hands:
            true_j, told_j = self.true_gpu_j(one, hand), self.gpu_j(one, hand.job_id)
            say(f"GPU 1 hangs for 3 s, GPUs {hand.gpus}: truth {true_j:.1f} J, billed {told_j} J")
            assert told_j == pytest.approx(true_j, rel=0.1)

    def test_mig_instances_share_their_gpu(self, scene):
        """Three of seven slices to one job, two to another; the rest of the device is idle's."""
        names = [f"MIG-{number:08x}-7777-4888-8999-aaaaaaaaaaaa" for number in range(3)]
        slices = (3, 2, 2)
        instances = tuple((name, gi + 1, slices[gi], slices[gi]) for gi, name in enumerate(names))
        gpu = GpuScript(
            uuid="GPU-00000000-2222-4333-8444-555555555555",
            profile=Profile("flat", 200.0),
            slices=7,
            instances=instances,
        )
        one = scene(gpus=(gpu,))
        one.start()
        time.sleep(11)  # idle power is learned from ten seconds
        first = one.begin(1, cpus=1, load=0.1, gpus=(0,), visible=names[0])
        second = one.begin(2, cpus=1, load=0.1, visible=None)
        time.sleep(2.5)
        one.end(first)
        one.end(second)
        settle(one)
        truth = one.truth()
        device_j = truth.device_uj(gpu.uuid, first.begin_ns, first.end_ns) / UJ
        told_j = self.gpu_j(one, 1)
        static_j = 60 * (first.end_ns - first.begin_ns) / 1e9
        true_j = static_j * 3 / 7 + device_j - static_j  # alone on it, so all its work is the job's
        say(f"MIG 3/7: device {device_j:.0f} J, truth {true_j:.0f} J, billed {told_j} J")
        assert told_j == pytest.approx(true_j, rel=0.06)
        assert self.gpu_j(one, 2) == 0


def test_a_zone_that_appears_late(late_zone):
    """Its energy counts from the sample in which it is first seen."""
    one, hand, appeared_ns = late_zone
    one.until(
        lambda: any("package-1" in segment.meter for segment in one.segments()), "the zone", 90
    )
    found_at = next(each.start_at for each in one.segments() if "package-1" in each.meter)
    one.end(hand)
    settle(one)
    truth = one.truth()
    first = truth.device_uj("package-0", 0, time.time_ns()) / UJ
    second = truth.device_uj("package-1", appeared_ns, time.time_ns()) / UJ
    since = truth.device_uj("package-1", found_at * 10**9, time.time_ns()) / UJ
    say(f"late zone: {first:.0f} J, {second:.0f} J ({since:.0f} J found), told {one.total_j()} J")
    assert first + since - 40 < one.total_j() < first + since + 40  # 30 W, a segment of a second
