"""How good the power model is: its curve against load sweeps, its rule for nodes against servers.

python tests/bench/power_curve.py [--servers SPECPOWER.csv] [SWEEPS.csv ...]

The first tables compare curves between idle and full power, each fitted without the machine on
which it is tried (leave one out). Name other sweeps, in the same columns, to see it on machines
that had no part in the choice. The last table compares watts by the rule in carbonsched.power with
those that were measured, for a list of SPECpower_ssj2008 results such as that of Cloud Carbon
Footprint, which may not be given on and so is not part of this project.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbonsched.power import (
    DECLARED_UNCERTAINTY,
    IDLE_SHARE,
    TABLE_UNCERTAINTY,
    NodePower,
    node_power,
)

POWER = Path(__file__).parents[1] / "fixtures/power"
SWEEPS = [POWER / "cpu-load-sweeps.csv"]
FULL_PERCENT = 99
"""From here on a machine counts as fully loaded."""
LOWEST = 0.06
"""Loads below are those at which a sweep's idle power was taken."""
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)

Curve = Callable[[float, float], float]


@dataclass(frozen=True)
class Point:
    """Utilisation and share of the way from idle to full power, both 0 to 1."""

    machine: str
    sweep: str
    u: float
    f: float


CURVES: dict[str, tuple[Curve, Sequence[float]]] = {
    "u (linear)": (lambda u, _: u, (0,)),
    "u^3 (CodeCarbon)": (lambda u, _: u**3, (0,)),
    "2u - u^1.4 (Fan 2007)": (lambda u, _: 2 * u - u**1.4, (0,)),
    "2u - u^2 (ours)": (lambda u, _: 2 * u - u**2, (0,)),
    "u^a": (lambda u, a: u**a, [0.2 + n / 50 for n in range(91)]),
    "2u - u^r": (lambda u, r: 2 * u - u**r, [1 + n / 50 for n in range(51)]),
    "min(1, u/k)": (lambda u, k: min(1.0, u / k), [0.3 + n / 100 for n in range(71)]),
    "1 - e^-ku, scaled": (
        lambda u, k: math.expm1(-k * u) / math.expm1(-k),
        [0.1 + n / 20 for n in range(100)],
    ),
}


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Errors of the power model.")
    parser.add_argument("--servers", type=Path, metavar="SPECPOWER.csv")
    parser.add_argument("sweeps", type=Path, nargs="*", default=SWEEPS, metavar="SWEEPS.csv")
    options = parser.parse_args()
    for path in options.sweeps:
        points = read(path)
        say(f"\n== {path.name}: {', '.join(dict.fromkeys(one.machine for one in points))}")
        for title, sweeps in (
            ("some cores busy, as jobs of a cluster", {"some_cores"}),
            ("all cores partly busy", {"all_cores"}),
            ("both", {"some_cores", "all_cores"}),
        ):
            compare(title, [one for one in points if one.sweep in sweeps and one.u > LOWEST])
        declared(points)
    if options.servers:
        servers(options.servers)
    return 0


def read(path: Path) -> list[Point]:
    """Each sweep from its own lowest power to its power at full load."""
    sweeps: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            at = (float(row["load_percent"]), float(row["rapl_w"]))
            sweeps.setdefault((row["machine"], row["sweep"]), []).append(at)
    points = []
    for (machine, sweep), rows in sweeps.items():
        idle_w = min(watts for _, watts in rows)
        at_full = [watts for load, watts in rows if load >= FULL_PERCENT]
        full_w = statistics.fmean(at_full or [max(watts for _, watts in rows)])
        points += [
            Point(machine, sweep, load / 100, (watts - idle_w) / (full_w - idle_w))
            for load, watts in rows
        ]
    return points


def compare(title: str, points: Sequence[Point]) -> None:
    """Errors of every curve as shares of max - idle."""
    say(f"\n{title}: {len(points)} points")
    say(f"{'curve':<24}{'MAE':>7}{'RMS':>7}{'bias':>8}{'worst':>7}  parameter")
    for name in CURVES:
        errors, parameters = left_out(name, points)
        shown = "" if len(CURVES[name][1]) == 1 else " ".join(f"{one:.2f}" for one in parameters)
        say(
            f"{name:<24}{statistics.fmean(map(abs, errors)):7.3f}{rms(errors):7.3f}"
            f"{statistics.fmean(errors):+8.3f}{max(map(abs, errors)):7.2f}  {shown}"
        )


def left_out(name: str, points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Errors on each machine of the curve fitted to the others, and its parameters."""
    curve, grid = CURVES[name]
    errors: list[float] = []
    parameters = []
    for machine in dict.fromkeys(one.machine for one in points):
        others = [one for one in points if one.machine != machine]
        best = min(grid, key=lambda p: sum(abs(curve(one.u, p) - one.f) for one in others))
        parameters.append(best)
        errors += [curve(one.u, best) - one.f for one in points if one.machine == machine]
    return errors, parameters


def declared(points: Sequence[Point]) -> None:
    """What the curve's error makes of modelled power where idle and full power are right."""
    used = [one for one in points if one.u > LOWEST]
    ours = CURVES["2u - u^2 (ours)"][0]
    say("\nRelative error of power by the curve, idle and full power right (RMS):")
    for share in (0.2, 0.3, 0.4, 0.5):
        parts = []
        for title, of in (("both", used), ("some", [p for p in used if p.sweep == "some_cores"])):
            errors = [
                1 - (share + (1 - share) * one.f) / (share + (1 - share) * ours(one.u, 0))
                for one in of
            ]
            parts.append(f"{title} {rms(errors):.3f}")
        say(f"  idle {share:.0%} of full: {', '.join(parts)}")
    say(f"  stated: {DECLARED_UNCERTAINTY}")


def servers(path: Path) -> None:
    """The rule for nodes against measured servers, by the year of their publication."""
    found, unknown = measured(path)
    say(f"\nRule for nodes: {len(found)} servers, {unknown} with CPUs that the table lacks")
    say(f"idle share of the rule: {IDLE_SHARE}")
    for first in (2007, 2012, 2017):
        some = [one for one in found if one[0] >= first]
        ratios = [ours.max_w / full for _, ours, _, full in some]
        idles = [idle / full for _, _, idle, full in some]
        say(
            f"from {first}: {len(some)} servers; full power by rule over measured: median"
            f" {statistics.median(ratios):.2f}, relative RMS {rms([r - 1 for r in ratios]):.2f};"
            f" measured idle share: median {statistics.median(idles):.2f}"
        )
        for level in LEVELS:
            curve = level * (2 - level)
            errors = [
                1 - (idle + (full - idle) * curve) / (ours.idle_w + ours_range(ours) * curve)
                for _, ours, idle, full in some
            ]
            middle = statistics.median(errors)
            say(f"   at {level:4.0%}: median {middle:+.2f}, RMS {rms(errors):.2f}")
    say(f"  stated: {TABLE_UNCERTAINTY}")


def ours_range(ours: NodePower) -> float:
    """Watts between idle and full."""
    return ours.max_w - ours.idle_w


def measured(path: Path) -> tuple[list[tuple[int, NodePower, float, float]], int]:
    """Year, the rule's figures, idle and full watts of one node; and how many have no CPU."""
    found, unknown = [], 0
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.reader(lines):
            try:
                year, nodes, chips = int(row[2][-4:]), int(row[3]), int(row[7])
                memory_gb, full_w, idle_w = float(row[10]), float(row[12]), float(row[13])
            except ValueError:
                continue
            try:
                ours = node_power(row[5], chips // nodes, round(memory_gb / nodes), None)
            except ValueError:
                unknown += 1
            else:
                found.append((year, ours, idle_w / nodes, full_w / nodes))
    return found, unknown


def say(line: str) -> None:
    """One line of a table."""
    sys.stdout.write(line + "\n")


def rms(errors: Iterable[float]) -> float:
    """Root of the mean square."""
    return math.sqrt(statistics.fmean(error * error for error in errors))


if __name__ == "__main__":
    sys.exit(main())
