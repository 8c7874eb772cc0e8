"""Lines that are only ever added, and balances that are their sums."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.errors import LedgerError
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Grant, Settlement, release_or_reserve
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.entry import EntryKind, LedgerEntry
from carbonsched.model.job import JobKey
from carbonsched.model.quota import Period, Subject

KEY = JobKey(cluster="lab", job_id=1, submitted_at=100, restarts=0)
MONTHS = [Period(name=f"2026-{number}", start_at=number, end_at=number + 1) for number in (10, 11)]
ENTRY = LedgerEntry(
    kind=EntryKind.CHARGE, key=KEY, user="ada", account="physics", period="2026-11", at=5,
    mg=70, energy_j=300, idempotency_key="charge:1", provenance={"method": "settle/1"},
)  # fmt: skip
ADA = Subject(kind="user", name="ada")


def test_a_line_counts_once_however_often_it_is_posted(ledger):
    assert ledger.entries.post(ENTRY, origin="2026-11")
    assert not ledger.entries.post(ENTRY, origin="2026-11")
    assert not ledger.entries.post(replace(ENTRY, mg=999), origin="2026-11")
    assert ledger.entries.charge_sum("2026-11", "ada", None) == (70, 300)


def test_a_line_that_is_incomplete_is_refused_and_not_taken_for_a_repetition(ledger):
    with pytest.raises(LedgerError, match="NOT NULL"):
        ledger.entries.post(replace(ENTRY, mg=None), origin="2026-11")
    with pytest.raises(LedgerError, match="cannot store TEXT"):
        ledger.entries.post(replace(ENTRY, mg="much"), origin="2026-11")
    assert ledger.entries.post(ENTRY, origin="2026-11")


@pytest.mark.parametrize("sql", ["UPDATE entries SET mg = 0", "DELETE FROM entries"])
def test_lines_are_never_changed_nor_removed(ledger, path, sql):
    ledger.entries.post(ENTRY, origin="2026-11")
    with pytest.raises(LedgerError, match="ledger entries are never"):
        ledger._file.change(sql)
    with (
        closing(sqlite3.connect(path)) as database,
        pytest.raises(sqlite3.IntegrityError, match="ledger entries are never"),
    ):
        database.execute(sql)
    assert ledger.entries.charge_sum("2026-11", "ada", None) == (70, 300)


entries = st.builds(
    LedgerEntry,
    kind=st.sampled_from(EntryKind),
    key=st.builds(replace, st.just(KEY), job_id=st.integers(1, 3)),
    user=st.sampled_from(["ada", "ben"]),
    account=st.sampled_from(["physics", "biology", ""]),
    period=st.sampled_from([month.name for month in MONTHS]),
    at=st.just(5),
    mg=st.integers(-(10**9), 10**9),
    energy_j=st.integers(0, 10**9),
    idempotency_key=st.sampled_from([f"k{number}" for number in range(12)]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=20), st.randoms(use_true_random=False))
def test_balances_are_sums_whatever_the_order(tmp_path_factory, posted, chance):
    unique = list({entry.idempotency_key: entry for entry in posted}.values())
    again = unique + chance.sample(unique, len(unique) // 2)
    chance.shuffle(again)
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        for entry in again:
            ledger.entries.post(entry, origin=entry.period)
        for month in MONTHS:
            for subject in (ADA, Subject(kind="account", name="physics")):
                mine = [
                    entry for entry in unique
                    if entry.period == month.name and getattr(entry, subject.kind) == subject.name
                ]  # fmt: skip
                charged = [one.mg for one in mine if one.kind in ("charge", "adjust")]
                reserved = [one.mg for one in mine if one.kind in ("reserve", "release")]
                balance = ledger.entries.balance(subject, month, 1000)
                assert (balance.charged_mg, balance.reserved_mg) == (sum(charged), sum(reserved))
                assert balance.remaining_mg == 1000 - sum(charged) - sum(reserved)
                names = {subject.kind: subject.name}
                total = ledger.entries.charge_sum(
                    month.name, names.get("user"), names.get("account")
                )
                assert total[0] == sum(charged)
        held = {
            key for key in {entry.key for entry in unique}
            if any(mg for mg, _ in ledger.entries.reserved(key).values())
        }  # fmt: skip
        assert set(ledger.entries.reserving()) == held
    finally:
        ledger.close()


def test_a_jobs_charges_are_told_by_the_month_of_use(ledger):
    ledger.entries.post(ENTRY, origin="2026-10")
    ledger.entries.post(
        replace(ENTRY, kind=EntryKind.ADJUST, mg=-20, energy_j=0, idempotency_key="x"),
        origin="2026-10",
    )
    ledger.entries.post(
        replace(ENTRY, kind=EntryKind.RESERVE, mg=500, idempotency_key="y"), origin="2026-11"
    )
    assert ledger.entries.charged(KEY) == {"2026-10": (50, 300, 2)}
    assert ledger.entries.reserved(KEY) == {"2026-11": (500, 1)}
    (row,) = ledger.entries.charges("2026-11", None, "physics")
    assert (row["job_id"], row["mg"], row["energy_j"]) == (1, 50, 300)
    assert ledger.entries.charges("2026-11", "ben", None) == []
    assert ledger.entries.sums("user", "2026-11") == {"ada": (50, 500)}
    assert ledger.entries.sums("account", "2026-11") == {"physics": (50, 500)}
    assert ledger.entries.sums("user", "2026-10") == {}


def test_grants_add_to_their_month_only(ledger):
    for period, mg in (("2026-10", 40), ("2026-11", 100), ("2026-11", -30)):
        ledger.entries.add_grant(
            Grant(at=1, subject="user:ada", period=period, mg=mg, by="root", reason="r\nx")
        )
    assert ledger.entries.balance(ADA, MONTHS[1], 10).granted_mg == 70
    assert ledger.entries.balance(ADA, MONTHS[0], 10).remaining_mg == 50
    assert [one.mg for one in ledger.entries.grants("2026-11")] == [100, -30]
    account = Subject(kind="account", name="ada")
    assert ledger.entries.balance(account, MONTHS[1], 10).granted_mg == 0


def test_a_settlement_is_read_as_it_was_written_and_the_last_counts(ledger):
    first = Settlement(
        key=KEY, settled_at=9, energy_j=None, mg=None, quality=Quality.MISSING, coverage=None,
        provisional=True, final=False, mg_per_kwh=None, pue_ppm=1_200_000, sources=(),
        saved_mg=None, baseline_at=None, cpu_ms=0,
    )  # fmt: skip
    second = replace(
        first, energy_j=5, mg=3, quality=Quality.PARTIAL, coverage=0.75, provisional=False,
        final=True, mg_per_kwh=400, sources=('a "source"', "b; c"), saved_mg=-1, baseline_at=7,
        embodied_mg=12, uncertainty_j=2, domains={Domain.CPU: 4, Domain.REST: 1},
        pue_source="table", why="covered 75 %", method="settle/2",
        exact_mg=Fraction(10**40 + 1, 3_600_000_000_000), priced_j=4, last_part=2**40,
    )  # fmt: skip
    assert ledger.entries.settlement(KEY) is None
    for one in (first, second):
        ledger.entries.save_settlement(one)
        assert ledger.entries.settlement(KEY) == one


def test_a_reservation_grows_or_is_let_go():
    assert release_or_reserve(5) is EntryKind.RESERVE
    assert release_or_reserve(-5) is EntryKind.RELEASE
