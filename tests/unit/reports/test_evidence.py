import pytest

from carbonsched.errors import DaemonError
from carbonsched.reports.evidence import chain
from carbonsched.reports.terminal import Screen


def text(job):
    return "\n".join(chain(job, Screen()))


def test_readings_sums_and_charge_are_all_there(samples):
    job = samples.job()
    job["evidence"] = samples.evidence(job)
    shown = text(job)
    rows = [line.split() for line in shown.splitlines() if line.startswith("n1 ")]
    assert len(rows) == 24
    assert sum(int(row[3]) for row in rows) == 5_400_000
    assert sum(float(row[-1]) for row in rows) == pytest.approx(412_500)
    assert "PUE                1.25" in shown
    assert "Energy, summed     5400000 J" in shown
    assert "Mass, summed       412500.000000 mg" in shown
    assert "Charged            412500 mg" in shown
    assert "rounded once" in shown
    assert "carboncast: DE" in shown


def test_each_readings_parts_of_the_node_and_its_pue(samples):
    job = samples.job(uncertainty_j=50, embodied_mg=1200, pue_source="table")
    job["evidence"] = samples.evidence(job)
    job["evidence"][0].update(pue=1.5, uncertainty_j=50, domains={"cpu": 225_000})
    lines = text(job).splitlines()
    (header,) = [line.split() for line in lines if line.startswith("From")]
    assert header == ["From", "Node", "CPU", "J", "Rest", "J", "±", "J"]
    first = lines.index(next(line for line in lines if line.startswith("From"))) + 1
    rows = [line.split() for line in lines[first : first + 24]]
    assert rows[0][2:] == ["225000", "-", "50"]
    assert all(int(row[2]) + int(row[3]) == 225_000 for row in rows[1:])
    assert [line.split()[-3] for line in lines if line.startswith("n1 ")][:2] == ["1.5", "1.25"]
    assert "PUE                1.25 (table)" in lines
    assert "Uncertainty        ± 50 J (one standard deviation of what is modelled)" in lines
    assert "Embodied           1200 mg (1.20 g), not in the charge" in lines
    assert all(len(line) <= 80 for line in lines)


def test_readings_of_agents_that_tell_no_parts_have_no_table_of_them(samples):
    job = samples.job()
    job["evidence"] = [{**row, "domains": {}} for row in samples.evidence(job)]
    assert "From  Node" not in text(job)


def test_what_was_cut_and_why_is_said(samples):
    job = samples.job(quality="partial", why="covered 61 %")
    job["evidence"] = samples.evidence(job)
    job["evidence"][-1]["unclaimed_j"] = 77
    shown = text(job)
    assert "77 J beyond Slurm's record of the job are cut" in shown
    assert "Partial: covered 61 %." in shown


def test_a_charge_that_differs_from_its_sum_is_said(samples):
    job = samples.job(mg=412_600, energy_j=5_400_001)
    job["evidence"] = samples.evidence(samples.job())
    assert "differs from the sum by 100.000000 mg" in text(job)
    assert "differs from the job's 5400001 J" in text(job)


def test_rows_without_a_price_are_counted(samples):
    job = samples.job(provisional=True, mg=None, pue=None)
    job["evidence"] = samples.evidence(samples.job())
    job["evidence"][0].update(mg=None, g_per_kwh=None, provider=None)
    shown = text(job)
    assert "Not priced yet     1 of 24 rows" in shown
    assert "So far             nothing yet" in shown
    assert "rounded once" not in shown


def test_a_job_without_readings(samples):
    shown = text(samples.job(energy_j=None, mg=None, quality="missing"))
    assert "No reading of this job has arrived." in shown
    assert "Charged            nothing yet" in shown


def test_a_mass_that_is_no_number(samples):
    job = samples.job()
    job["evidence"] = [{**samples.evidence(job)[0], "mg": "NaN"}]
    with pytest.raises(DaemonError, match="is not a mass"):
        text(job)


def test_several_days_are_told_apart(samples):
    job = samples.job(started_at=samples.NOW - 26 * 3600, ended_at=samples.NOW)
    job["evidence"] = samples.evidence(job, 3600)
    assert "11-19 12:30:00" in text(job)
    assert all(len(line) <= 80 for line in text(job).splitlines())
