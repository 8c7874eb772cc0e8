"""What is left of a job under another GPU power limit or on other nodes, by the real ledger."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ClusterUnavailableError
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.ports import Partition
from carbonsched.prediction.conditions import SAME, Factor
from carbonsched.reports.queue_documents import read_queue
from carbonsched.services.conditions import Asked
from carbonsched.services.otherwise import Span
from carbonsched.site import NodeClass

from .conftest import ROOT

TWO_KINDS = (
    NodeClass(nodes="n1", cpus=8, idle_w=80.0, max_w=240.0),
    NodeClass(nodes="n2", cpus=8, idle_w=90.0, max_w=300.0),
)
SLOW = {"limit_w": 200, "seconds": 130, "joules": 26_000}
FAST = {"limit_w": 300, "seconds": 100, "joules": 30_000}


class Lab:
    """A site, jobs that mark epochs one after the other, and what is asked of them."""

    def __init__(self, site):
        self.site = site
        site.forecast(*[400] * 48)

    def run(self, *epochs, ends=True, node="n1", quality=Quality.MEASURED, **fields):
        """A job that begins now and has these epochs; a first one goes before, as it warms up."""
        site = self.site
        job = site.slurm.submit(directives=Directives(epochs=10), **fields)
        site.slurm.begin(job.key.job_id, node)
        site.adopt.run()
        for number, one in enumerate([{**epochs[0], "seconds": 500}, *epochs], start=1):
            self.epoch(job, number, quality=quality, **{"node": node, **one})
            site.clock.at += one["seconds"]
        if ends:
            site.slurm.end(job.key.job_id)
        site.adopt.run()
        site.predict.run()
        site.settle.run()
        return job

    def epoch(self, job, number, *, seconds, joules, limit_w=None, node="n1", quality):
        record = EpochRecord(
            cluster="lab", node=node, job_id=job.key.job_id, restarts=0, uid=job.uid, epoch=number,
            epochs=10, started_ms=self.site.clock.at * 1000, duration_ms=seconds * 1000,
            energy_millij=joules * 1000, relative_sd=None, samples=0, quality=quality,
            gpu_limit_w=limit_w,
        )  # fmt: skip
        wire = json.loads(json.dumps(record.to_wire()))
        answer = self.site.take.take(ROOT, [], [wire])
        assert answer["accepted"] == 1, answer

    def ask(self, job, gpu_limit_w=None, nodes=None):
        asked = Asked(gpu_limit_w=gpu_limit_w, nodes=nodes)
        (row,) = self.site.views.queue(None, job.key.job_id, asked)["jobs"]
        return row["otherwise"]

    def why(self, job, gpu_limit_w=None, nodes=None):
        given = self.ask(job, gpu_limit_w, nodes)
        assert (given["left"], given["changed"], given["jobs"]) == (None, None, None)
        return given["why"]


@pytest.fixture
def lab(make_site):
    return Lab(make_site(node_classes=TWO_KINDS))


def test_the_owners_earlier_job_of_the_name_tells_how_the_limits_compare(lab):
    lab.run(SLOW, SLOW)
    job = lab.run(FAST, FAST, FAST, ends=False)
    given = lab.ask(job, 200)
    assert (given["why"], given["here"], given["there"]) == ("", "300 W on n1", "200 W on n1")
    assert given["by"] == "by 1 job of its name that ran at both"
    assert given["time_ratio"] == pytest.approx(1.3)
    assert given["energy_ratio"] == pytest.approx(26 / 30)
    left, changed = given["left"], given["changed"]
    assert changed["duration_s"] == pytest.approx(1.3 * left["duration_s"], abs=1)
    assert changed["energy_j"] == pytest.approx(26 / 30 * left["energy_j"], abs=1)
    assert changed["mg"] == pytest.approx(26 / 30 * left["mg"], rel=1e-3)
    for what in ("duration_s", "energy_j", "mg"):
        low, high = (what.replace(what.split("_")[0], f"{what.split('_')[0]}_{end}", 1)
                     for end in ("low", "high"))  # fmt: skip
        middle = (left[what], changed[what])
        assert left[low] < middle[0] < left[high]
        assert changed[low] / middle[1] < left[low] / middle[0]
        assert changed[high] / middle[1] > left[high] / middle[0]


def test_what_is_left_is_the_prediction_less_time_and_metered_energy_so_far(lab):
    lab.run(SLOW, SLOW)
    job = lab.run(FAST, FAST, ends=False)
    site = lab.site
    began_at = site.clock.at - 700
    site.deliver(site.segment(job, began_at, energy_j=45_000))
    prediction = site.ledger.plans.prediction(job.key)
    left = lab.ask(job, 200)["left"]
    assert left["duration_s"] == prediction.duration_s - 700
    assert left["energy_j"] == prediction.energy_j - 45_000
    assert left["mg"] == round(left["energy_j"] / 3.6e6 * 1.2 * 400_000)


def test_the_first_epoch_of_a_run_does_not_count(lab):
    lab.run(SLOW)  # its first takes 500 s
    job = lab.run(FAST, ends=False)
    assert lab.ask(job, 200)["time_ratio"] == pytest.approx(1.3)


def test_nobodys_epochs_are_one_line_that_says_what_it_takes(lab):
    job = lab.run(FAST, FAST, ends=False)
    assert lab.why(job, 200) == (
        "nothing tells how 200 W on n1 compares with 300 W on n1: it takes one job of the same"
        " name, or three of others, with epochs at both, or at limits around them"
    )


def test_it_takes_three_jobs_of_others(lab):
    for number in range(3):
        for one in (FAST, SLOW):
            lab.run(one, user="ben", name=f"job{number}")
        job = lab.run(FAST, ends=False, name="mine")
        if number < 2:
            assert "nothing tells" in lab.why(job, 200)
        else:
            assert lab.ask(job, 200)["by"] == "by 3 jobs that ran at both"


def test_a_limit_between_two_is_told_and_one_beyond_is_not(lab):
    lab.run(SLOW)
    job = lab.run(FAST, ends=False)
    given = lab.ask(job, 250)
    assert given["time_ratio"] == pytest.approx(1.3**0.5)
    assert given["by"] == "by 1 job of its name that ran at limits around them"
    assert "nothing tells how 150 W" in lab.why(job, 150)


@pytest.mark.parametrize("quality", [Quality.PARTIAL, Quality.MISSING])
def test_epochs_that_were_not_metered_in_full_do_not_count(lab, quality):
    lab.run(SLOW, quality=quality)
    assert "nothing tells" in lab.why(lab.run(FAST, ends=False), 200)


def test_the_limit_under_which_it_runs_is_no_change(lab):
    job = lab.run(FAST, FAST, ends=False)
    given = lab.ask(job, 300)
    assert (given["by"], given["jobs"], given["time_ratio"]) == ("it runs so already", 0, 1.0)
    assert given["left"] == given["changed"]


def test_without_a_known_limit_there_is_nothing_to_compare_with(lab):
    lab.run(SLOW)
    job = lab.run({**FAST, "limit_w": None}, ends=False)
    assert "under which GPU power limit it runs is not known" in lab.why(job, 200)


def test_a_job_without_an_epoch_of_its_name_is_told_how_to_get_one(lab):
    job = lab.site.slurm.submit(name="new")
    lab.site.round()
    assert "'carbonsched track' marks epochs" in lab.why(job, 200)


def test_a_job_that_waits_is_compared_with_its_last_run(lab):
    lab.run(SLOW)
    lab.run(FAST)
    job = lab.site.slurm.submit()
    lab.site.round()
    given = lab.ask(job, 200)
    assert given["here"] == "300 W on n1"
    prediction = lab.site.ledger.plans.prediction(job.key)
    assert given["left"]["duration_s"] == prediction.duration_s
    assert given["changed"]["duration_s"] == pytest.approx(1.3 * prediction.duration_s, abs=1)


def test_a_longer_run_may_not_fit_its_time_limit(lab):
    lab.run(SLOW)
    fits = lab.run(FAST, ends=False, time_limit_s=36_000)
    tight = lab.run(FAST, ends=False, time_limit_s=1500)
    assert not lab.ask(fits, 200)["beyond_limit"]
    assert lab.ask(tight, 200)["beyond_limit"]


# Other nodes


def test_another_kind_of_node_compares_at_the_limit_that_is_usual_there(lab):
    other = {"limit_w": 400, "seconds": 50, "joules": 20_000}
    lab.run(other, node="n2")
    lab.run(other, node="n2", user="ben", name="its")
    lab.run({**other, "limit_w": 350}, node="n2")
    job = lab.run(FAST, ends=False)
    given = lab.ask(job, nodes="n2")
    assert given["there"] == "400 W on n2"
    assert (given["time_ratio"], given["energy_ratio"]) == (
        pytest.approx(0.5), pytest.approx(2 / 3),
    )  # fmt: skip
    assert lab.ask(job, 350, "n2")["there"] == "350 W on n2"
    assert lab.ask(job, nodes="n1")["by"] == "it runs so already"


def test_nodes_without_gpus_compare_too(lab):
    plain = {"seconds": 100, "joules": 30_000}
    lab.run({"seconds": 80, "joules": 12_000}, node="n2")
    given = lab.ask(lab.run(plain, ends=False), nodes="n2")
    assert (given["here"], given["there"]) == ("n1", "n2")
    assert given["time_ratio"] == pytest.approx(0.8)


def test_a_kind_may_be_named_by_its_partition(lab):
    lab.site.slurm.parts = {
        Partition(name="new", state="UP"): ("n2",),
        Partition(name="all", state="UP"): ("n1", "n2"),
    }
    lab.run({**FAST, "seconds": 50}, node="n2")
    job = lab.run(FAST, ends=False)
    assert lab.ask(job, nodes="new")["time_ratio"] == pytest.approx(0.5)
    assert "are of 2 kinds" in lab.why(job, nodes="all")
    assert "are of 2 kinds" in lab.why(job, nodes="n[1-2]")


@pytest.mark.parametrize("name", ["n9", "gpu[", "", "n[1-9]"])
def test_nodes_that_are_none_are_told(lab, name):
    why = lab.why(lab.run(FAST, ends=False), nodes=name)
    assert "has no node or partition" in why or "brackets" in why


def test_nodes_in_no_class_are_alike_by_their_partitions(make_site):
    lab = Lab(make_site(node_classes=()))
    lab.site.slurm.parts = {
        Partition(name="old", state="UP"): ("n1",),
        Partition(name="new", state="UP"): ("n2",),
    }
    lab.run({**FAST, "seconds": 50}, node="n2")
    given = lab.ask(lab.run(FAST, ends=False, time_limit_s=36_000), nodes="new")
    assert (given["here"], given["there"]) == ("300 W on nodes of old", "300 W on nodes of new")


def test_a_cluster_that_does_not_answer_is_told(lab, monkeypatch):
    job = lab.run(FAST, ends=False)

    def silent():
        raise ClusterUnavailableError("sinfo timed out")

    monkeypatch.setattr(lab.site.slurm, "nodes", silent)
    assert lab.why(job, 200) == "cluster lab does not answer: sinfo timed out"


# Several nodes, and the queue


def test_an_epoch_of_two_nodes_has_a_limit_only_where_they_have_one(make_site):
    lab = Lab(make_site())
    site = lab.site
    job = site.slurm.submit(directives=Directives(epochs=10), node_count=2)
    site.slurm.begin(job.key.job_id)
    site.slurm.present[1] = replace(site.slurm.present[1], nodes=("n1", "n2"))
    site.adopt.run()
    for number, limits in enumerate(((300, 300), (300, 300), (200, 200), (300, 200)), start=1):
        for node, limit_w in zip(("n1", "n2"), limits, strict=True):
            seconds = 100 if limits[0] == 300 else 150
            lab.epoch(
                job, number, seconds=seconds, joules=9000, limit_w=limit_w, node=node,
                quality=Quality.MEASURED,
            )  # fmt: skip
        site.clock.at += 150
        site.predict.run()
        if number == 3:
            given = lab.ask(job, 300)
            assert (given["here"], given["jobs"]) == ("200 W on n[1-2]", 1)
            assert given["time_ratio"] == pytest.approx(2 / 3)
            assert given["energy_ratio"] == pytest.approx(1)
    assert "is not known" in lab.why(job, 300)


def test_the_queue_tells_it_only_when_asked_and_of_the_job_that_is_asked(lab):
    lab.run(SLOW)
    job, other = lab.run(FAST, ends=False), lab.run(FAST, ends=False)
    rows = lab.site.views.queue(None)["jobs"]
    assert [row["otherwise"] for row in rows] == [None, None]
    document = lab.site.views.queue(None, None, Asked(gpu_limit_w=200))
    rows = read_queue(json.loads(json.dumps(document)))["jobs"]
    assert [row["job_id"] for row in rows] == [job.key.job_id, other.key.job_id]
    assert all(row["otherwise"]["jobs"] == 1 for row in rows)
    (row,) = lab.site.views.queue("ada", other.key.job_id)["jobs"]
    assert row["job_id"] == other.key.job_id


def test_epochs_of_long_ago_do_not_count(lab):
    lab.run(SLOW)
    lab.site.clock.at += 181 * 86_400
    lab.site.forecast(*[400] * 48)
    assert "nothing tells" in lab.why(lab.run(FAST, ends=False), 200)


def test_epochs_of_an_earlier_job_under_the_same_id_are_not_its(lab):
    """Slurm's ids wrap, and the record of an old job may be gone."""
    job = lab.run(FAST, FAST, ends=False)
    lab.site.clock.at -= 3600
    for number in (7, 8, 9):
        lab.epoch(job, number, quality=Quality.MEASURED, **SLOW)
    lab.site.clock.at += 3600
    assert "nothing tells" in lab.why(job, 200)
    readings = lab.site.ledger.readings
    assert {one.gpu_limit_w for one in readings.epochs_told("lab", 0, 100)} == {300}
    assert {one.epoch for one in readings.epochs_told("lab", 0, 2)} == {2, 3}  # the newest
    assert readings.epochs_told("north", 0, 100) == []
    own = readings.epochs_of_name("lab", "ada", "train", 0, 100)
    assert own == readings.epochs_told("lab", 0, 100)
    assert readings.epochs_of_name("lab", "ben", "train", 0, 100) == []


AMOUNT = st.integers(1, 10**12)


@st.composite
def spans(draw):
    low, centre, high = sorted(draw(st.tuples(AMOUNT, AMOUNT, AMOUNT)))
    return Span(draw(st.sampled_from((0, low))), centre, high)


@given(spans(), st.floats(0.2, 5), st.floats(0, 2), st.floats(0, 2))
def test_an_interval_widens_with_the_doubt_of_its_ratio(span, times, one, more):
    assert span.times(SAME.time) == span
    found, wider = (span.times(Factor(times, width)) for width in (one, one + more))
    assert found.low <= found.centre <= found.high
    assert wider.low <= found.low
    assert found.high <= wider.high
    assert found.centre == wider.centre == pytest.approx(span.centre * times, abs=0.5)
    assert found.low <= max(span.low * times * (1 + 1e-9), 0)
    assert found.high >= span.high * times * (1 - 1e-9)
    assert (found.low == 0) or span.low > 0
