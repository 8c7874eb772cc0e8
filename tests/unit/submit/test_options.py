"""csbatch's own options and the times in them."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.submit.options import Options, split_leading, to_directives
from carbonsched.submit.times import parse_instant_at, parse_length_s

NOW = 1_795_200_000


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()


def read(*words):
    options, rest = split_leading(words)
    return to_directives(options, NOW), rest


def test_every_option_is_read_in_both_forms():
    wish = Directives(max_delay_s=21_600, epochs=90, checkpoint=True, campaign="thesis")
    assert read(
        "--carbon-max-delay=6h",
        "--carbon-epochs",
        "90",
        "--carbon-checkpoint",
        "--carbon-campaign=thesis",
        "-n4",
        "--carbon-now",
    ) == (wish, ["-n4", "--carbon-now"])
    assert read("--carbon-deadline", "now+8h") == (Directives(deadline_at=NOW + 28_800), [])
    assert read("--carbon-now")[0].start_now
    assert read("--carbon-pilot", "--carbon-checkpoint")[0] == Directives(
        pilot=True, checkpoint=True
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--carbon-max-delay=6"], "'6' is not a length of time"),
        (["--carbon-max-delay=6m"], "write one such as 90min"),
        (["--carbon-max-delay=9999d"], "366 days"),
        (["--carbon-max-delay"], "needs a value"),
        (["--carbon-epochs=0"], "epochs must be"),
        (["--carbon-validate-every=0"], "validate-every must be"),
        (["--carbon-epochs=1e3"], "not a whole number"),
        (["--carbon-epochs=\u0663"], "not a whole number"),
        (["--carbon-now=yes"], "takes no value"),
        (["--carbon-now", "--carbon-max-delay=1h"], "contradict"),
        (["--carbon-now", "--carbon-pilot"], "contradict"),
        (["--carbon-pilot=yes"], "takes no value"),
        (["--carbon-pilo"], "did you mean --carbon-pilot?"),
        (["--carbon-campaign=two words"], "a campaign is"),
        (["--carbon-deadline=2020-01-01T00:00"], "lies in the past"),
        (["--carbon-deadline=2026-13-01T00:00"], "is not a time"),
        (["--carbon-deadline=tomorrow"], "is not a time"),
        (["--carbon-max"], "did you mean --carbon-max-delay?"),
        (["--carbon-xyzzy"], "see csbatch --carbon-help"),
    ],
)
def test_a_wrong_option_is_one_line_with_the_remedy(words, message):
    with pytest.raises(RequestError, match=r"^[^\n]*$") as caught:
        read(*words)
    assert message in str(caught.value)
    assert caught.value.exit_status == 64


@given(st.lists(st.text(max_size=10).filter(lambda word: not word.startswith("--carbon-"))))
def test_words_that_are_not_ours_pass_unchanged(words):
    assert split_leading(words) == (Options(), words)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90s", 90), ("90min", 5400), ("1d12h", 129_600), ("1.5h", 5400), ("7d", 604_800)],
)
def test_lengths(text, seconds):
    assert parse_length_s(text) == seconds


@given(st.integers(0, 366 * 86_400))
def test_a_length_in_seconds_reads_as_itself(seconds):
    assert parse_length_s(f"{seconds}s") == seconds


def test_a_clock_time_is_its_next_occurrence(berlin):
    now = int(datetime(2026, 11, 20, 22, 0, tzinfo=berlin).timestamp())
    assert parse_instant_at("23:30", now) == now + 5400
    assert parse_instant_at("07:30", now) == now + 9 * 3600 + 1800
    assert parse_instant_at("22:00", now) == now + 86_400


def test_a_clock_time_across_the_change_of_clocks(berlin):
    eve = int(datetime(2026, 10, 24, 22, 0, tzinfo=berlin).timestamp())
    assert parse_instant_at("07:00", eve) == eve + 10 * 3600  # the night of 25 hours


def test_dates_are_local_unless_they_say_otherwise(berlin):
    local = int(datetime(2026, 11, 22, 7, 30, tzinfo=berlin).timestamp())
    assert parse_instant_at("2026-11-22T07:30", NOW) == local
    assert parse_instant_at("2026-11-22 07:30:00", NOW) == local
    assert parse_instant_at("2026-11-22T06:30Z", NOW) == local
    assert parse_instant_at("2026-11-22T08:30+02:00", NOW) == local


@given(now=st.integers(0, 4_000_000_000), hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_the_next_occurrence_lies_within_a_long_day(now, hour, minute):
    assert 0 < parse_instant_at(f"{hour:02d}:{minute:02d}", now) - now <= 90_000


def test_the_command_line_wins_over_the_script():
    def over(strong, weak):
        return Options(strong).over(Options(weak)).values

    assert over({"epochs": "3"}, {"epochs": "9", "campaign": "x"}) == {
        "epochs": "3",
        "campaign": "x",
    }
    assert over({"now": ""}, {"max-delay": "6h"}) == {"now": ""}
    assert over({"max-delay": "6h"}, {"now": ""}) == {"max-delay": "6h"}
