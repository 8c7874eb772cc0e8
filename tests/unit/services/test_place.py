"""On which of two clusters a job would emit least, by the real planner and ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.errors import ClusterUnavailableError, RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.placement import Candidacy, JobSize
from carbonsched.services.place import Submitter

ADA = Submitter(uid=1001, user="ada")
HOUR = JobSize(name="train", tasks=2, time_limit_s=3600)
NOW = Directives(start_now=True)


def place(site, *clusters, size=HOUR, directives=NOW, here=None):
    asked = Candidacy(clusters=clusters, size=size, directives=directives, here=here)
    document = site.place.document(ADA, asked)
    return document, {row["name"]: row for row in document["clusters"]}


def slurm_of(site, name):
    return site.clusters.get(name).cluster


@pytest.mark.parametrize(("german", "swedish", "best"), [(400, 100, "north"), (100, 400, "lab")])
def test_the_cluster_in_the_cleaner_zone_is_chosen(two, german, swedish, best):
    two.forecast(*[german] * 4)
    two.forecast(*[swedish] * 4, zone="SE")
    document, rows = place(two)
    # An hour of 2 of 8 CPUs half-way between 80 W and 240 W: 40 Wh, with PUE 48 Wh.
    assert rows["lab"]["mg"] == german * 48
    assert rows["north"]["mg"] == swedish * 48
    assert document["chosen"] == best
    assert document["text"].startswith(f"cluster {best}, it emits least there: about 4.80 g")
    assert "about 19.2 g starting now" in document["text"]


def test_a_job_that_may_wait_is_weighed_where_and_when_it_is_cleanest(two):
    two.forecast(400, 400, 50, 400)
    two.forecast(*[100] * 4, zone="SE")
    later = Directives(max_delay_s=3 * 3600)
    document, rows = place(two, directives=later)
    assert document["chosen"] == "lab"
    assert rows["lab"]["start_at"] == two.clock.now() + 2 * 3600
    assert "about 2.40 g starting in 02:00:00" in document["text"]
    assert place(two)[0]["chosen"] == "north"


def test_power_of_nodes_and_pue_count_as_well(make_two):
    hungry = make_two(max_w=1000.0)
    wasteful = make_two(pue_ppm=2_000_000)
    for site in (hungry, wasteful):
        site.forecast(*[200] * 4)
        site.forecast(*[180] * 4, zone="SE")
        assert place(site)[0]["chosen"] == "lab"


def test_earlier_runs_count_by_the_power_of_each_clusters_nodes(make_two):
    site = make_two(max_w=560.0)  # 320 W half-way, where the lab's nodes have 160 W
    site.forecast(*[100] * 8)
    site.forecast(*[100] * 8, zone="SE")
    job = site.slurm.submit(directives=NOW, begin=0)
    site.round()
    site.slurm.begin(job.key.job_id)
    site.actual(site.clock.at, 100, 100)
    site.deliver(*(site.segment(job, site.clock.at + 300 * n) for n in range(6)))
    site.clock.at += 1800
    site.slurm.end(job.key.job_id)
    site.round()
    site.clock.at += 1800
    site.round()
    _, rows = place(site, size=replace(HOUR, time_limit_s=None))
    assert rows["lab"]["mg"] == 180_000 * 12 * 100_000 // (10 * 3_600_000)
    assert rows["north"]["mg"] == 2 * rows["lab"]["mg"]


def test_of_equals_that_with_the_least_waiting_work_is_chosen(two):
    two.forecast(*[100] * 4)
    two.forecast(*[100] * 4, zone="SE")
    assert place(two, here="north")[0]["chosen"] == "north"
    assert place(two)[0]["chosen"] == "lab"
    assert place(two, "north", "lab")[0]["chosen"] == "north"
    two.slurm.submit(directives=NOW)
    two.adopt.run()
    document, rows = place(two, here="lab")
    assert document["chosen"] == "north"
    assert "of equals the least work waits there" in document["text"]
    assert (rows["lab"]["waiting_cpu_s"], rows["north"]["waiting_cpu_s"]) == (7200, 0)


def test_waiting_work_is_held_against_the_size_of_the_cluster(make_two):
    site = make_two(cpus=80)
    for name, cpus in (("lab", 2), ("north", 8)):
        slurm_of(site, name).submit(directives=NOW, cpus=cpus)
    site.adopt.run()
    assert place(site)[0]["chosen"] == "north"


def test_a_missing_forecast_is_no_mass_and_not_zero(two):
    two.forecast(*[400] * 4)
    two.actual(two.clock.at - 3600, 10, zone="SE")  # what was is no ground for a choice
    document, rows = place(two)
    assert rows["north"]["mg"] is None
    assert rows["north"]["why"] == "there is no forecast for its grid zone SE"
    assert document["chosen"] == "lab"
    assert "too little is known to compare emissions" in document["text"]
    assert "north: unknown (there is no forecast for its grid zone SE)" in document["text"]
    two.slurm.submit(directives=NOW)
    two.adopt.run()
    assert place(two)[0]["chosen"] == "north"


def test_without_a_length_nothing_is_weighed(two):
    two.forecast(*[400] * 4)
    two.forecast(*[100] * 4, zone="SE")
    document, rows = place(two, size=replace(HOUR, time_limit_s=None), here="lab")
    assert [row["mg"] for row in rows.values()] == [None, None]
    assert document["chosen"] == "lab"
    assert "give --time" in document["text"]


def test_most_of_a_run_under_the_forecast_is_enough(two):
    two.forecast(*[400] * 4)
    two.forecast(*[100] * 4, zone="SE")
    document, rows = place(two, size=replace(HOUR, time_limit_s=14 * 3600))
    assert document["chosen"] == "north"
    assert rows["north"]["mg"] == 14 * 48 * 100
    _, rows = place(two, size=replace(HOUR, time_limit_s=18 * 3600))
    assert rows["north"]["mg"] is None


def test_a_cluster_that_cannot_take_the_job_is_not_chosen(two):
    two.forecast(*[400] * 4)
    two.forecast(*[100] * 4, zone="SE")

    def away():
        raise ClusterUnavailableError("sinfo: connection refused")

    slurm_of(two, "north").nodes = away
    document, _ = place(two)
    assert document["chosen"] == "lab"
    assert document["text"] == (
        "cluster lab, the only one that can take the job: about 19.2 g starting now;"
        " north: it does not answer: sinfo: connection refused"
    )
    document, rows = place(two, size=replace(HOUR, tasks=17))
    assert document["chosen"] is None
    assert rows["lab"]["why"] == "the job's 17 CPUs are more than the 16 it has"


def test_only_the_clusters_that_were_named_are_weighed_each_once(two):
    two.forecast(*[400] * 4)
    document, rows = place(two, "lab", "lab")
    assert (document["chosen"], list(rows)) == ("lab", ["lab"])
    with pytest.raises(RequestError, match="'south' is not managed here; known: lab, north"):
        place(two, "lab", "south")


def test_nothing_is_kept_of_a_trial(two):
    two.forecast(*[400] * 4)
    two.forecast(*[100] * 4, zone="SE")
    waiting = two.slurm.submit(directives=Directives(max_delay_s=7200))
    two.round()
    moves = list(two.slurm.moves)
    place(two, directives=Directives(max_delay_s=7200))
    assert two.slurm.moves == moves
    assert [known.job.key for known in two.ledger.jobs.select()] == [waiting.key]
    assert two.ledger.plans.plan(waiting.key) is not None


@pytest.mark.parametrize(
    ("size", "cpus"),
    [
        (JobSize(), 1),
        (JobSize(tasks=4), 4),
        (JobSize(nodes=3), 3),
        (JobSize(nodes=3, tasks_per_node=4), 12),
        (JobSize(nodes=3, tasks=6, tasks_per_node=4, cpus_per_task=2), 12),
    ],
)
def test_cpus_are_those_that_sbatch_gives(size, cpus):
    assert size.cpus == cpus


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": 0},
        {"tasks": True},
        {"time_limit_s": 1.5},
        {"name": 7},
        {"cpus_per_task": 10**10},
    ],
)
def test_a_size_that_cannot_be_is_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        JobSize(**fields)
