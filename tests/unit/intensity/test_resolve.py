from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.intensity.resolve import resolve
from carbonsched.model.intensity import IntensitySeries, Point, SeriesInfo, StepSeries

NOW = 10_000


def series(name, *spans, fetched_at=NOW):
    return IntensitySeries(
        info=SeriesInfo(provider=name, zone="X", static=name == "static"),
        fetched_at=fetched_at,
        points=tuple(Point(*span) for span in spans),
    )


def shown(pieces):
    return [(p.info.provider, p.start_at, p.end_at, p.mg_per_kwh) for p in pieces]


def test_the_preferred_provider_counts_wherever_it_has_a_value():
    first = series("first", (0, 100, 1), (200, 300, 2))
    second = series("second", (0, 150, 8), (150, 400, 9))
    assert shown(resolve([first, second], 50, 350, NOW, 0)) == [
        ("first", 50, 100, 1),
        ("second", 100, 150, 8),
        ("second", 150, 200, 9),
        ("first", 200, 300, 2),
        ("second", 300, 350, 9),
    ]


def test_a_later_provider_waits_until_the_earlier_had_its_time():
    first = series("first", (0, 100, 1))
    second = series("second", (0, 100, 8), (100, 200, 9))
    assert shown(resolve([first, second], 0, 200, 259, 60)) == [("first", 0, 100, 1)]
    assert len(resolve([first, second], 0, 200, 260, 60)) == 2


def test_an_empty_preferred_series_still_has_its_time():
    static = series("static", (0, 300, 9))
    assert resolve([series("first"), static], 0, 300, 310, 60) == ()
    assert shown(resolve([series("first"), static], 0, 300, 360, 60)) == [("static", 0, 300, 9)]
    assert shown(resolve([static], 0, 300, 310, 60)) == [("static", 0, 300, 9)]


def test_nobody_knows():
    assert resolve([], 0, 10, NOW, 0) == ()
    assert resolve([series("first")], 0, 10, NOW, 0) == ()


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 10), st.integers(1, 9)).map(
        lambda t: (t[0], t[0] + t[1], t[2])
    ),
    max_size=6,
)


@given(
    st.lists(spans, max_size=3), st.integers(0, 40), st.integers(1, 20), st.integers(0, 80),
    st.integers(0, 30),
)  # fmt: skip
def test_each_second_is_answered_once_by_the_first_that_may(told, start, length, now, lag):
    given_series = [series(str(rank), *some) for rank, some in enumerate(told)]
    pieces = resolve(given_series, start, start + length, now, lag)
    StepSeries(tuple(piece.point for piece in pieces))  # in order, without overlap
    for piece in pieces:
        assert start <= piece.start_at < piece.end_at <= start + length
        rank = int(piece.info.provider)
        assert rank == 0 or piece.end_at <= now - lag
        for second in range(piece.start_at, piece.end_at):
            assert any(a <= second < b and v == piece.mg_per_kwh for a, b, v in told[rank])
            assert not (told and rank and any(a <= second < b for a, b, _ in told[0]))
    answered = {second for piece in pieces for second in range(piece.start_at, piece.end_at)}
    if told:
        first = {s for a, b, _ in told[0] for s in range(a, b) if start <= s < start + length}
        assert first <= answered
    if now - lag >= start + length:
        known = {s for some in told for a, b, _ in some for s in range(a, b)}
        assert answered == {s for s in known if start <= s < start + length}


@given(st.lists(spans, max_size=3), st.integers(0, 60), st.integers(0, 30))
def test_what_later_time_adds_never_changes_what_counted(told, now, wait):
    given_series = [series(str(rank), *some) for rank, some in enumerate(told)]

    def by_second(pieces):
        return {s: p.info.provider for p in pieces for s in range(p.start_at, p.end_at)}

    early = by_second(resolve(given_series[:2], 0, 60, now, 10))
    late = by_second(resolve(given_series[:2], 0, 60, now + wait, 10))
    assert early.items() <= late.items()
