from __future__ import annotations

import os

import pytest

from carbonsched.node.meters.meter import Gpu
from carbonsched.node.observing import Observer
from carbonsched.node.presence.cgroups import JobCgroups, NodeCpu
from carbonsched.node.presence.events import Inbox

NS = 1_000_000_000


class Panel:
    """Says when it was read, and finds a GPU's instance only when it looks."""

    sees_system = True

    def __init__(self):
        self.read_at = []
        self.looks = 0
        self.found = (Gpu(device="GPU-a", index=0),)

    def read(self, steady_ns):
        self.read_at.append(steady_ns)
        return {"counter": {"uj": 5}}

    def gpus(self):
        return self.found

    def look(self):
        self.looks += 1
        self.found = (Gpu(device="GPU-a", index=0, slices=7, instances={"MIG-1": 3}),)


@pytest.fixture
def panel():
    return Panel()


@pytest.fixture
def observer(panel, tree, clock, journal):
    return Observer(
        panel,
        JobCgroups(tree.cgroupfs, tree.procfs, tree.node),
        NodeCpu(tree.procfs),
        Inbox(tree.spool, tree.node, journal),
        clock,
    )


def gpu_event(tree, job_id, at_ns, visible):
    path = tree.event("begin", job_id, at_ns)
    path.write_text(path.read_text().replace("end\n", f"visible={visible}\nend\n"))
    os.utime(path, ns=(at_ns, at_ns))


def test_everything_is_seen_as_of_one_instant(observer, panel, tree, clock):
    tree.cpu_v1(7, 123)
    tree.busy(3)
    seen = observer.look(set(), {})
    assert (seen.wall_ns, seen.steady_ns) == (clock.wall, clock.steady)
    assert panel.read_at == [clock.steady]
    assert seen.meters == {"counter": {"uj": 5}}
    assert [(one.job_id, one.cpu_ns) for one in seen.cgroups.readings] == [(7, 123)]
    assert seen.node_cpu_ns > 0


def test_an_event_of_after_the_counters_waits_and_a_handled_one_is_not_told(observer, tree, clock):
    tree.event("begin", 7, clock.wall - NS)
    later = tree.event("begin", 8, clock.wall + NS // 2)
    assert [event.job_id for event in observer.look(set(), {}).events] == [7]
    clock.go(1)
    assert [event.name for event in observer.look({"begin.7.0.77"}, {}).events] == [later.name]


def test_gpus_are_looked_for_again_if_a_job_has_one_that_is_not_known(observer, panel, tree, clock):
    gpu_event(tree, 7, clock.wall, "GPU-a")
    observer.look(set(), {})
    assert panel.looks == 0
    gpu_event(tree, 8, clock.wall, "MIG-1")
    observer.look(set(), {})
    assert panel.looks == 1
    assert panel.gpus()[0].instances == {"MIG-1": 3}
