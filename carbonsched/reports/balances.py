"""Carbon budgets as ``carbonsched quota`` shows them."""

from __future__ import annotations

from carbonsched.reports.documents import BalanceRow, GrantRow
from carbonsched.reports.moments import when
from carbonsched.reports.monthly import budget
from carbonsched.reports.tables import Cell, Column, table
from carbonsched.reports.terminal import Screen, bar, clean
from carbonsched.units import format_mass

_BAR = 10


def balance_lines(balances: list[BalanceRow], screen: Screen) -> list[str]:
    """One line a subject: what it may use, has used, and has left."""
    columns = (
        Column(title="SUBJECT", floor=10), Column(title="MONTH"),
        Column(title="BUDGET", right=True), Column(title="GRANTED", right=True),
        Column(title="CHARGED", right=True), Column(title="RESERVED", right=True),
        Column(title="LEFT", right=True), Column(title="USED"),
    )  # fmt: skip
    return table(columns, [_balance(one) for one in balances], screen)


def _balance(one: BalanceRow) -> list[Cell]:
    use = budget(one)
    tint = "red" if one["remaining_mg"] <= 0 else "yellow" if use.used >= 0.8 else "green"
    return [
        Cell(clean(one["subject"])),
        Cell(clean(one["period"])),
        Cell(format_mass(one["budget_mg"])),
        Cell(format_mass(one["granted_mg"])),
        Cell(format_mass(one["charged_mg"])),
        Cell(format_mass(one["reserved_mg"])),
        Cell(format_mass(one["remaining_mg"]), tint),
        Cell(bar([(use.charged, "#"), (use.reserved, "=")], _BAR), tint),
    ]


def grant_lines(grants: list[GrantRow], now: int, screen: Screen) -> list[str]:
    """The audit: who granted what to whom, when and why."""
    columns = (
        Column(title="GRANTED TO", floor=10), Column(title="MONTH"),
        Column(title="MASS", right=True), Column(title="BY", floor=4), Column(title="WHEN"),
        Column(title="REASON", floor=10),
    )  # fmt: skip
    rows = [
        [
            Cell(clean(one["subject"])),
            Cell(clean(one["period"])),
            Cell(format_mass(one["mg"])),
            Cell(clean(one["by"])),
            Cell(when(one["at"], now)),
            Cell(clean(one["reason"])),
        ]
        for one in grants
    ]
    return table(columns, rows, screen)
