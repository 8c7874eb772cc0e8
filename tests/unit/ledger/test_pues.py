"""A facility's PUE as told, with revisions."""

from __future__ import annotations

from carbonsched.model.pue import PuePoint


def point(start_at, end_at, pue_ppm=1_200_000, source="file"):
    return PuePoint(start_at, end_at, pue_ppm, source)


def test_the_same_again_is_not_kept_twice_and_a_revision_counts(ledger):
    first = [point(0, 100), point(100, 200, 1_300_000)]
    assert ledger.pues.add("lab", first, 500) == 2
    assert ledger.pues.add("lab", first, 600) == 0
    assert ledger.pues.between("lab", 0, 200) == tuple(first)
    revised = point(100, 200, 1_250_000)
    assert ledger.pues.add("lab", [first[0], revised], 700) == 1
    assert ledger.pues.between("lab", 0, 200) == (first[0], revised)
    assert ledger.pues.add("lab", first, 800) == 1, "taken back again"
    assert ledger.pues.between("lab", 0, 200) == tuple(first)
    assert ledger.pues.add("lab", [], 900) == 0


def test_only_what_touches_the_interval_of_the_cluster(ledger):
    ledger.pues.add("lab", [point(0, 100), point(100, 200, 1_300_000)], 500)
    ledger.pues.add("other", [point(0, 100, 1_900_000)], 500)
    assert ledger.pues.between("lab", 100, 101) == (point(100, 200, 1_300_000),)
    assert ledger.pues.between("lab", 200, 300) == ()


def test_where_periods_overlap_the_one_fetched_last_counts(ledger):
    ledger.pues.add("lab", [point(0, 300)], 500)
    ledger.pues.add("lab", [point(100, 200, 1_500_000)], 600)
    assert ledger.pues.between("lab", 0, 300) == (
        point(0, 100), point(100, 200, 1_500_000), point(200, 300),
    )  # fmt: skip


def test_the_latest_is_the_one_that_ends_last(ledger):
    assert ledger.pues.latest("lab", 1000) is None
    ledger.pues.add("lab", [point(0, 300), point(100, 200, 1_500_000)], 500)
    ledger.pues.add("lab", [point(0, 300, 1_400_000)], 600)
    assert ledger.pues.latest("lab", 1000) == point(0, 300, 1_400_000)
    assert ledger.pues.latest("lab", 0) is None
