from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from carbonsched.intensity.countries import country_average
from carbonsched.intensity.providers.static import StaticProvider

FOLDER = files("carbonsched.intensity") / "data"
ROWS = list(csv.DictReader((FOLDER / "country-averages.csv").read_text("utf-8").splitlines()))


def test_a_country_has_its_number_year_and_source():
    denmark = country_average("DNK")
    assert (denmark.country, denmark.year, denmark.mg_per_kwh) == ("Denmark", 2023, 151_650)
    assert denmark.info("DK2").label == (
        "static: DK2, average, production, lifecycle CO2eq"
        " (Denmark 2023, Our World in Data by way of carbontracker, one value for all hours)"
    )


def test_each_row_can_be_a_static_provider(clock):
    assert len({row["code"] for row in ROWS}) == len(ROWS) == 188
    for row in ROWS:
        told = country_average(row["code"])
        assert told.mg_per_kwh == round(float(row["g_per_kwh"]) * 1000)
        assert 10_000 < told.mg_per_kwh < 1_500_000
        assert 2009 <= told.year <= 2023
        info = told.info("zone")
        assert info.static
        assert StaticProvider(info=info, mg_per_kwh=told.mg_per_kwh, clock=clock).info == info


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("DK", "did you mean DNK (Denmark)?"),
        ("dnk", "did you mean DNK (Denmark)?"),
        ("Denmark", "did you mean DNK (Denmark)?"),
        ("DNM", "did you mean DNK (Denmark) or DOM (Dominican Republic)?"),
        ("Germny", "did you mean DEU (Germany)?"),
        ("", "write an ISO 3166 alpha-3 code such as DNK, or g_per_kwh, source and year"),
        ("EU", "write an ISO 3166 alpha-3 code"),
        ("CAF", "did you mean"),  # published as zero, so not known
    ],
)
def test_another_country_never_stands_in(wrong, meant):
    with pytest.raises(ValueError, match="no country") as caught:
        country_average(wrong)
    assert meant in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_notice_says_whose_the_data_are():
    notice = (FOLDER / "NOTICE").read_text()
    for word in ("country-averages.csv", "carbontracker", "MIT License", "Our World in Data"):
        assert word in notice
