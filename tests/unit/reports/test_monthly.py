import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carbonsched.reports.documents import read_report
from carbonsched.reports.monthly import (
    budget,
    decimals,
    disagreements,
    distance,
    grid_mean,
    jobs_mean,
    month_before,
    node_parts,
    per_hundred,
)
from carbonsched.reports.monthly_csv import statement_csv
from carbonsched.reports.monthly_html import statement_html
from carbonsched.reports.monthly_text import statement_text
from carbonsched.reports.terminal import Screen, cells

MODEST = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Values(HTMLParser):
    """The value attributes of data elements, by the id of the element around them."""

    def __init__(self):
        super().__init__()
        self.place, self.found = "", {}

    def handle_starttag(self, tag, attrs):
        given_attrs = dict(attrs)
        self.place = given_attrs.get("id", self.place)
        if tag == "data" and given_attrs["value"]:
            self.found.setdefault(self.place, []).append(given_attrs["value"])


def text_totals(document):
    lines = statement_text(document, Screen())
    found = {}
    for label, key in (("Energy", "energy_j"), ("CO2", "mg"), ("  of it provisional",
                       "provisional_mg"), ("Saved by waiting", "saved_mg")):  # fmt: skip
        line = next((one for one in lines if re.match(rf"{label} {{2}}", one)), None)
        if line:
            exact = re.search(r" {2,}(-?[0-9 ]+) (?:J|mg)$", line)
            found[key] = int(exact[1].replace(" ", "")) if exact else None
    return found


def csv_rows(document):
    return list(csv.DictReader(io.StringIO(statement_csv(document))))


def html_values(document):
    parser = Values()
    parser.feed(statement_html(document).partition('<script type="application/json"')[0])
    return parser.found


def total(rows, section, key):
    return sum(int(row[key]) for row in rows if row["section"] == section and row[key])


@MODEST
@given(seed=st.integers(0, 10**6), count=st.integers(1, 70))
def test_text_json_csv_and_html_hold_the_same_whole_numbers(samples, seed, count):
    document = samples.report(samples.month_jobs(count, seed=seed, hostile=True))
    totals = json.loads(json.dumps(read_report(document)))["totals"]
    assert disagreements(document) == []

    in_text = text_totals(document)
    for key, value in in_text.items():
        assert value == totals[key]
    assert {"energy_j", "mg"} <= in_text.keys()

    rows = csv_rows(document)
    assert total(rows, "total", "mg") == totals["mg"]
    for section in ("day", "account", "job"):
        assert total(rows, section, "mg") == totals["mg"]
        assert total(rows, section, "energy_j") == totals["energy_j"]
        assert total(rows, section, "jobs") == totals["jobs"]
    assert total(rows, "job", "provisional_mg") == totals["provisional_mg"]

    values = html_values(document)
    assert int(values["total-mg"][0]) == totals["mg"]
    assert int(values["total-energy"][0]) == totals["energy_j"]
    if totals["provisional_mg"]:
        assert int(values["total-provisional"][0]) == totals["provisional_mg"]
    for place in ("days", "accounts"):
        assert sum(map(int, values[place][1::2])) == totals["mg"]
        assert sum(map(int, values[place][0::2])) == totals["energy_j"]


def test_the_columns_of_accounts_add_up_to_the_eye(samples):
    document = samples.report()
    lines = statement_text(document, Screen())
    start = lines.index("By account") + 2
    grams = [line[:-7].rsplit("  ", 1)[1].strip() for line in lines[start : start + 2]]
    exact = sum(int(re.sub(r"[ .]", "", one)) for one in grams)
    assert exact == document["totals"]["mg"]


@MODEST
@example(name="000000000000000000\u2e80", mg=0)
@example(name="\u2e80" * 60, mg=0)
@example(name=" ", mg=0)
@given(name=st.text(min_size=1, max_size=60), mg=st.integers(0, 10**12))
def test_the_text_fits_80_columns(samples, name, mg):
    jobs = [samples.job(name=name, account=name, campaign=name, mg=mg, energy_j=mg)]
    document = samples.report(
        jobs, site=name, sources=[name * 3], statement=name * 4,
        subject={"kind": "account", "name": name},
    )  # fmt: skip
    for line in statement_text(document, Screen()):
        assert cells(line) <= 80


def test_an_empty_month_says_so_kindly_in_every_form(samples):
    document = samples.empty_report()
    words = "No jobs of user alice ran in November 2026"
    assert words in "\n".join(statement_text(document, Screen()))
    page = statement_html(document)
    assert words in page
    assert len(page) < 20_000
    assert "<script" not in page
    assert total(csv_rows(document), "total", "mg") == 0


@pytest.mark.parametrize("energy_j", [0, None])
def test_a_month_of_nothing_but_zeros_divides_by_nothing(samples, energy_j):
    job = samples.job(
        energy_j=energy_j, mg=energy_j, elapsed_s=0, saved_mg=None, quality="missing",
        g_per_kwh=None, coverage=None, pue=None, ended_at=samples.NOW - 14_400,
    )  # fmt: skip
    quota = {"subject": "user:alice", "budget_mg": 0, "granted_mg": 0, "charged_mg": 0,
             "reserved_mg": 0, "remaining_mg": 0}  # fmt: skip
    document = samples.report([job], quota=quota)
    shown = "\n".join(statement_text(document, Screen()))
    assert "0.0 % used or reserved" in shown
    assert "not known: no deferred job" in shown
    assert "missing" in statement_html(document)


def test_a_budget_of_nothing_is_used_up_by_anything():
    use = budget({"subject": "user:a", "budget_mg": 0, "granted_mg": 0, "charged_mg": 5,
                  "reserved_mg": 0, "remaining_mg": -5})  # fmt: skip
    assert (use.used, use.overdrawn) == (1.0, True)


def test_parts_that_do_not_add_up_are_said_in_text_and_page(samples):
    document = samples.report()
    document["totals"]["mg"] += 1
    shown = "\n".join(statement_text(document, Screen()))
    assert "Does not add up" in shown
    assert "The days add up to" in shown
    assert "This statement does not add up" in statement_html(document)


def test_spreadsheets_get_no_formula_and_no_line_end(samples):
    names = {
        row["name"] for row in csv_rows(samples.report(samples.month_jobs(20, hostile=True)))
        if row["section"] == "job"
    }  # fmt: skip
    assert '\'=HYPERLINK("http://x")' in names
    assert not any(name.startswith(("=", "+", "-", "@")) or "\n" in name for name in names)


@given(st.integers(-(10**15), 10**15))
def test_grams_show_every_milligram(mg):
    assert int(decimals(mg, 1000, 3).replace(" ", "").replace(".", "")) == mg


def test_small_words():
    assert decimals(-1, 3_600_000, 3) == "0.000"
    assert decimals(5_400_000, 3_600_000, 3) == "1.500"
    assert per_hundred(0.0001) == "< 0.1 %"
    assert per_hundred(0) == "0.0 %"
    assert distance(0.0056) == "6 m"
    assert distance(1234.5) == "1 234.5 km"
    assert month_before("2026-11") == "2026-10"
    assert month_before("2026-01") == "2025-12"
    assert grid_mean([]) is None
    assert jobs_mean([]) is None


def lines_of(document):
    return statement_text(document, Screen())


def test_embodied_carbon_is_a_line_of_its_own_in_every_form(samples):
    jobs = [samples.job(embodied_mg=180_000), samples.job(1205, embodied_mg=None)]
    document = samples.report(jobs)
    lines = lines_of(document)
    place = next(n for n, line in enumerate(lines) if line.startswith("Embodied CO2"))
    assert lines[place].endswith("180 g                180 000 mg")
    assert lines[place + 1].strip() == "making the nodes of 1 of 2 jobs; in no sum"
    assert html_values(document)["total-embodied"] == ["180000"]
    rows = csv_rows(document)
    assert total(rows, "total", "embodied_mg") == total(rows, "job", "embodied_mg") == 180_000
    assert disagreements(document) == []


def test_where_nothing_is_declared_no_form_speaks_of_embodied_carbon(samples):
    document = samples.report([samples.job()])
    assert "mbodied" not in "\n".join(lines_of(document))
    assert "mbodied" not in statement_html(document).partition("<script>")[0]
    (row,) = (row for row in csv_rows(document) if row["section"] == "total")
    assert row["embodied_mg"] == ""


def test_the_modelled_part_bears_its_uncertainty(samples):
    jobs = [
        samples.job(), samples.job(1205, energy_j=4_320_000, uncertainty_j=864_000, domains={})
    ]  # fmt: skip
    document = samples.report(jobs)
    assert any(
        re.match(r" +of it modelled +1\.20 kWh +\+/- 240 Wh \(1 sd\)$", line)
        for line in lines_of(document)
    )
    assert "of it modelled 1.20 kWh ± 240 Wh" in statement_html(document)
    assert total(csv_rows(document), "job", "uncertainty_j") == 864_000
    assert "modelled 1" not in "\n".join(lines_of(samples.report([samples.job()])))


def test_a_pue_that_varied_is_a_range_with_its_sources(samples):
    pue = {"low": 1.18, "high": 1.2401, "sources": ["fallback 1.3", "prometheus prom:9090"]}
    document = samples.report([samples.job()], pue=pue)
    shown = lines_of(document)
    assert "PUE                   1.18 to 1.24" in shown
    assert "- PUE: prometheus prom:9090" in shown
    page = statement_html(document)
    assert "PUE 1.18 to 1.24<" in page
    assert "<li>PUE: fallback 1.3</li>" in page
    rows = {row["name"]: row for row in csv_rows(document) if row["section"] == "pue"}
    assert (rows["lowest"]["pue"], rows["highest"]["pue"]) == ("1.18", "1.2401")
    assert rows["highest"]["pue_source"] == "fallback 1.3; prometheus prom:9090"


def test_the_parts_of_the_nodes_add_up_to_the_energy_in_every_form(samples):
    document = samples.report(samples.month_jobs(30, seed=3))
    document["domains"].pop("gpu", None)  # as with agents that tell of some parts only
    whole = document["totals"]["energy_j"]
    assert sum(part.energy_j for part in node_parts(document)) == whole
    assert total(csv_rows(document), "domain", "energy_j") == whole
    assert sum(map(int, html_values(document)["parts"])) == whole
    assert any(line.startswith("not told by part") for line in lines_of(document))
    untold = samples.report([samples.job(domains={})])
    assert node_parts(untold) == []
    assert not any(line.startswith("Where in the nodes") for line in lines_of(untold))
