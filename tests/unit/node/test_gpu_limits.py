"""The power limit of a job's GPUs in its epochs, from the library that stands in for NVIDIA's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.epoch import EpochRecord
from carbonsched.node.mark_format import Mark
from carbonsched.node.meters.meter import Gpu

from .accounts.rig import NS, Rig
from .meters.nvml_rig import Call, Child, Code, plant_nvml

COUNT = 3


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    child = Child({"LD_LIBRARY_PATH": str(plant_nvml.build(tmp_path_factory.mktemp("nvml")))})
    yield child
    child.end()


class Scene:
    """A node with three GPUs, a job on it, and its epochs."""

    def __init__(self, child, path, log, panel):
        self.plant = plant_nvml.NvmlPlant(path, COUNT)
        self.child = child
        child.open(str(path))
        self.rig = Rig(panel, log)
        self.look()

    def look(self, *events, seconds=0.0):
        """A sample, as the agent takes one."""
        self.child.read(self.rig.steady + round(seconds * NS))
        self.rig.panel.inventory = tuple(Gpu(**gpu) for gpu in self.child.gpus())
        self.rig.go(seconds, *events) if seconds else self.rig.see(*events)

    def begin(self, **gpus):
        self.look(replace(self.rig.begin(7), **gpus), seconds=1)

    def set(self, watts, *indices):
        for index in indices or range(COUNT):
            self.plant.devices[index].enforced_mw = watts * 1000

    def epoch(self, number, *between):
        """One epoch with a sample before, after and between each of what is done in it."""
        job = self.rig.metering.jobs.latest(7)
        for start in (True, False):
            self.look(seconds=0.5)
            self.rig.metering.mark(
                job, 1000,
                Mark(start=start, epoch=number, epochs=9, steps=0, step_relative_sd=None),
            )  # fmt: skip
            for act in between if start else ():
                act()
                self.look(seconds=1)
        record = [one for one in self.rig.metering.closed if isinstance(one, EpochRecord)][-1]
        assert record.epoch == number
        return record.gpu_limit_w


@pytest.fixture
def scene(child, tmp_path, log, steady_panel):
    yield Scene(child, tmp_path / "plant", log, steady_panel())
    child.close()


def nothing():
    """Time passes."""


def test_an_epoch_has_the_limit_that_all_its_gpus_have(scene):
    scene.set(300, 0, 1)
    scene.begin(gpus="0,1")
    assert scene.epoch(1, nothing, nothing) == 300  # the third, at 700 W, is nobody's of it
    scene.set(250)
    assert scene.epoch(2, nothing) == 250


def test_gpus_that_differ_have_no_common_limit(scene):
    scene.set(300, 0)
    scene.begin(gpus="0,1")
    assert scene.epoch(1, nothing) is None
    scene.set(300, 1)
    assert scene.epoch(2, nothing) == 300


def test_a_limit_that_changes_within_an_epoch_is_none_of_its(scene):
    scene.begin(gpus="0")
    assert scene.epoch(1, nothing, lambda: scene.set(300), nothing) is None
    assert scene.epoch(2, nothing) == 300


def test_nor_is_one_that_was_set_back_before_its_end(scene):
    scene.begin(gpus="0")
    assert scene.epoch(1, nothing, lambda: scene.set(300), lambda: scene.set(700)) is None
    assert scene.epoch(2, nothing) == 700


@pytest.mark.parametrize("code", [Code.NOT_SUPPORTED, Code.UNKNOWN])
def test_gpus_that_do_not_tell_have_an_unknown_limit(child, tmp_path, log, steady_panel, code):
    scene = Scene(child, tmp_path / "plant", log, steady_panel())
    scene.plant.devices[0].fail(code, Call.LIMIT)
    scene.begin(gpus="0,1")
    assert scene.epoch(1, nothing) is None
    child.close()


def test_a_job_without_gpus_has_no_limit(scene):
    scene.begin()
    assert scene.epoch(1, nothing) is None


def test_a_job_that_has_a_gpu_that_nobody_knows_has_none(scene):
    scene.begin(gpus="0,9")
    assert scene.epoch(1, nothing) is None


def test_a_part_of_a_gpu_has_none_for_others_may_draw_up_to_it(scene):
    scene.plant.devices[0].divide(("MIG-a", 1, 3, 3), ("MIG-b", 2, 4, 4))
    scene.child.look()
    scene.begin(gpus="0", visible="MIG-a")
    assert scene.epoch(1, nothing) is None


def test_time_that_was_not_metered_within_an_epoch_leaves_it_without(scene):
    scene.begin(gpus="0")
    gap_s = scene.rig.panel.longest_gap_ns // NS + 1
    assert scene.epoch(1, lambda: scene.look(seconds=gap_s)) is None
    assert scene.epoch(2, nothing) == 700


def test_the_next_agent_goes_on_with_an_open_epoch(scene):
    scene.begin(gpus="0")
    assert scene.epoch(1, scene.rig.restart) == 700
    assert scene.epoch(2, scene.rig.restart, lambda: scene.set(300)) is None


def test_an_epoch_that_an_agent_of_before_left_open_has_an_unknown_limit(scene):
    def upgrade():
        state = scene.rig.metering.to_state()
        del state["epochs"]["open"][0]["limit_w"]
        scene.rig.metering.load(state)

    scene.begin(gpus="0")
    assert scene.epoch(1, upgrade) is None
    assert scene.epoch(2, nothing) == 700
