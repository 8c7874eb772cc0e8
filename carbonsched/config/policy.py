"""How long jobs may be kept waiting, and how much carbon users may spend."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationInfo, field_validator

from carbonsched.config.base import Section, option
from carbonsched.config.quantities import Milligrams, Name, Percent, WholeSeconds


class CheckpointsConfig(Section):
    """Stopping running jobs of ``--carbon-checkpoint``, so that they go on in cleaner hours."""

    stop: bool = option(
        "Whether such jobs may be stopped and requeued; no other job ever is.",
        example="true",
        default=True,
        shown="true",
    )
    signal: Literal["USR1", "USR2", "HUP", "INT", "TERM"] = option(
        "What tells a job to write a checkpoint: its batch script and all its processes get it.",
        example="USR1",
        default="USR1",
    )
    grace_s: WholeSeconds = option(
        "How long after the signal a job that runs on is requeued.",
        example="2min",
        default=120,
        key="grace",
        shown="2min",
        le=86_400,
    )
    cost_s: WholeSeconds = option(
        "The least that a stop costs in running: what is done again, and the checkpoint. A job's"
        " start-up counts where its epochs' marks show a longer one.",
        example="5min",
        default=300,
        key="cost",
        shown="5min",
        le=86_400,
    )
    least_run_s: WholeSeconds = option(
        "The least time that a run lasts before it is stopped.",
        example="30min",
        default=1800,
        key="least_run",
        shown="30min",
    )


class PlanningConfig(Section):
    """Whether starts are moved, and the bounds within which they are."""

    mode: Literal["active", "shadow"] = option(
        "shadow: every job is planned and the plan kept, yet none waits for it; 'carbonsched"
        " shadow' tells what that would have saved. Quotas bind all the same.",
        example="active",
        default="active",
    )
    max_delay_s: WholeSeconds = option(
        "The longest delay that an owner may ask for; more is cut to this.",
        example="2d",
        default=604_800,
        key="max_delay",
        shown="7d",
        le=366 * 86_400,
    )
    default_max_delay_s: WholeSeconds = option(
        "How long a csbatch job may be delayed whose owner did not say.",
        example="6h",
        default=0,
        key="default_max_delay",
        shown="0s",
    )
    slot_s: WholeSeconds = option(
        "The grid of start times that are compared.",
        example="15min",
        default=900,
        key="slot",
        shown="15min",
        ge=1,
        le=86_400,
    )
    minimum_gain_pct: Percent = option(
        "A job waits only if that saves at least this share.",
        example="2 %",
        default=2.0,
        key="minimum_gain",
        shown="2 %",
        ge=0,
        le=100,
    )
    minimum_gain_mg: Milligrams = option(
        "A job waits only if that saves at least this mass.",
        example="1 g",
        default=0,
        key="minimum_gain_mass",
        shown="0 g",
    )
    max_moves: int = option(
        "At most this many starts are moved in one plan tick on each cluster, the most pressing"
        " first; the others in the next ticks.",
        example="200",
        default=200,
        ge=1,
        le=1_000_000,
    )
    checkpoints: CheckpointsConfig = option(
        "Running in pieces: stopping jobs that write checkpoints, to go on in cleaner hours.",
        example=None,
        default=CheckpointsConfig(),
    )
    safety_margin_s: WholeSeconds = option(
        "How long before its deadline a job is to be finished.",
        example="10min",
        default=600,
        key="safety_margin",
        shown="10min",
    )
    settle_lag_s: WholeSeconds = option(
        "How long to wait for a better provider before a later one in the chain is charged by.",
        example="6h",
        default=21_600,
        key="settle_lag",
        shown="6h",
    )

    @field_validator("default_max_delay_s")
    @classmethod
    def _within_the_bound(cls, value: int, info: ValidationInfo) -> int:
        longest = info.data.get("max_delay_s")
        if longest is not None and value > longest:
            raise ValueError(f"{value} s is longer than max_delay ({longest} s); shorten it")
        return value


class QuotaConfig(Section):
    """One monthly budget, of a user or of an account."""

    user: Name | None = option(
        'A user, or "*" for each user without a line of their own.', example='"*"', default=None
    )
    account: Name | None = option(
        "A Slurm account; exactly one of user and account is written.",
        example="physics",
        default=None,
        validate_default=True,
    )
    monthly_mg: Milligrams = option(
        "What may be emitted in each calendar month.", example="50 kg", key="monthly"
    )

    @field_validator("account")
    @classmethod
    def _of_one(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "*":
            raise ValueError('only users have a common line; write user: "*"')
        if "user" in info.data and (value is None) == (info.data["user"] is None):
            words = "neither user nor account" if value is None else "both user and account"
            raise ValueError(f"the quota names {words}; write exactly one")
        return value
