"""Reading what Slurm's commands print: recorded answers, hostile texts, broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.cluster import (
    history,
    node_list,
    partitions,
    queue_json,
    queue_text,
    reservations,
)
from carbonsched.cluster.delimited import new_delimiter, read_records
from carbonsched.errors import ClusterError

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "slurm"
RECORDED = FIXTURES / "22.05.8"
DELIMITER = "\x1f@\x1f"


def text_of(path):
    return path.read_bytes().decode("utf-8")


def queue_by_json():
    return queue_json.read_queue("lab", text_of(RECORDED / "squeue.json"))


def queue_by_text():
    return queue_text.read_queue("lab", text_of(RECORDED / "squeue.txt"), DELIMITER)


def recorded_history():
    runs = history.read_runs(text_of(RECORDED / "sacct-runs.txt"), DELIMITER)
    text = text_of(RECORDED / "sacct.txt")
    return history.read_history("lab", text, DELIMITER, history.count_restarts(runs))


def named(jobs, name):
    return [job for job in jobs if job.name.startswith(name)]


@pytest.mark.parametrize("read", [queue_by_json, queue_by_text])
class TestQueue:
    def test_a_running_job(self, read):
        (wide,) = named(read(), "wide")
        assert wide.active
        assert (wide.node_count, wide.cpus, wide.nodes) == (2, 4, ("s1", "s2"))
        assert wide.started_at is not None
        assert wide.ended_at is None
        assert wide.time_limit_s is None

    def test_names_and_comments_survive(self, read):
        (job,) = named(read(), "quo")
        assert job.name == 'quo"te | bar, ü\nnext'
        assert job.comment == "a'b|c\n2 é"
        assert job.pending
        assert job.eligible_at is not None
        assert job.started_at is None

    def test_a_pending_array_is_one_row_with_its_tasks(self, read):
        (job,) = named(read(), "array")
        assert job.tasks == 11
        assert job.array_job_id == job.key.job_id
        assert job.shown_id == f"{job.key.job_id}_[1-10,12%2]"

    def test_tasks_of_a_running_array_are_jobs_of_their_own(self, read):
        tasks = named(read(), "sweep")
        assert sorted(job.array_task for job in tasks) == ["0", "1", "2", "3"]
        assert {job.time_limit_s for job in tasks} == {600}

    def test_parts_of_a_heterogeneous_job_share_an_id(self, read):
        one, two = named(read(), "het")
        assert one.het_job_id == two.het_job_id == min(one.key.job_id, two.key.job_id)

    def test_a_requeued_job_counts_its_restarts(self, read):
        (job,) = named(read(), "again")
        assert (job.pending, job.key.restarts, job.time_limit_s) == (True, 1, 420)

    def test_a_deadline(self, read):
        (job,) = named(read(), "held")
        assert job.deadline_at == job.key.submitted_at + 7200
        assert job.reason == "JobHeldUser"

    def test_ended_jobs(self, read):
        (short,) = named(read(), "short")
        (gone,) = named(read(), "gone")
        assert short.ended
        assert short.started_at is not None
        assert gone.state == "CANCELLED"
        assert gone.started_at is None  # it never ran


def test_both_outputs_of_squeue_say_the_same_but_for_the_admin_comment():
    by_json = sorted(queue_by_json(), key=lambda job: job.key)
    by_text = sorted(queue_by_text(), key=lambda job: job.key)
    for one, other in zip(by_json, by_text, strict=True):
        for name in set(one.__slots__) - {"admin_comment"}:
            assert getattr(one, name) == getattr(other, name), (one.shown_id, name)
    assert named(by_json, "array")[0].admin_comment == "carbonsched: it's noted"


def test_numbers_wrapped_and_states_in_lists():
    running, pending, task = queue_json.read_queue(
        "hpc", text_of(FIXTURES / "composed" / "squeue-wrapped.json")
    )
    assert (running.state, running.cpus, running.nodes) == ("RUNNING", 64, ("cn1", "cn2"))
    assert (running.time_limit_s, running.deadline_at, running.array_job_id) == (7200, None, None)
    assert (pending.tasks, pending.time_limit_s, pending.key.restarts) == (6, None, 2)
    assert (pending.deadline_at, pending.started_at) == (1763000000, None)
    assert (task.state, task.shown_id, task.ended_at) == ("COMPLETING", "5740_3", None)


def test_history_has_each_run_by_itself():
    jobs = recorded_history()
    first, second = sorted(named(jobs, "again"), key=lambda job: job.key.restarts)
    assert (first.state, first.key.restarts, first.ended) == ("REQUEUED", 0, True)
    assert (second.key.restarts, second.pending) == (1, True)
    assert first.ended_at is not None


def test_a_run_has_the_same_key_in_queue_and_history():
    keys = {job.key for job in recorded_history()}
    queued = {job.key for job in queue_by_json()}
    assert queued <= keys


def test_history_reads_what_is_odd():
    jobs = recorded_history()
    (gone,) = named(jobs, "gone")
    (het, _) = named(jobs, "het")
    (wide,) = named(jobs, "wide")
    (array,) = named(jobs, "array")
    assert (gone.started_at, gone.state) == (None, "CANCELLED")
    assert het.het_job_id == het.key.job_id
    assert (wide.nodes, wide.cpus, wide.time_limit_s) == (("s1", "s2"), 4, None)
    assert (array.array_task, array.tasks) == ("[1-10,12%2]", 11)
    assert named(jobs, "held")[0].time_limit_s == 1800


def row(**values):
    empty = dict.fromkeys(history.FIELDS, "")
    least = {"JobIDRaw": "7", "JobID": "7", "Submit": "1000", "UID": "5", "State": "COMPLETED"}
    return "".join(value + DELIMITER for value in (empty | least | values).values()) + "\n"


@pytest.mark.parametrize(
    ("told", "energy_j"),
    [
        ("5400000", 5_400_000),
        ("1", 1),
        ("", None),
        ("0", None),
        ("5.40M", None),
        ("-1", None),
        ("18446744073709551614", None),
        ("18446744073709551615", None),
        (str(10**15), 10**15),
        (str(10**15 + 1), None),
        ("N/A", None),
    ],
)
def test_slurms_own_energy_is_whole_joules_or_not_known(told, energy_j):
    names = (*history.FIELDS, history.ENERGY)
    text = row(Start="900", End="1000", NodeList="n1").removesuffix("\n") + told + DELIMITER + "\n"
    (job,) = history.read_history("lab", text, DELIMITER, {}, names)
    assert job.slurm_energy_j == energy_j


def test_a_cluster_that_collects_no_energy_tells_none():
    names = (*history.FIELDS, history.ENERGY)
    text = text_of(RECORDED / "sacct-energy.txt")
    told = {record[history.ENERGY] for record in read_records(text, names, DELIMITER)}
    assert told == {"", "0"}
    jobs = history.read_history("lab", text, DELIMITER, {}, names)
    assert any(job.ended for job in jobs)
    assert {job.slurm_energy_j for job in jobs} == {None}


def test_the_energy_of_a_job_that_goes_on_is_not_known_yet():
    names = (*history.FIELDS, history.ENERGY)
    text = row(State="RUNNING", Start="900", NodeList="n1").removesuffix("\n") + f"77{DELIMITER}\n"
    (job,) = history.read_history("lab", text, DELIMITER, {}, names)
    assert job.slurm_energy_j is None


def test_rows_with_missing_values_survive():
    text = row(NNodes="0n", AllocCPUS="", End="Unknown") + row(JobIDRaw="", UID="x") + row(UID="6")
    jobs = history.read_history("lab", text, DELIMITER, {})
    assert [job.uid for job in jobs] == [5, 6]
    assert (jobs[0].node_count, jobs[0].cpus, jobs[0].ended_at) == (1, 1, None)


def test_an_end_before_the_start_means_that_it_never_ran():
    (job,) = history.read_history("lab", row(Start="900", End="800", NodeList="n1"), DELIMITER, {})
    assert (job.started_at, job.ended_at) == (None, 800)


def run(submitted_at, state, ended_at=None, job_id=7):
    return history.Run(job_id=job_id, submitted_at=submitted_at, ended_at=ended_at, state=state)


def test_restarts_are_counted_by_the_order_of_runs():
    runs = [
        run(30, "COMPLETED", 40),
        run(10, "REQUEUED", 20),
        run(20, "NODE_FAIL", 30),
        run(20, "NODE_FAIL", 30),
        run(10, "COMPLETED", 20, job_id=8),
    ]
    assert history.count_restarts(runs) == {(7, 10): 0, (7, 20): 1, (7, 30): 2, (8, 10): 0}


def test_an_id_that_came_round_again_is_another_job():
    runs = [run(10, "REQUEUED", 20), run(20, "COMPLETED", 30), run(10_000_000, "RUNNING")]
    assert history.count_restarts(runs)[7, 10_000_000] == 0
    again = [run(10, "COMPLETED", 30), run(100, "RUNNING")]
    assert history.count_restarts(again)[7, 100] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"jobs": [{}]}', '{"jobs": 3}', "<html>"])
def test_json_that_is_not_squeues_is_an_error_of_our_own(text):
    with pytest.raises(ClusterError):
        queue_json.read_queue("lab", text)


def test_errors_in_json_are_passed_on():
    text = '{"jobs": [], "errors": [{"description": "it broke", "error_number": 9}]}'
    with pytest.raises(ClusterError, match="it broke"):
        queue_json.read_queue("lab", text)


@pytest.mark.parametrize("text", ["cut", f"a{DELIMITER}", f"a{DELIMITER}b{DELIMITER}c"])
def test_delimited_output_that_is_cut_off_is_refused(text):
    with pytest.raises(ClusterError):
        read_records(text, ("one", "two"), DELIMITER)


FIELD = st.text(max_size=20)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=5))
def test_any_text_survives_between_delimiters(rows):
    delimiter = new_delimiter()
    rows = [(f"1{first}", second, third) for first, second, third in rows]
    text = "".join("".join(value + delimiter for value in values) + "\n" for values in rows)
    records = read_records(text, ("a", "b", "c"), delimiter)
    assert [tuple(record.values()) for record in records] == rows


def test_nodes_once_each_with_their_partitions():
    nodes = node_list.read_nodes(text_of(RECORDED / "sinfo.txt"))
    assert [(node.name, node.cpus, node.available) for node in nodes] == [
        ("s1", 8, True),
        ("s2", 8, True),
    ]
    assert set(nodes[0].partitions) == {"main", "short"}


@pytest.mark.parametrize(
    ("state", "available"),
    [
        ("idle", True), ("mixed", True), ("allocated", True), ("completing", True),
        ("idle~", True), ("mixed-", True), ("idle*", False), ("down", False), ("down*", False),
        ("drained", False), ("draining", False), ("drained*", False), ("maint", False),
        ("reserved", False), ("idle$", False), ("unknown", False), ("mixed@", False),
    ],
)  # fmt: skip
def test_which_nodes_can_take_work(state, available):
    assert node_list.read_nodes(f"n1|4|{state}|main\n")[0].available is available


@pytest.mark.parametrize(
    ("state", "maintained"),
    [
        ("maint", True), ("MAINT", True), ("mixed$", True), ("allocated$", True),
        ("maint*", False), ("drained$", False), ("down$", False), ("idle", False), ("idle@", False),
    ],
)  # fmt: skip
def test_which_nodes_come_back_when_a_maintenance_is_over(state, maintained):
    assert node_list.read_nodes(f"n1|4|{state}|main\n")[0].maintained is maintained


def test_reservations_as_recorded():
    found = reservations.read_reservations(text_of(RECORDED / "reservations.txt"))
    assert [(one.nodes, one.cpus, one.every_s, one.end_at - one.start_at) for one in found] == [
        (("n1",), 8, None, 4 * 3600),  # maintenance
        (("n1",), 8, 86_400, 3600),
        (("n2",), 2, None, 36_000),  # two cores of it
    ]  # and none that always begins in an hour
    assert found[0].start_at == 1_795_872_813


@pytest.mark.parametrize("text", ["", "No reservations in the system\n"])
def test_no_reservations(text):
    assert reservations.read_reservations(text) == []


def reservation(nodes="n[1-3]", begins="1795872813", name="x", flags=""):
    return (
        f"ReservationName={name} StartTime={begins} EndTime=1795887213 Nodes={nodes} NodeCnt=3"
        f" Flags={flags} TRES=cpu=24 Users=root"
    )


def test_a_reservation_of_licences_keeps_no_node():
    assert reservations.read_reservations(reservation(nodes="(null)")) == []


def test_the_name_of_a_reservation_is_no_field():
    (one,) = reservations.read_reservations(reservation(name="a Nodes=n9 Flags=TIME_FLOAT"))
    assert one.nodes == ("n1", "n2", "n3")


@pytest.mark.parametrize("broken", [{"nodes": "n[1-"}, {"begins": "soon"}])
def test_a_reservation_that_cannot_be_read(broken):
    with pytest.raises(ClusterError):
        reservations.read_reservations(reservation(**broken))


def test_nodes_that_cannot_be_read():
    with pytest.raises(ClusterError):
        node_list.read_nodes("n1|four|idle|main\n")


def test_partitions_as_recorded():
    found = {
        one.name: one for one in partitions.read_partitions(text_of(RECORDED / "partitions.txt"))
    }
    assert {name: one.state for name, one in found.items()} == {
        "main": "UP", "frugal": "UP", "hungry": "UP", "closed": "DOWN", "wide": "DRAIN",
    }  # fmt: skip
    limits = {name: one.max_time_s for name, one in found.items()}
    assert limits == {
        "main": None, "frugal": 36 * 3600, "hungry": 5400, "closed": None, "wide": 3600,
    }  # fmt: skip
    assert (found["wide"].min_nodes, found["wide"].max_nodes) == (2, 4)
    assert (found["main"].min_nodes, found["main"].max_nodes) == (0, None)


@pytest.mark.parametrize("text", ["", "No partitions in the system\n"])
def test_no_partitions(text):
    assert partitions.read_partitions(text) == []


def test_a_partition_that_cannot_be_read():
    with pytest.raises(ClusterError, match="without 'State'"):
        partitions.read_partitions("PartitionName=x MaxNodes=1 MaxTime=60 MinNodes=0\n")
