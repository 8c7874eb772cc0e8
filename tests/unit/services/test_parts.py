"""A partition cut out of its cluster: nothing of jobs and reservations is lost or counted twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.job import Job, JobKey
from carbonsched.model.placement import JobSize
from carbonsched.ports import Node, Partition, Reservation
from carbonsched.services.parts import Part

NAMES = [f"n{number}" for number in range(6)]
HALVES = {name: "odd" if int(name[1:]) % 2 else "even" for name in NAMES}
NODES = [Node(name=name, cpus=8, available=True, partitions=(HALVES[name],)) for name in NAMES]
PARTS = [Part.of(Partition(name=name, state="UP"), NODES) for name in ("even", "odd")]
SOME = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple)


def job(state="RUNNING", **fields):
    return Job(
        key=JobKey(cluster="lab", job_id=1, submitted_at=0, restarts=0), uid=1, user="ada",
        account="", name="x", state=state, **{"partition": "even", **fields},
    )  # fmt: skip


def test_a_partition_has_the_nodes_that_name_it():
    assert [[node.name for node in part.nodes] for part in PARTS] == [
        ["n0", "n2", "n4"],
        ["n1", "n3", "n5"],
    ]


@given(SOME, st.integers(1, 48))
def test_the_cpus_of_a_running_job_are_shared_by_its_nodes(nodes, cpus):
    found = [part.job(job(nodes=nodes, cpus=cpus)) for part in PARTS]
    here = [one for one in found if one is not None]
    assert sorted(node for one in here for node in one.nodes) == sorted(nodes)
    assert cpus <= sum(one.cpus for one in here) < cpus + len(PARTS)
    for one in here:
        assert abs(one.cpus - cpus * len(one.nodes) / len(nodes)) < 1


@given(SOME, st.one_of(st.none(), st.integers(1, 48)))
def test_a_reservation_keeps_as_much_of_all_parts_as_of_the_whole(nodes, cpus):
    whole = Reservation(start_at=0, end_at=9, nodes=nodes, cpus=cpus, every_s=86_400)
    kept = [one for part in PARTS for one in part.reservations([whole])]
    assert sorted(node for one in kept for node in one.nodes) == sorted(nodes)
    assert {(one.start_at, one.end_at, one.every_s) for one in kept} == {(0, 9, 86_400)}
    if cpus is None:
        assert {one.cpus for one in kept} == {None}
    else:
        assert cpus <= sum(one.cpus for one in kept) < cpus + len(PARTS)


def test_a_job_waits_in_each_partition_that_it_may_go_to():
    def waits(partition, **fields):
        waiting = job("PENDING", partition=partition, **fields)
        return [part.partition.name for part in PARTS if part.job(waiting) is waiting]

    assert waits("even") == ["even"]
    assert waits("odd,even") == ["even", "odd"]
    assert waits("evening") == []
    assert PARTS[0].job(job(nodes=())) is not None  # it begins, and has no nodes yet
    assert PARTS[1].job(job(nodes=())) is None


@given(
    st.builds(
        JobSize,
        nodes=st.one_of(st.none(), st.integers(1, 5)),
        tasks=st.one_of(st.none(), st.integers(1, 40)),
        tasks_per_node=st.one_of(st.none(), st.integers(1, 9)),
        cpus_per_task=st.one_of(st.none(), st.integers(1, 9)),
    )
)
def test_what_a_partition_takes_fits_on_its_nodes(size):
    part = PARTS[0]
    each = (size.tasks_per_node or 1) * (size.cpus_per_task or 1)
    able = each <= 8 and size.node_count <= 3 and size.cpus <= 8 * (size.nodes or 3)
    assert (part.refusal(size) is None) is able
