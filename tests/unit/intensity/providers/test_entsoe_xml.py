from __future__ import annotations

from fractions import Fraction

import pytest
from entsoe_platform import DAY, HOUR, NOON, document, series
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ProviderError, ProviderMalformedError
from carbonsched.intensity.providers.entsoe_xml import MOST_STEPS, read_document


def read(text, start=NOON - DAY, end=NOON + DAY):
    return read_document(text, start, end)


def steps(text):
    return [
        (step.start_at, step.end_at, step.value) for one in read(text).series for step in one.steps
    ]


def test_curve_a03_repeats_and_a01_leaves_a_gap():
    end = NOON + HOUR
    held = {1: 10, 3: "30.5"}
    a01 = document(series(held, NOON, end, psr="B04", step="PT15M"))
    assert steps(a01) == [(NOON, NOON + 900, 10), (NOON + 1800, NOON + 2700, Fraction("30.5"))]
    a03 = document(series(held, NOON, end, psr="B04", step="PT15M", curve="A03"))
    assert [value for *_, value in steps(a03)] == [10, 10, Fraction("30.5"), Fraction("30.5")]


def test_a_faulty_value_is_not_repeated():
    held = {1: 10, 2: "n/e", 4: 7}
    told = read(document(series(held, NOON, NOON + 5 * HOUR, psr="B04", curve="A03")))
    assert [step.value for step in told.series[0].steps] == [10, 7, 7]
    assert told.faulty == 1


def test_steps_are_of_the_time_that_was_asked():
    start, end = NOON - DAY, NOON + DAY
    text = document(series({1: 5, 24: 7}, start, end, psr="B04", curve="A03"))
    told = read(text, NOON - 2 * HOUR + 60, NOON + HOUR).series[0].steps
    assert [(step.start_at, step.value) for step in told] == [
        (NOON - 2 * HOUR, 5), (NOON - HOUR, 7), (NOON, 7)
    ]  # fmt: skip
    assert read(text, end, end + DAY).series[0].steps == ()


def minutes(values, periods):
    """A series in minutes, of the same day so many times."""
    one = series(values, NOON, NOON + DAY, psr="B04", step="PT1M", curve="A03")
    head, period = one.removesuffix("</TimeSeries>").split("<Period>")
    return head + f"<Period>{period}" * periods + "</TimeSeries>"


def test_a_document_has_a_bound_however_it_is_cut_up():
    most = MOST_STEPS // 1440
    assert len(steps(document(minutes({1: 5}, most)))) == most * 1440
    over = most // 2 + 1
    for some in ([minutes({1: 5}, most + 1)], [minutes({1: 5}, over)] * 2):
        with pytest.raises(ProviderMalformedError, match="more than 200000 steps"):
            read(document(*some))


def test_out_of_the_zone_is_consumption():
    told = read(document(series({1: 5}, NOON, NOON + HOUR, psr="B10", side="out")))
    assert told.series[0].consumption


BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (BOMB, "declares"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "declares"),
        ("<GL_MarketDocument>", "torn"),
        ("", "torn"),
        ("<Publication_MarketDocument/>", "'Publication_MarketDocument'"),
        (document(series({1: 1}, NOON, NOON + HOUR, unit="KWH")), "'KWH', not MAW"),
        (document(series({1: 1}, NOON, NOON + HOUR, curve="A02")), "curve 'A02'"),
        (document(series({1: 1}, NOON, NOON + HOUR, step="P1Y")), "resolution"),
        (document(series({1: 1}, NOON, NOON + 1000)), "whole number"),
        (document(series({1: 1}, NOON, NOON - HOUR)), "whole number"),
        (document(series({1: 1}, NOON, NOON + 9000 * DAY, step="PT1M")), "whole number"),
    ],
)
def test_what_is_no_such_document_is_malformed(text, match):
    with pytest.raises(ProviderMalformedError, match=match):
        read(text)


@given(st.text(alphabet="<>/&;![]ab \n\ufeff") | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_document_or_one_error(text):
    with pytest.raises(ProviderError, match=r"^entsoe: [ -~]+$"):
        read(text)


@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3", "4", "5", "0", "-1", "x", ""]),
        st.sampled_from(["10", "0", "-3", "2.5", "", "NaN", "1e5", "9999999999", "٣"]),
    ),
    st.sampled_from(["A01", "A03"]),
)
def test_any_points_are_steps_in_order(held, curve):
    told = read(document(series(held, NOON, NOON + HOUR, step="PT15M", curve=curve)))
    made = told.series[0].steps
    assert [step.start_at for step in made] == sorted({step.start_at for step in made})
    assert all(NOON <= step.start_at < step.end_at <= NOON + HOUR for step in made)
    assert {step.value for step in made} <= {10, 0, -3, Fraction("2.5")}
