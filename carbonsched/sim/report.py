"""Scores as tables for a terminal and as a document for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from carbonsched.sim.names import CARBON, Truth
from carbonsched.sim.score import Score

if TYPE_CHECKING:  # it would load the solver
    from carbonsched.sim.bound import Bound

_WIDTH = 80
_CLOSE = 1e-4  # a gap that no figure shows
_Column = tuple[str, Callable[[Score], str]]

_CARBON: tuple[_Column, ...] = (
    ("policy", lambda one: one.policy),
    ("kg", lambda one: _mass(one.kg)),
    ("saving", lambda one: f"{100 * one.saving:.2f} %"),
    ("capture", lambda one: "-" if one.capture is None else f"{100 * one.capture:.1f} %"),
    ("late", lambda one: f"{one.late_pct:.2f} %"),
    ("max late", lambda one: f"{one.max_late_h:.2f} h"),
    ("calls", lambda one: "-" if one.calls is None else str(one.calls)),
)
_WAITING: tuple[_Column, ...] = (
    ("policy", lambda one: one.policy),
    ("mean wait", lambda one: f"{one.mean_wait_h:.2f} h"),
    ("p95", lambda one: f"{one.p95_wait_h:.1f} h"),
    ("max", lambda one: f"{one.max_wait_h:.1f} h"),
    ("slowdown", lambda one: f"{one.slowdown:.1f}"),
    ("in use", lambda one: f"{100 * one.utilisation:.1f} %"),
    ("makespan", lambda one: f"{one.makespan_h:.0f} h"),
)


def table(scores: Sequence[Score]) -> str:
    """Two tables that fit 80 characters: what was emitted, and what jobs and nodes had of it."""
    return "\n\n".join(_lines(columns, scores) for columns in (_CARBON, _WAITING))


def _lines(columns: Sequence[_Column], scores: Sequence[Score]) -> str:
    rows = [[head for head, _ in columns]]
    return _aligned(rows + [[cell(one) for _, cell in columns] for one in scores])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left; two spaces between, or one where they would be too wide."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= _WIDTH else " "
    lines = []
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(gap.join((first.strip().ljust(widths[0]), *rest)).rstrip())
    return "\n".join(lines)


def explained(steps: Sequence[Score]) -> str:
    """What each truth adds, in points of capture; ``steps`` know one more each time.

    What is missing when all is known is rounding and dispatching: whole jobs on whole nodes.
    """
    captures = [100 * (one.capture or 0.0) for one in steps]
    rows = [["carbon knows", "kg", "capture", "adds"]]
    for number, one in enumerate(steps):
        what = f"and true {tuple(Truth)[number - 1]}" if number else "what a site knows"
        adds = f"{captures[number] - captures[number - 1]:+.1f}" if number else ""
        rows.append([what, _mass(one.kg), f"{captures[number]:.1f} %", adds])
    rows.append(["missing still: rounding, queue", "", "", f"{100 - captures[-1]:.1f}"])
    return _aligned(rows)


def analyses(scores: Sequence[Score]) -> str:
    """A line that says which rows are no policies; empty where all are."""
    names = [one.policy for one in scores if one.policy.startswith(f"{CARBON}+")]
    if not names:
        return ""
    return "\nA row with + is an analysis, not a policy: it was told what nobody can know.\n"


def _mass(kg: float) -> str:
    return f"{kg:.1f}" if kg >= 10 else f"{kg:.3f}"


def bound_line(bound: Bound, immediate_kg: float) -> str:
    """What no schedule on time can better, and how much more may be proven with more time."""
    saves = 100 * (1 - bound.kg / immediate_kg) if immediate_kg else 0.0
    line = f"bound: {_mass(bound.kg)} kg (saves {saves:.2f} %), no schedule on time is below it"
    if bound.gap <= _CLOSE:
        return line
    return (
        f"{line};\nstopped early: with more time it could be up to {100 * bound.gap:.2g} % tighter"
    )


def document(name: str, scores: Sequence[Score], bound: Bound | None) -> dict[str, Any]:
    """The same with all digits; what is not known is ``None``."""
    return {
        "scenario": name,
        "bound_kg": bound.kg if bound else None,
        "bound_gap": bound.gap if bound else None,
        "policies": [asdict(one) for one in scores],
    }
