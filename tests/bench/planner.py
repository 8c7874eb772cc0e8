"""How a re-plan grows with the jobs that wait: seconds and memory for 1,000 to 30,000 of them.

python tests/bench/planner.py [--jobs N ...] [--repeat N] [--threads N] [--profile]
                              [--chart FILE.svg]

Three clusters in three zones, half of their CPUs busy, forecasts for 96 hours, expected work for
36 hours. Users, sizes, lengths, powers, delays and sites of the jobs are drawn from a seed. The
clusters grow with the jobs, so that what waits is about a day's work for the free half. Each size
runs in a process of its own. The first plan begins with no prices. The re-plan comes half an hour
later, so that prices are found anew, from those of the first; a tenth of the jobs are others, and
deferrals stand. The third comes within the half-hour in which prices hold.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import os
import pstats
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.model.job import JobKey
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.planning import (
    Bounds,
    Busy,
    ClusterState,
    Expected,
    Place,
    Planned,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    plan,
)
from carbonsched.units import PPM

SIZES = (1000, 3000, 10_000, 30_000)
BAR_JOBS, BAR_S, BAR_MB = 10_000, 5.0, 1000
HOUR = 3600
NOW = 1_700_000_000 // HOUR * HOUR
AHEAD_H = 96
CPUS = {"north": 6, "south": 4, "west": 2}
"""Of each cluster, for each job that waits."""
PLANS = ("first plan", "re-plan", "prices hold")
REQUESTS_S = tuple(HOUR * hours for hours in (1, 2, 4, 8, 12, 24, 48, 72))
USERS = 200


def main() -> int:
    """Print the table; draw the chart."""
    parser = argparse.ArgumentParser(description="Seconds and memory of a plan.")
    parser.add_argument("--jobs", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="take the median of N")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of NumPy (1)")
    parser.add_argument("--chart", type=Path, metavar="FILE.svg", help="draw the seconds")
    parser.add_argument("--profile", action="store_true", help="where the time of a re-plan goes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(measure(options.jobs[0], options.repeat, options.profile)))
        return 0
    rows = [in_a_process(jobs, options) for jobs in options.jobs]
    table(rows)
    if options.chart is not None:
        options.chart.write_text("\n".join(chart(rows)) + "\n", encoding="utf-8")
    return 0


def in_a_process(jobs: int, options: argparse.Namespace) -> dict[str, float]:
    """One size, so that its peak memory is its own; a profile goes to stderr."""
    repeat, threads = str(options.repeat), str(options.threads)
    argv = [sys.executable, __file__, "--one", "--jobs", str(jobs), "--repeat", repeat]
    done = subprocess.run(
        [*argv, *(["--profile"] if options.profile else [])],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        timeout=1800,
    )
    row: dict[str, float] = json.loads(done.stdout)
    return row


def measure(jobs: int, repeat: int, profile: bool) -> dict[str, float]:
    """Seconds of each plan, the median of so many, and the megabytes of the largest moment."""
    taken: dict[str, list[float]] = {name: [] for name in PLANS}
    before_mb = peak_mb()
    for number in range(repeat):
        first = request(jobs, random.Random(7 + number))
        found = timed(first, taken["first plan"])
        later = half_an_hour_later(first, found, random.Random(1))
        again = timed(later, taken["re-plan"], profile=profile and number == repeat - 1)
        soon = replace(later, now=later.now + 300, before=again.prices)
        timed(soon, taken["prices hold"])
    medians = {name: sorted(times)[len(times) // 2] for name, times in taken.items()}
    deferred = sum(one.start_at > NOW for one in found.plans)
    return {"jobs": jobs, **medians, "mb": peak_mb(), "base_mb": before_mb, "deferred": deferred}


def timed(asked: PlanningRequest, into: list[float], *, profile: bool = False) -> Planned:
    """The plan; what it took is added to a list."""
    profiler = cProfile.Profile() if profile else None
    began = time.perf_counter()
    if profiler is None:
        found = plan(asked)
    else:
        found = profiler.runcall(plan, asked)
        stats = pstats.Stats(profiler, stream=sys.stderr)
        stats.sort_stats("cumulative").print_stats("carbonsched", 24)
        stats.sort_stats("tottime").print_stats(14)
    into.append(time.perf_counter() - began)
    return found


def peak_mb() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# What is asked


def request(jobs: int, chance: random.Random) -> PlanningRequest:
    """So many pending jobs, drawn."""
    spreads = [spread(chance, asked_s) for asked_s in REQUESTS_S for _ in range(USERS // 4)]
    return PlanningRequest(
        now=NOW,
        parameters=PlanningParameters(horizon_s=AHEAD_H * HOUR),
        clusters=tuple(
            cluster(name, jobs * count, chance, spreads) for name, count in CPUS.items()
        ),
        jobs=tuple(pending(number, chance, spreads) for number in range(jobs)),
        expected=tuple(expected(hour, jobs, chance.choice(spreads)) for hour in range(36)),
    )


def cluster(name: str, size: int, chance: random.Random, spreads: Sequence[Spread]) -> ClusterState:
    """Half of it is busy; its zone has a noon of its own and a forecast of an hour a row."""
    held, busy = 0, []
    while held < size // 2:
        cpus = min(chance.choice((4, 16, 64, 256)), size // 2 - held)
        busy.append(Busy(cpus=cpus, left=chance.choice(spreads)))
        held += cpus
    level, swing, noon = chance.randint(150, 450), chance.uniform(0.1, 0.5), chance.uniform(8, 16)
    points = tuple(
        Point(
            NOW + hour * HOUR,
            NOW + (hour + 1) * HOUR,
            round(1000 * level * (1 - swing * math.cos((hour - noon) * math.pi / 12))),
        )
        for hour in range(AHEAD_H)
    )
    info = SeriesInfo(provider="bench", zone=name)
    return ClusterState(
        name=name,
        cpus=size,
        pue_ppm=PPM * 12 // 10,
        forecast=Forecast(info=info, issued_at=NOW, points=points),
        busy=tuple(busy),
    )


def spread(chance: random.Random, asked_s: int) -> Spread:
    """Run times of a user's earlier jobs: a dozen, most far below the request."""
    ran = sorted(max(60.0, asked_s * chance.betavariate(1, 3)) for _ in range(12))
    return Spread(tuple(ran), tuple(chance.choice((0.5, 1.0, 3.0)) for _ in ran))


def pending(number: int, chance: random.Random, spreads: Sequence[Spread]) -> PlanningJob:
    """Two thirds may run on any cluster that is wide enough; one of ten may not wait."""
    home, cpus = chance.choice(list(CPUS)), chance.choice((1, 1, 2, 4, 8, 16, 32, 128))
    length, watts = chance.choice(spreads), cpus * chance.uniform(3, 12)
    submitted_at = NOW - chance.randrange(24 * HOUR)
    delay_s = chance.choice((0, 6, 12, 24, 24, 24, 48, 48, 72, 96)) * HOUR
    duration_s = math.ceil(length.mean_s)
    joules = round(duration_s * watts)
    others = [name for name in CPUS if name != home] if chance.random() < 2 / 3 else []
    return PlanningJob(
        key=JobKey(cluster=home, job_id=number, submitted_at=submitted_at, restarts=0),
        cpus=cpus,
        bounds=Bounds(
            earliest_at=submitted_at,
            latest_at=max(submitted_at + delay_s, NOW if delay_s else submitted_at),
            deferrable=delay_s > 0,
            why="its delay",
        ),
        prediction=Prediction.certain(PredictionSource.HISTORY, duration_s, joules, ""),
        length=length,
        elsewhere=tuple(
            Place(cluster=name, cpus=cpus, watts=watts * 1.1, length=length) for name in others
        ),
        user=f"u{chance.randrange(USERS)}",
    )  # fmt: skip


def expected(hour: int, jobs: int, length: Spread) -> Expected:
    """An hour's work to come: a twentieth of all CPUs for its length."""
    cpus = jobs * sum(CPUS.values()) / 20
    return Expected(
        places=tuple(
            Place(cluster=name, cpus=cpus, watts=7 * cpus, length=length) for name in CPUS
        ),
        first_at=NOW + hour * HOUR,
        last_at=NOW + (hour + 22) * HOUR,
    )


def half_an_hour_later(
    asked: PlanningRequest, found: Planned, chance: random.Random
) -> PlanningRequest:
    """Prices of before and standing deferrals; a tenth of the jobs are others."""
    planned = {one.key: one for one in found.plans}
    spreads = [job.length for job in asked.jobs if job.length is not None]
    jobs = []
    for job in asked.jobs:
        if chance.random() < 0.1:
            jobs.append(pending(len(asked.jobs) + job.key.job_id, chance, spreads))
            continue
        start_at = planned[job.key].start_at
        jobs.append(replace(job, planned_start_at=start_at if start_at > NOW else None))
    return replace(asked, now=NOW + HOUR // 2, jobs=tuple(jobs), before=found.prices)


# What came of it


def table(rows: Sequence[dict[str, float]]) -> None:
    """Seconds by size, and whether the bar is kept."""
    lines = [
        "",
        f"Plans over {AHEAD_H} h on three clusters: seconds (median), peak memory of the process",
        f"{'jobs':>8}{'deferred':>10}" + "".join(f"{name:>13}" for name in PLANS) + f"{'MB':>8}",
    ]
    for row in rows:
        times = "".join(f"{row[name]:13.2f}" for name in PLANS)
        lines.append(f"{row['jobs']:8,}{row['deferred']:10,}{times}{row['mb']:8.0f}")
        if row["jobs"] == BAR_JOBS:
            kept = max(row[name] for name in PLANS) < BAR_S and row["mb"] < BAR_MB
            verdict = "kept" if kept else "MISSED"
            lines.append(f"{'':8}bar: {BAR_S:g} s and {BAR_MB} MB, {verdict}")
    sys.stdout.write("\n".join([*lines, ""]))


LEFT, TOP, WIDTH, HEIGHT = 60, 50, 520, 260
LINE = 15
COLOURS = {"prices hold": "#d1b04a", "re-plan": "#12836f", "first plan": "#8f3d12"}
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#30343b}.title{font-size:15px;font-weight:600}"
    ".faint{fill:#6b7280}.grid{stroke:#00000018}.bar{stroke:#30343b;stroke-dasharray:3 3}"
)


def chart(rows: Sequence[dict[str, float]]) -> Iterator[str]:
    """Seconds over jobs, both by powers of ten, as an SVG file."""
    seconds = [row[name] for row in rows for name in PLANS]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    sizes = [math.log10(row["jobs"]) for row in rows]
    span = (sizes[-1] - sizes[0]) or 1.0

    def x(jobs: float) -> float:
        return LEFT + WIDTH * (math.log10(jobs) - sizes[0]) / span

    def y(value: float) -> float:
        return TOP + HEIGHT * (high - math.log10(value)) / (high - low)

    width, height = LEFT + WIDTH + 110, TOP + HEIGHT + 46
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" role="img"><title>Seconds of a plan</title>'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
    )
    yield f'<text class="title" x="{LEFT}" y="26">Seconds of a plan, by jobs that wait</text>'
    for power in range(low, high + 1):
        yield level("grid", y(10**power), f"{10**power:g}")
    yield level("bar", y(BAR_S), f"{BAR_S:g}")
    for row in rows:
        at = f'x="{x(row["jobs"]):.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle"'
        yield f'<text class="faint" {at}>{row["jobs"]:,}</text>'
    label_y = math.inf
    for name, colour in COLOURS.items():  # from below, so that labels have a line each
        places = [(x(row["jobs"]), y(row[name])) for row in rows]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for px, py in places:
            yield f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}"/>'
        label_y = min(places[-1][1], label_y - LINE)
        yield f'<text x="{places[-1][0] + 10:.1f}" y="{label_y + 4:.1f}">{name}</text>'
    yield "</svg>"


def level(kind: str, y: float, label: str) -> str:
    """A line across with its figure."""
    ends = f'x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"'
    place = f'x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end"'
    return f'<line class="{kind}" {ends}/><text class="faint" {place}>{label}</text>'


if __name__ == "__main__":
    sys.exit(main())
