"""How far predictions from the first epochs are off, beside Carbontracker's rule on the same log.

python tests/bench/prediction/evaluate.py [--runs LETTERS] [--each] [--made N]

The rule is N times the mean of the epochs seen. Of each recorded log ``logs/NAME-RUN.csv`` the
model is given the first 1, 2 and 5 epochs, without parts and with them; then what the training
declares of its validation; then the logs of the same training's other runs as history. ``--runs``
takes the logs of these runs only. ``--made N`` takes made-up logs instead, N of each family that
the model was not developed on. Ratios are geometric means of our error over the rule's, each at
least 1 %; "worse" is by how many points ours exceeds the rule's at most. ``--each`` prints every
recorded log.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from synthetic import HELD_OUT, make  # noqa: E402  # found through the line above

from carbonsched.prediction.course import Epoch, foresee  # noqa: E402
from carbonsched.prediction.epoch_log import read_log  # noqa: E402

LOGS = Path(__file__).parent / "logs"
AFTER = (1, 2, 5)
LEAST = 0.01
DECLARED = {
    "unet": 5, "augmented": 2, "bfloat16": 4, "contrastive": 10, "prepared": 5,
    "patches": 3, "traced": 2,
}  # fmt: skip
FIRST_SEED = 20_000  # of the made-up logs that judge


@dataclass(frozen=True)
class Log:
    """A log, what its owner declared and the same training's other runs."""

    name: str
    epochs: list[Epoch]
    every: int | None
    others: list[list[Epoch]]


@dataclass(frozen=True)
class Row:
    """One prediction: relative errors and whether the intervals held the truth."""

    name: str
    after: int
    ours: float
    rule: float
    in_half: bool
    in_most: bool


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", action="store_true", help="every log")
    parser.add_argument("--made", type=int, metavar="N", help="made-up logs, N of a family")
    parser.add_argument("--runs", default="", metavar="LETTERS", help="only logs of these runs")
    options = parser.parse_args()
    logs = list(made(options.made) if options.made else recorded())
    if options.runs:
        logs = [log for log in logs if log.name[-1] in options.runs]
    say(f"{len(logs)} logs\n")
    say("| given | epochs | of | ratio | worse | ours | rule | in 90 % | in 50 % |")
    say("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    kinds = ("epochs", "parts", "parts, declared", "parts, history")
    for kind in kinds:
        for after in AFTER:
            for quantity in ("joules", "seconds"):
                report(kind, after, quantity, logs)
    if options.each and not options.made:
        each(logs)
    return 0


def report(kind: str, after: int, quantity: str, logs: list[Log]) -> None:
    """A line of the table."""
    rows = [row for log in logs if (row := judged(log, kind, after, quantity)) is not None]
    if not rows:
        return
    ratio = math.exp(fmean(math.log(max(row.ours, LEAST) / max(row.rule, LEAST)) for row in rows))
    worse = max(row.ours - row.rule for row in rows)
    say(
        f"| {kind} | {after} | {'energy' if quantity == 'joules' else 'time'} | {ratio:.2f}"
        f" | {100 * worse:+.1f} | {100 * median(row.ours for row in rows):.1f} %"
        f" | {100 * median(row.rule for row in rows):.1f} %"
        f" | {100 * fmean(row.in_most for row in rows):.0f} %"
        f" | {100 * fmean(row.in_half for row in rows):.0f} % |"
    )


def judged(log: Log, kind: str, after: int, quantity: str) -> Row | None:
    """One prediction beside the truth; ``None`` where the log has nothing of that kind."""
    every = log.every if "declared" in kind else None
    if len(log.epochs) <= after or ("declared" in kind and log.every is None):
        return None
    if "history" in kind and not log.others:
        return None
    epochs = log.epochs
    if kind == "epochs":
        epochs = [replace(epoch, parts=()) for epoch in epochs]
    total = len(epochs)
    found = getattr(
        foresee(
            epochs[:after], total, validate_every=every,
            earlier=log.others if "history" in kind else (),
        ),
        quantity,
    )  # fmt: skip
    costs = [getattr(epoch.cost, quantity) for epoch in epochs]
    truth, rule = sum(costs), total * fmean(costs[:after])
    return Row(
        name=log.name,
        after=after,
        ours=abs(found.mean / truth - 1),
        rule=abs(rule / truth - 1),
        in_half=found.p25 <= truth <= found.p75,
        in_most=found.p05 <= truth <= found.p95,
    )


def each(logs: list[Log]) -> None:
    """Errors in energy by log, and Carbontracker's own after one epoch in the same run."""
    own = foretold()
    say("\n| log | own, 1 | rule, 1 | ours, 1 | rule, 5 | ours, 5 | ours with history, 1 |")
    say("|---|--:|--:|--:|--:|--:|--:|")
    for log in logs:
        one, five = (judged(log, "parts", after, "joules") for after in (1, 5))
        past = judged(log, "parts, history", 1, "joules")
        if one is None or five is None:
            continue
        figures = [own.get(log.name), one.rule, one.ours, five.rule, five.ours]
        figures.append(past.ours if past else None)
        shown = [f"{100 * one:.1f} %" if one is not None else "-" for one in figures]
        say(f"| {log.name} | {' | '.join(shown)} |")


def foretold() -> dict[str, float]:
    """Carbontracker's own error in energy, by its own figures, of runs that went to their end."""
    with (LOGS / "carbontracker.csv").open(encoding="utf-8") as file:
        return {
            row["training"]: abs(float(row["predicted_kwh"]) / float(row["used_kwh"]) - 1)
            for row in csv.DictReader(file)
            if row["epochs"] == row["epochs_run"] and row["used_kwh"] and row["predicted_kwh"]
        }


def recorded() -> Iterator[Log]:
    """The recorded logs."""
    by_training: dict[str, dict[str, list[Epoch]]] = defaultdict(dict)
    for path in sorted(LOGS.glob("*-parts.csv")):
        training, run, _ = path.stem.rsplit("-", 2)
        with path.open(encoding="utf-8") as file:
            by_training[training][run] = read_log(file)
    for training, runs in by_training.items():
        for run, epochs in runs.items():
            others = [other for name, other in runs.items() if name != run]
            yield Log(f"{training}-{run}", epochs, DECLARED.get(training), others)


def made(count: int) -> Iterator[Log]:
    """Made-up logs; they have no history."""
    for family in HELD_OUT:
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            one = make(family, seed)
            yield Log(f"{family}-{seed}", one.epochs, one.validate_every, [])


def say(line: str) -> None:
    """A line of the table."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
