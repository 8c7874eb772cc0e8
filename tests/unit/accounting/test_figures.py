from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.accounting import CAR, StatementFigures, car_km, quality_of, statement
from carbonsched.model.energy import Quality

MEASURED, SAMPLED, PARTIAL, MODELLED, MISSING = Quality


@pytest.mark.parametrize(
    ("covered", "quality", "coverage"),
    [
        ([], MISSING, 0.0),
        ([(MEASURED, 0.0)], MISSING, 0.0),
        ([(MEASURED, 200.0)], MEASURED, 1.0),
        ([(MEASURED, 190.0)], MEASURED, 0.95),
        ([(MEASURED, 189.0)], PARTIAL, 0.945),
        ([(MEASURED, 100.0), (PARTIAL, 100.0)], PARTIAL, 1.0),
        ([(MEASURED, 199.0), (MODELLED, 1.0)], MODELLED, 1.0),
        ([(MEASURED, 199.0), (SAMPLED, 1.0)], SAMPLED, 1.0),
        ([(SAMPLED, 199.0), (PARTIAL, 1.0)], PARTIAL, 1.0),
        ([(SAMPLED, 100.0)], PARTIAL, 0.5),
        ([(MODELLED, 100.0)], PARTIAL, 0.5),
        ([(MEASURED, 210.0)], MEASURED, 1.0),
    ],
)
def test_the_worst_reading_and_what_is_not_covered_decide(covered, quality, coverage):
    assert quality_of(100, 2, covered) == (quality, pytest.approx(coverage))


def test_a_job_of_no_length_with_a_reading_is_covered():
    assert quality_of(0, 1, [(MEASURED, 0.5)]) == (MEASURED, 1.0)


def test_kilometres_carry_source_and_year():
    assert car_km(108_100) == pytest.approx(1)
    assert CAR.year == 2022
    assert "European Environment Agency" in CAR.source


FIGURES = StatementFigures(
    who="alice",
    period="November 2026",
    site="Example Lab",
    jobs=3,
    energy_j=3_600_000,
    mg=400_000,
    provisional_mg=0,
    quality_pct={MEASURED: 80.0, MODELLED: 20.0},
    intensity_label="replay: DE",
    pue=(1.2, 1.2),
    pue_sources=("declared",),
    version="0.1.0",
)


def test_a_statement_names_what_each_figure_rests_on():
    text = statement(FIGURES)
    for words in (
        "The 3 jobs of alice on Example Lab in November 2026 used 1.00 kWh",
        "(80 % measured, 20 % modelled)",
        "400 g of CO2eq at the carbon intensity of replay: DE",
        "and a power usage effectiveness of 1.2 (declared).",
        "3.7 km in a car emitting 108.1 g CO2/km (European Environment Agency",
        "2022)",
        "Figures by carbonsched 0.1.0.",
    ):
        assert words in text
    assert "provisional" not in text
    assert "not included" not in text
    assert "avoided" not in text
    assert "embodied" not in text
    assert "give or take" not in text


def test_a_statement_hides_nothing():
    text = statement(
        replace(
            FIGURES,
            jobs=1,
            provisional_mg=1000,
            saved_mg=2000,
            quality_pct={MISSING: 100.0},
            pue=None,
            gas="CO2",
        )
    )
    assert "The 1 job of alice" in text
    assert "(100 % missing)" in text
    assert "1.00 g of it is provisional" in text
    assert "avoided an estimated 2.00 g" in text
    assert "Energy that no reading covers is not included." in text
    assert "400 g of CO2 at" in text
    assert "effectiveness" not in text


def test_a_pue_that_varies_is_a_range_with_its_sources():
    sources = ("fallback 1.3", "prometheus prom:9090")
    text = statement(replace(FIGURES, pue=(1.18, 1.2449), pue_sources=sources))
    assert "effectiveness of 1.18 to 1.245 (fallback 1.3, prometheus prom:9090)." in text


def test_embodied_carbon_and_uncertainty_have_sentences_of_their_own():
    text = statement(
        replace(FIGURES, embodied_mg=12_300, modelled_j=720_000, uncertainty_j=144_000)
    )
    assert "Making the nodes emitted an estimated 12.3 g for the time that the jobs held" in text
    assert "(embodied carbon), which is not included." in text
    assert "200 Wh of the energy is modelled, give or take 40.0 Wh (one standard dev" in text
    assert "caused an estimated 400 g" in text


@pytest.mark.parametrize(("mg", "distance"), [(1000, "9 m"), (10**9, "9251 km")])
def test_distances_have_a_unit_that_fits(mg, distance):
    assert f"as much as {distance} in a car" in statement(replace(FIGURES, mg=mg))


def test_a_month_without_jobs_is_one_sentence():
    text = statement(replace(FIGURES, jobs=0, quality_pct={}))
    assert text == "No job of alice ran on Example Lab in November 2026."


def test_jobs_without_any_reading_say_so():
    assert "(no reading)" in statement(replace(FIGURES, quality_pct={}))
