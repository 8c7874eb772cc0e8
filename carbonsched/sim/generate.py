"""The jobs of the example scenario, made by a seeded generator so that anybody can make them anew.

Not a trace of a real cluster and not fitted to one. 24 people submit 200 jobs in three days, three
in four of them between 8 and 18 o'clock; a job has 1, 2, 4 or 8 nodes; run times are log-normal
about each person's own median (5 minutes to 6 hours); requests are the run time divided by an
accuracy of 20 to 95 per cent, rounded up to whole half-hours; half the people allow 24 hours of
delay, a quarter 12, the others 4.
"""

from __future__ import annotations

import math
import random

from carbonsched.sim.scenario import SimJob

SEED = 20_211
JOBS = 200
PEOPLE = 24
DAYS = 3
_DAY_S = 86_400


def example_jobs(start_at: int) -> tuple[SimJob, ...]:
    """The jobs, in order of submission; ``start_at`` is midnight of the first day."""
    chance = random.Random(SEED)  # noqa: S311 - a trace, not a secret
    people = [
        (
            math.exp(chance.uniform(math.log(300), math.log(6 * 3600))),
            chance.choice((1, 1, 1, 2, 2, 4, 8)),
            chance.randrange(150, 601, 10),
            chance.choice((24, 24, 12, 4)) * 3600,
        )
        for _ in range(PEOPLE)
    ]
    drawn = []
    for _ in range(JOBS):
        person = chance.randrange(PEOPLE)
        median_s, nodes, power_w, max_delay_s = people[person]
        runtime_s = min(_DAY_S, max(60, round(chance.lognormvariate(math.log(median_s), 0.6))))
        requested_s = math.ceil(runtime_s / chance.uniform(0.2, 0.95) / 1800) * 1800
        drawn.append(
            (
                _submission(chance, start_at),
                person,
                nodes,
                requested_s,
                runtime_s,
                max_delay_s,
                power_w,
            )
        )
    return tuple(
        SimJob(
            job_id=f"e{index:03d}",
            user=f"u{person:02d}",
            submit_at=submit_at,
            nodes=nodes,
            requested_s=requested_s,
            runtime_s=runtime_s,
            max_delay_s=max_delay_s,
            power_w=power_w,
        )
        for index, (submit_at, person, nodes, requested_s, runtime_s, max_delay_s, power_w) in (
            enumerate(sorted(drawn))
        )
    )


def _submission(chance: random.Random, start_at: int) -> int:
    day_at = start_at + chance.randrange(DAYS) * _DAY_S
    if chance.random() < 0.75:
        return day_at + chance.randrange(8 * 3600, 18 * 3600)
    return day_at + chance.randrange(_DAY_S)
