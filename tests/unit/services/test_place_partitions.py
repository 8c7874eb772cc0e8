"""On which partition of one cluster a job would emit least, by the real planner and ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.errors import ClusterUnavailableError, RequestError
from carbonsched.model.directives import Directives, encode_mark
from carbonsched.model.placement import Candidacy, JobSize
from carbonsched.ports import Partition, Reservation
from carbonsched.services.place import Submitter
from carbonsched.site import NodeClass

ADA = Submitter(uid=1001, user="ada")
HOUR = JobSize(name="train", tasks=2, time_limit_s=3600)
NOW = Directives(start_now=True)
# Above idle a CPU draws 5 W on the frugal node and 20 W on the hungry one.
FRUGAL = NodeClass(nodes="n1", cpus=8, idle_w=40.0, max_w=80.0)
HUNGRY = NodeClass(nodes="n2", cpus=8, idle_w=80.0, max_w=240.0)


@pytest.fixture
def make_kinds(make_site):
    def make(*classes, forecast=(200,) * 12, **more):
        site = make_site(node_classes=classes or (FRUGAL, HUNGRY), **more)
        site.slurm.parts = {
            Partition(name="main", state="UP"): ("n1", "n2"),
            Partition(name="frugal", state="UP"): ("n1",),
            Partition(name="hungry", state="UP"): ("n2",),
        }
        site.forecast(*forecast)
        return site

    return make


@pytest.fixture
def kinds(make_kinds):
    return make_kinds()


def place(site, *partitions, size=HOUR, directives=NOW, here=None):
    asked = Candidacy(
        clusters=(), partitions=partitions or ("hungry", "frugal"), size=size,
        directives=directives, here=here,
    )  # fmt: skip
    document = site.place.document(ADA, asked)
    return document, {row["name"]: row for row in document["partitions"]}


def bound(site, name, **fields):
    """Gives a partition other properties."""
    site.slurm.parts = {
        replace(one, **fields) if one.name == name else one: nodes
        for one, nodes in site.slurm.parts.items()
    }


def ran(site, partition, joules_per_300_s, times=3, length_s=900, **job):
    """Runs of a job, metered in full and settled."""
    node = {"frugal": "n1", "hungry": "n2"}[partition]
    for _ in range(times):
        one = site.slurm.submit(directives=NOW, begin=0, partition=partition, **job)
        site.round()
        site.slurm.begin(one.key.job_id, node)
        site.actual(site.clock.at, 200, 200)
        starts = range(site.clock.at, site.clock.at + length_s, 300)
        site.deliver(
            *(replace(site.segment(one, at, energy_j=joules_per_300_s), node=node) for at in starts)
        )
        site.clock.at += length_s
        site.slurm.end(one.key.job_id)
        site.round()
    site.clock.at += 1800
    site.round()
    site.forecast(*[200] * 12)


def occupy(site, node, cpus=8, hours=3, **job):
    """A job that runs on a node."""
    one = site.slurm.submit("ben", begin=0, cpus=cpus, time_limit_s=hours * 3600, **job)
    site.slurm.begin(one.key.job_id, node)
    site.adopt.run()
    return one


def test_by_declared_figures_the_frugal_nodes_are_chosen(kinds):
    document, rows = place(kinds)
    # 2 CPUs for half of an hour (what is expected of it), with PUE 1.2 and 200 g/kWh.
    assert rows["frugal"]["mg"] == 2 * 5 * 1200 * 200 // 2000
    assert rows["hungry"]["mg"] == 2 * 20 * 1200 * 200 // 2000
    assert document["chosen"] == "frugal"
    assert document["text"] == (
        "partition frugal, it emits least there: about 1.20 g starting now, by the power declared"
        " for its nodes; hungry: about 4.80 g starting now, by the power declared for its nodes"
    )
    assert (rows["frugal"]["power"], rows["frugal"]["samples"]) == ("declared", 0)


def test_runs_of_the_same_script_count_whatever_their_name(kinds):
    script = replace(NOW, script_digest="0123456789abcdef")
    ran(kinds, "frugal", 300 * 70, name="monday", comment=encode_mark(script))
    larger = replace(HOUR, tasks=4)
    _, rows = place(kinds, size=larger, directives=script)
    assert (rows["frugal"]["power"], rows["frugal"]["samples"]) == ("history", 3)
    _, rows = place(kinds, size=larger)
    assert rows["frugal"]["power"] == "declared"


def test_three_runs_there_count_before_what_is_declared(kinds):
    # Beside their shares of idle power, 10 and 20 W: 60 W above idle and 4 W.
    ran(kinds, "frugal", 300 * 70)
    ran(kinds, "hungry", 300 * 24)
    document, rows = place(kinds)
    assert document["chosen"] == "hungry"
    assert [rows[name]["power"] for name in ("frugal", "hungry")] == ["history", "history"]
    assert rows["frugal"]["mg"] == round(60 * 0.25 * 1.2 * 200)
    assert rows["hungry"]["mg"] == round(4 * 0.25 * 1.2 * 200)
    assert (
        "hungry, it emits least there: about 240 mg starting now, by 3 earlier jobs there"
        in (document["text"])
    )


def test_runs_on_other_nodes_count_by_the_declared_ratio(kinds):
    ran(kinds, "hungry", 300 * 60, times=1)
    _, rows = place(kinds, size=replace(HOUR, time_limit_s=None))
    assert rows["hungry"]["basis"] == "by the power declared for its nodes"
    assert rows["frugal"]["basis"] == "by 1 earlier job elsewhere times 0.25, as declared"
    assert rows["frugal"]["mg"] == round(40 * 0.25 * 0.25 * 1.2 * 200)


def test_other_jobs_show_how_the_kinds_compare(kinds):
    for name in ("a", "b", "c"):
        ran(kinds, "frugal", 300 * 30, times=1, user="ben", name=name)
        ran(kinds, "hungry", 300 * 30, times=1, user="ben", name=name)
    ran(kinds, "frugal", 300 * 14)
    _, rows = place(kinds, size=replace(HOUR, time_limit_s=None))
    assert (rows["hungry"]["power"], rows["hungry"]["samples"]) == ("ratio", 3)
    assert rows["hungry"]["mg"] == round(2 * 0.25 * 1.2 * 200)
    assert rows["hungry"]["basis"].endswith("times 0.5, as 3 jobs on both showed")


def test_run_times_there_count_as_well(make_kinds):
    site = make_kinds(FRUGAL, replace(HUNGRY, max_w=130.0))
    ran(site, "frugal", 300 * 20, length_s=2700)
    ran(site, "hungry", 300 * 32, length_s=300)
    document, rows = place(site)
    assert rows["frugal"]["mg"] == round(10 * 0.75 * 1.2 * 200)
    assert rows["hungry"]["mg"] == round(12 / 12 * 1.2 * 200)
    assert document["chosen"] == "hungry"


def test_power_that_nothing_tells_is_unknown_and_not_zero(make_kinds):
    site = make_kinds(FRUGAL)
    site.slurm.parts[Partition(name="rest", state="UP")] = ("n2",)
    document, rows = place(site, "rest", "hungry", "frugal")
    assert rows["rest"]["mg"] is rows["hungry"]["mg"] is None
    assert (
        "hungry: unknown (nothing tells what its nodes draw above idle; declare"
        in (document["text"])
    )
    assert "too little is known to compare emissions" in document["text"]


def test_without_a_length_nothing_is_weighed(kinds):
    document, rows = place(kinds, size=replace(HOUR, time_limit_s=None))
    assert rows["frugal"]["mg"] is None
    assert "give --time" in document["text"]


def test_a_partition_that_is_full_beyond_the_latest_start_is_not_chosen(kinds):
    occupy(kinds, "n1")
    document, rows = place(kinds)
    assert document["chosen"] == "hungry"
    assert document["text"].startswith(
        "partition hungry, the only one with room by its latest start: about 4.80 g starting now"
    )
    assert rows["frugal"]["late"]
    assert "frugal: about 1.20 g starting in 02:00:00, later than it may" in document["text"]
    document, rows = place(kinds, directives=Directives(max_delay_s=4 * 3600))
    assert document["chosen"] == "frugal"
    assert not rows["frugal"]["late"]


def test_where_all_are_full_the_least_mass_counts(kinds):
    occupy(kinds, "n1")
    occupy(kinds, "n2")
    assert place(kinds)[0]["chosen"] == "frugal"


def test_a_clean_window_with_room_beats_frugal_nodes_without(make_kinds):
    kinds = make_kinds(forecast=(600, 600, 100, 100, 600, 600, 600, 600))
    occupy(kinds, "n1", hours=12)
    later = Directives(max_delay_s=5 * 3600)
    document, rows = place(kinds, directives=later)
    assert document["chosen"] == "hungry"
    assert rows["hungry"]["start_at"] == kinds.clock.now() + 2 * 3600


def test_only_what_runs_on_its_nodes_and_waits_for_it_takes_its_room(kinds):
    for fields in ({"partition": "hungry"}, {"partition": "main"}):
        kinds.slurm.submit("ben", Directives(max_delay_s=0), begin=0, cpus=8, **fields)
    occupy(kinds, "n2", partition="main")
    kinds.adopt.run()
    document, rows = place(kinds)
    assert document["chosen"] == "frugal"
    assert not rows["frugal"]["late"]
    assert rows["frugal"]["waiting_cpu_s"] == 0
    assert rows["hungry"]["waiting_cpu_s"] == 8 * 3600
    kinds.slurm.submit("ben", Directives(max_delay_s=0), begin=0, cpus=8, partition="hungry,frugal")
    kinds.adopt.run()
    _, rows = place(kinds)
    assert rows["frugal"]["late"]
    assert rows["frugal"]["waiting_cpu_s"] == 8 * 3600


def test_a_job_on_nodes_of_several_partitions_holds_its_share(kinds):
    wide = occupy(kinds, "n1", cpus=12)
    kinds.slurm.present[wide.key.job_id] = replace(
        kinds.slurm.present[wide.key.job_id], nodes=("n1", "n2")
    )
    kinds.adopt.run()
    assert place(kinds, size=replace(HOUR, tasks=2))[1]["frugal"]["late"] is False
    assert place(kinds, size=replace(HOUR, tasks=3))[1]["frugal"]["late"] is True


def test_reservations_and_drained_nodes_count_where_they_are(kinds):
    now = kinds.clock.now()
    kinds.slurm.reserved = [Reservation(start_at=now, end_at=now + 7200, nodes=("n1",))]
    document, rows = place(kinds)
    assert (document["chosen"], rows["frugal"]["late"]) == ("hungry", True)
    kinds.slurm.drained = {"n2"}
    document, rows = place(kinds)
    assert document["chosen"] == "frugal"
    assert rows["hungry"]["why"] == "the job's 1 nodes are more than the 0 it has"


@pytest.mark.parametrize(
    ("fields", "size", "why"),
    [
        ({"state": "DOWN"}, {}, "it is DOWN"),
        ({"state": "DRAIN"}, {}, "it is DRAIN"),
        ({"max_time_s": 1800}, {}, "the job's time limit 01:00:00 is beyond its 00:30:00"),
        ({"max_nodes": 1}, {"nodes": 2}, "it takes jobs of at most 1 nodes"),
        ({"min_nodes": 2}, {"nodes": 1}, "it takes jobs of at least 2 nodes"),
        ({}, {"nodes": 2}, "the job's 2 nodes are more than the 1 it has"),
        ({}, {"tasks": 9}, "the job's 9 CPUs are more than the 8 it has"),
        ({}, {"tasks": 9, "nodes": 1}, "the job's 9 CPUs are more than the 8 its largest 1 nodes"),
        ({}, {"cpus_per_task": 9}, "the job's 1 nodes with 9 CPUs are more than the 0 it has"),
    ],
)
def test_a_partition_that_cannot_take_the_job_is_no_candidate(kinds, fields, size, why):
    bound(kinds, "frugal", **fields)
    document, rows = place(kinds, "main", "frugal", size=replace(HOUR, **size))
    assert rows["frugal"]["why"].startswith(why)
    assert not rows["frugal"]["takes"]
    assert document["chosen"] in ("main", None)


def test_a_partition_that_does_not_exist(kinds):
    document, _ = place(kinds, "frugal", "fast")
    assert document["text"] == (
        "partition frugal, the only one that can take the job: about 1.20 g starting now, by the"
        " power declared for its nodes; fast: cluster lab has no such partition"
    )
    document, _ = place(kinds, "fast")
    assert document["chosen"] is None
    assert document["text"].startswith("the job can run on none of the partitions; fast:")


def test_a_cluster_that_does_not_answer(kinds):
    def away():
        raise ClusterUnavailableError("sinfo: connection refused")

    kinds.slurm.nodes = away
    document, _ = place(kinds)
    assert document["chosen"] is None
    assert "frugal: cluster lab does not answer: sinfo: connection refused" in document["text"]


def test_of_alike_nodes_the_partition_with_the_least_waiting_work(make_kinds):
    site = make_kinds(replace(FRUGAL, nodes="n[1-2]"))
    assert place(site)[0]["chosen"] == "hungry"
    site.slurm.submit("ben", Directives(max_delay_s=0), begin=0, partition="hungry")
    site.adopt.run()
    document, _ = place(site)
    assert document["chosen"] == "frugal"
    assert "of equals the least work waits there" in document["text"]


def test_in_shadow_mode_a_job_that_started_still_counts_where_it_is(make_kinds):
    site = make_kinds(shadow=True, forecast=(600, 600, 100, 100, 600, 600, 600, 600))
    job = site.slurm.submit(
        "ben", Directives(max_delay_s=5 * 3600), begin=0, cpus=8, partition="frugal"
    )
    site.round()
    site.slurm.begin(job.key.job_id, "n1")
    site.adopt.run()
    document, rows = place(site, directives=Directives(max_delay_s=5 * 3600))
    assert document["chosen"] == "frugal"
    assert rows["hungry"]["mg"] > rows["frugal"]["mg"]


def test_with_several_clusters_that_of_the_partitions_is_named(make_two):
    site = make_two()
    with pytest.raises(RequestError, match="name that of the partitions in here"):
        place(site, "main")
    site.forecast(*[200] * 4)
    document, _ = place(site, "main", here="north")
    assert document["text"].endswith("main: cluster north has no such partition")
    with pytest.raises(RequestError, match="'south' is not managed here"):
        place(site, "main", here="south")


def test_nothing_is_kept_of_a_trial(kinds):
    waiting = kinds.slurm.submit(directives=Directives(max_delay_s=7200), partition="frugal")
    kinds.round()
    moves = list(kinds.slurm.moves)
    place(kinds, directives=Directives(max_delay_s=7200))
    assert kinds.slurm.moves == moves
    assert [known.job.key for known in kinds.ledger.jobs.select()] == [waiting.key]


def test_clusters_and_partitions_cannot_be_chosen_at_once():
    with pytest.raises(ValueError, match="name one kind"):
        Candidacy(clusters=("lab",), partitions=("main",), size=HOUR, directives=NOW)
