import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.errors import RequestError
from carbonsched.reports import jobs, queue, queue_words
from carbonsched.reports.fields import as_pipes, as_table, choose, field_help
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, cells

MASS = st.one_of(st.none(), st.integers(-(10**11), 10**11))
MODEST = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
STATES = st.sampled_from(["RUNNING", "PENDING", "CANCELLED by 1000", "OUT_OF_MEMORY", "COMPLETED"])


@MODEST
@given(data=st.data())
def test_the_queue_fits_80_columns_whatever_is_in_it(samples, data):
    draw = data.draw
    job = samples.queue_job(
        draw(st.integers(1, 2**26)),
        shown_id=draw(st.sampled_from(["1", "67108863_[4-999999%100]", "1204+1"])),
        name=draw(st.text(max_size=60)),
        user=draw(st.text(max_size=30)),
        state=draw(STATES),
        plan_reason=draw(st.sampled_from([None, "quota", "forecast-too-short", "new-reason" * 4])),
        planned_start_at=draw(st.one_of(st.none(), st.integers(samples.NOW, samples.NOW + 10**8))),
        reason=draw(st.text(max_size=60)),
        expected_mg=draw(MASS),
        saved_mg=draw(MASS),
    )
    fields = choose(queue.FIELDS, queue.DEFAULT)
    lines = as_table(fields, [job], samples.NOW, Screen(), header=True)
    assert len(lines) == 2
    assert all(cells(line) <= 80 for line in lines)
    assert all(cells(line) <= 80 for line in queue_words.explained(job, samples.NOW, Screen()))


@MODEST
@given(data=st.data())
def test_jobs_fit_80_columns_whatever_is_in_them(samples, data):
    draw = data.draw
    job = samples.job(
        shown_id=draw(st.sampled_from(["1", "67108863_999999", "67108863+12"])),
        name=draw(st.text(max_size=60)),
        state=draw(STATES),
        elapsed_s=draw(st.integers(0, 366 * 86_400)),
        energy_j=draw(st.one_of(st.none(), st.integers(0, 10**12))),
        mg=draw(MASS),
        saved_mg=draw(MASS),
        g_per_kwh=draw(st.one_of(st.none(), st.floats(0, 2000))),
        provisional=draw(st.booleans()),
    )
    lines = as_table(choose(jobs.FIELDS, jobs.DEFAULT), [job], samples.NOW, Screen(), header=True)
    assert all(cells(line) <= 80 for line in lines)


def test_numbers_are_never_cut():
    columns = [Column(title="name", floor=4), Column(title="mass", right=True)]
    lines = table(columns, [[Cell("x" * 50), Cell("123456789")]], Screen(width=20))
    assert lines[1] == "xxxxxxxxx+ 123456789"


def test_colour_changes_no_width():
    columns = [Column(title="a"), Column(title="b", right=True)]
    rows = [[Cell("x", "red"), Cell("1", "green")]]
    plain = table(columns, rows, Screen())
    painted = table(columns, rows, Screen(colour=True))
    assert painted[1] == "\x1b[31mx\x1b[0m  \x1b[32m1\x1b[0m"
    assert plain[1] == "x  1"


@pytest.mark.parametrize("module", [queue, jobs])
def test_every_field_can_be_shown_both_ways(samples, module):
    rows = samples.queue(hostile=True)["jobs"] if module is queue else samples.month_jobs(40)
    fields = choose(module.FIELDS, ",".join(field.name for field in module.FIELDS))
    lines = as_pipes(fields, rows, samples.NOW, header=True)
    assert len(lines) == len(rows) + 1
    assert {line.count("|") for line in lines} == {len(fields) - 1}
    shown = as_table(fields, rows, samples.NOW, Screen(width=400), header=True)
    assert len(shown) == len(rows) + 1
    for field in fields:
        assert field.name in field_help(module.FIELDS)


def test_raw_figures_are_whole_joules_and_milligrams(samples):
    fields = choose(jobs.FIELDS, "jobid,energy,CO2,saved,elapsed,g/kwh,provisional")
    assert as_pipes(fields, [samples.job(g_per_kwh=None)], samples.NOW, header=True) == [
        "JobID|Energy_J|CO2_mg|Saved_mg|Elapsed_s|g_per_kWh|Provisional",
        "1204|5400000|412500|96000|7200||0",
    ]


def test_energy_by_part_of_the_node_adds_up_to_it(samples):
    fields = choose(jobs.FIELDS, "Energy,CPUEnergy,MemEnergy,GPUEnergy,OtherEnergy")
    told = samples.job(energy_j=100, domains={"cpu": 40, "gpu": 30, "rest": 20, "node": 10})
    part = samples.job(energy_j=100, domains={"memory": 40})
    old = samples.job(energy_j=100, domains={})
    none = samples.job(energy_j=None, domains={})
    assert as_pipes(fields, [told, part, old, none], samples.NOW, header=True) == [
        "Energy_J|CPUEnergy_J|MemEnergy_J|GPUEnergy_J|OtherEnergy_J",
        "100|40||30|30",
        "100||40||60",
        "100||||",
        "||||",
    ]


def test_uncertainty_embodied_carbon_and_why(samples):
    fields = choose(jobs.FIELDS, "Uncertainty,Embodied,PUE,Why")
    job = samples.job(uncertainty_j=12, embodied_mg=1500, why="covered 61 %")
    shown = as_table(fields, [job, samples.job()], samples.NOW, Screen(), header=False)
    assert shown[0].split("  ") == ["± 12 J", "1.50 g", "1.250", "covered 61 %"]
    assert as_pipes(fields, [job, samples.job(uncertainty_j=None)], samples.NOW, header=True) == [
        "Uncertainty_J|Embodied_mg|PUE|Why",
        "12|1500|1.25|covered 61 %",
        "||1.25|",
    ]


def test_widths_as_sacct_takes_them(samples):
    fields = choose(jobs.FIELDS, "JobName%5,JobID%-8,CO2")
    lines = as_table(fields, [samples.job()], samples.NOW, Screen(), header=True)
    assert lines == ["JobN+  JobID       CO2", "trai+  1204      412 g"]


@pytest.mark.parametrize("text", ["", "NoSuch", "JobID,,CO2", "JobID%x"])
def test_an_unknown_field_is_named(text):
    with pytest.raises(RequestError, match="-o help"):
        choose(jobs.FIELDS, text)
