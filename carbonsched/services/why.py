"""Why a job's energy is not known better, as far as its readings tell. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import Quality
from carbonsched.model.job import Job

_MOST_NODES = 4


def why(job: Job, readings: Sequence[JobReading], quality: Quality, coverage: float) -> str:
    """Short words for people; empty for what was measured whole."""
    if not readings:
        return "no reading" if job.ended else "no reading yet"
    found = [*_boundaries(job, readings), *_coverage(job, readings, coverage)]
    for one, text in (
        (Quality.PARTIAL, "partly seen"),
        (Quality.SAMPLED, "from sampled power"),
        (Quality.MODELLED, "from the power model"),
    ):
        those = sum(reading.quality is one and not reading.unclaimed_j for reading in readings)
        if those:
            found.append(f"{those} of {len(readings)} readings {text}")
    return "" if quality is Quality.MEASURED else "; ".join(found)


def _boundaries(job: Job, readings: Sequence[JobReading]) -> list[str]:
    found = []
    lost = sorted({one.node for one in readings if one.end_lost})
    heard = [one for one in readings if not one.end_lost]
    ends_at = job.ended_at if job.ended_at is not None else readings[-1].end_at
    after_j = sum(one.unclaimed_j for one in heard if one.end_at > ends_at + 1)
    before_j = sum(one.unclaimed_j for one in heard if one.end_at <= ends_at + 1)
    if lost:
        found.append(f"epilog missing on {_named(lost)}: closed by Slurm's record")
    if after_j:
        found.append(f"no epilog in time: closed by Slurm's record, {after_j} J cut")
    if before_j:
        found.append(f"seen before it began by Slurm's record, {before_j} J cut")
    if any(one.restarts != job.key.restarts for one in readings):
        found.append("prolog missing: found without its restart count")
    return found


def _coverage(job: Job, readings: Sequence[JobReading], coverage: float) -> list[str]:
    """What is not covered, of a job that has ended; before that nobody can tell."""
    if job.ended_at is None:
        return []
    found = []
    absent = sorted(set(job.nodes) - {one.node for one in readings})
    if absent:
        found.append(f"no reading from {_named(absent)}")
    # Rounded down: a job that lacks something is never said to be covered in full.
    percent = int(100 * coverage)
    if percent < 100:
        found.append(f"covered {percent} %")
    return found


def _named(nodes: Sequence[str]) -> str:
    return ",".join(nodes[:_MOST_NODES]) + ("..." if len(nodes) > _MOST_NODES else "")
