from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.meters.wall import WallBook

NS = 1_000_000_000
J = 1_000_000


def energy(domain, uj, quality=Quality.MEASURED, device="d", **more):
    return DomainEnergy(domain=domain, device=device, energy_uj=uj, quality=quality, **more)


def wall(uj, quality=Quality.SAMPLED):
    return energy(Domain.NODE, uj, quality, "hwmon power1")


def cpu(uj, quality=Quality.MEASURED):
    return energy(Domain.CPU, uj, quality, "package-0")


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), max_size=9)), max_size=30
    )
)
def test_parts_and_rest_are_the_wall_and_the_change_of_the_debt(journalless, intervals):
    """But for debt that is dropped, which happens in partial intervals and in no other."""
    book = journalless()
    told_uj = walls_uj = dropped_uj = 0
    for wall_uj, parts_uj in intervals:
        parts = [cpu(uj) for uj in parts_uj]
        rest = book.rest("hwmon", wall(wall_uj), parts, Domain.REST, NS)
        told_uj += sum(parts_uj) + rest.energy_uj
        walls_uj += wall_uj
        before_uj, dropped_uj = dropped_uj, told_uj - walls_uj - book.debt_uj("hwmon")
        assert dropped_uj >= before_uj
        assert (dropped_uj > before_uj) is (rest.quality is Quality.PARTIAL)
        # Through the state file and on: nothing changes.
        state = json.loads(json.dumps(book.to_state()))
        book = journalless()
        book.load(state)


@pytest.fixture(scope="session")
def journalless():
    class Silent:
        def say(self, text): ...

        def trouble(self, key, text): ...

        def over(self, key, text): ...

    return lambda: WallBook(Silent())


def test_a_negative_difference_is_paid_for_by_the_next(journal):
    book = WallBook(journal)
    rests = [
        book.rest("hwmon", wall(wall_uj), [cpu(parts_uj)], Domain.REST, NS).energy_uj
        for wall_uj, parts_uj in ((300, 200), (100, 250), (300, 200), (300, 200))
    ]
    assert rests == [100, 0, 0, 50]


def test_debt_is_never_more_than_a_minute_of_the_parts_and_what_is_dropped_is_partial(journal, log):
    """A wall four per cent under its parts for hours is within a meter's error, and is believed."""
    book = WallBook(journal)

    def go(wall_j, parts_j, seconds):
        rests = []
        for _ in range(seconds):
            told = wall(wall_j * J), [cpu(parts_j * J)]
            book.judge("ipmi", *told, NS)
            rests.append(book.rest("ipmi", *told, Domain.REST, NS))
        return rests

    assert {one.quality for one in go(960, 1000, 1500)} == {Quality.SAMPLED}
    assert book.debt_uj("ipmi") == 60_000 * J
    hours = go(960, 1000, 6 * 3600)
    assert {(one.energy_uj, one.quality) for one in hours} == {(0, Quality.PARTIAL)}
    assert book.believes("ipmi")
    assert book.debt_uj("ipmi") == 60_000 * J
    assert log.getvalue().count("said less for the whole node than its parts drew") == 1
    light = go(300, 200, 601)
    assert {one.quality for one in light} == {Quality.SAMPLED}
    assert [one.energy_uj // J for one in light[-2:]] == [0, 100]
    assert book.debt_uj("ipmi") == 0
    assert "holds its parts again" in log.getvalue()


@pytest.mark.parametrize("length_ns", [NS // 100, 30 * NS])
def test_a_lag_within_a_minute_is_paid_in_full_however_long_the_samples(journal, length_ns):
    """Parts rise at once and fall again before the wall has followed."""
    book = WallBook(journal)
    watts = [(100, 100), (100, 1000), (1000, 10), (10, 10)]
    told_uj = walls_uj = 0
    for wall_w, parts_w in watts:
        wall_uj, parts_uj = (w * length_ns // 1000 for w in (wall_w, parts_w))
        rest = book.rest("hwmon", wall(wall_uj), [cpu(parts_uj)], Domain.REST, length_ns)
        assert rest.quality is Quality.SAMPLED
        told_uj += parts_uj + rest.energy_uj
        walls_uj += wall_uj
    assert told_uj == walls_uj
    assert book.debt_uj("hwmon") == 0


def test_what_parts_drew_while_the_wall_was_not_seen_is_taken_off_what_it_says_then(journal):
    book = WallBook(journal)
    book.miss("hwmon", [cpu(100), cpu(20)])
    state = json.loads(json.dumps(book.to_state()))
    book = WallBook(journal)
    book.load(state)
    book.miss("hwmon", [cpu(100)])
    away = wall(600, Quality.PARTIAL)
    assert book.rest("hwmon", away, [cpu(100)], Domain.NODE, NS).energy_uj == 280
    assert book.rest("hwmon", wall(200), [cpu(100)], Domain.NODE, NS).energy_uj == 100
    book.miss("hwmon", [cpu(100)])
    book.seen("hwmon")
    assert book.rest("hwmon", wall(200), [cpu(100)], Domain.NODE, NS).energy_uj == 100


def test_rest_is_as_good_as_the_worst_of_what_it_is_made_of(journal):
    book = WallBook(journal)
    modelled = energy(Domain.GPU, 40, Quality.MODELLED, uncertainty_uj=7)
    rest = book.rest("hwmon", wall(300), [cpu(100), modelled], Domain.REST, NS)
    assert (rest.domain, rest.device) == (Domain.REST, "hwmon power1")
    assert (rest.quality, rest.uncertainty_uj) == (Quality.MODELLED, 7)
    assert book.rest("hwmon", wall(300), [cpu(100)], Domain.NODE, NS).quality is Quality.SAMPLED


def test_a_wall_below_its_parts_for_a_minute_is_not_believed_and_that_is_said_once(journal, log):
    book = WallBook(journal)
    for _ in range(59):
        book.judge("rapl", wall(80 * J), [cpu(100 * J)], NS)
        book.rest("rapl", wall(80 * J), [cpu(100 * J)], Domain.REST, NS)
    assert book.believes("rapl")
    for _ in range(200):
        book.judge("rapl", wall(80 * J), [cpu(100 * J)], NS)
    assert not book.believes("rapl")
    assert book.debt_uj("rapl") == 0
    assert log.getvalue().count("says 80 W for the whole node and its parts drew 100 W") == 1
    for _ in range(60):
        book.judge("rapl", wall(150 * J), [cpu(100 * J)], NS)
    assert book.believes("rapl")
    assert "makes sense again" in log.getvalue()


def test_what_was_not_seen_throughout_judges_nothing(journal):
    book = WallBook(journal)
    for _ in range(300):
        book.judge("a", wall(J), [cpu(100 * J, Quality.PARTIAL)], NS)
        book.judge("c", wall(0, Quality.PARTIAL), [cpu(100 * J)], NS)
        book.judge("d", wall(95 * J), [cpu(100 * J)], NS)  # within a meter's error
    assert all(book.believes(key) for key in "acd")


def test_a_state_that_is_none_is_refused_and_an_empty_one_is_a_fresh_one(journal):
    book = WallBook(journal)
    book.load({})
    assert book.to_state() == {"debts": {}, "missed": {}, "trials": {}, "implausible": []}
    with pytest.raises((ValueError, TypeError, AttributeError)):
        book.load({"debts": [1]})
