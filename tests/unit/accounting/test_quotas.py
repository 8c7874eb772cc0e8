from __future__ import annotations

import pytest

from carbonsched.accounting import Budgets, admit, period, subjects_of
from carbonsched.model.quota import Balance, Subject

MONTH = period("2026-11", "UTC")
ALICE = Subject(kind="user", name="alice")
LAB = Subject(kind="account", name="lab")


def balance(subject: Subject = ALICE, budget_mg: int = 1000, **more) -> Balance:
    return Balance(subject=subject, period=MONTH, budget_mg=budget_mg, **more)


def test_budgets_know_the_star_user_but_no_star_account():
    budgets = Budgets.of([("alice", None, 5), ("*", None, 3), (None, "lab", 9)])
    assert budgets.budget_mg(ALICE) == 5
    assert budgets.budget_mg(Subject(kind="user", name="bob")) == 3
    assert budgets.budget_mg(LAB) == 9
    assert budgets.budget_mg(Subject(kind="account", name="other")) is None
    assert Budgets().budget_mg(ALICE) is None
    for user, account in ((None, None), ("a", "b")):
        with pytest.raises(ValueError, match="one user or one account"):
            Budgets.of([(user, account, 1)])


def test_a_job_counts_against_its_user_and_its_account():
    assert subjects_of("alice", "lab") == (ALICE, LAB)
    assert subjects_of("alice", "") == (ALICE,)


def test_room_to_the_milligram():
    assert admit([balance(charged_mg=400, reserved_mg=100)], 500).admitted
    refused = admit([balance(charged_mg=400, reserved_mg=101)], 500)
    assert (refused.admitted, refused.held_until_at) == (False, MONTH.end_at)
    assert "user:alice has 499 mg left in 2026-11" in refused.text
    assert admit([balance(charged_mg=1000, granted_mg=500)], 500).admitted


def test_nothing_is_asked_of_who_has_no_limit():
    assert admit([], 10**12).admitted


def test_every_subject_must_have_room_and_each_that_has_not_is_named():
    assert not admit([balance(), balance(LAB, 10)], 500).admitted
    text = admit([balance(budget_mg=1), balance(LAB, 10)], 500).text
    assert "user:alice" in text
    assert "account:lab" in text


def test_without_a_prediction_anything_left_is_room():
    assert admit([balance(charged_mg=999)], None).admitted
    used_up = admit([balance(charged_mg=1000)], None)
    assert not used_up.admitted
    assert "used up" in used_up.text


def test_an_overdrawn_balance_admits_nothing_not_even_a_free_job():
    assert not admit([balance(charged_mg=1500)], 0).admitted


def test_a_job_beyond_a_whole_month_says_that_only_a_grant_helps():
    refused = admit([balance()], 1001)
    assert not refused.admitted
    assert "ask for a grant" in refused.text
    assert admit([balance(granted_mg=1)], 1001).admitted
