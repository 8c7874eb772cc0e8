"""The building's power usage effectiveness."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

from pydantic import model_validator

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.quantities import AbsolutePath, Day, Seconds, WebUrl, WholeSeconds
from carbonsched.units import ppm

_SOURCES = ("constant", "table", "file", "prometheus")


class PueSinceConfig(Section):
    """A PUE from a day on."""

    since: Day = option(
        "The day from which it holds, in the site's time zone; the first line also holds before.",
        example="2026-01-01",
    )
    pue: float = option("The PUE from then on.", example="1.21", ge=1.0, le=3.0)

    @property
    def pue_ppm(self) -> int:
        """The PUE in whole parts per million."""
        return ppm(self.pue)


class PuePrometheusConfig(Section):
    """A range query at Prometheus whose value is the PUE."""

    url: WebUrl = option(
        "Prometheus's address; it is reached without proxies.", example="http://prometheus:9090"
    )
    query: str = option(
        "A query that finds one series, the PUE; a value counts for the step that ends with it.",
        example="avg_over_time(building_pue[5m])",
        min_length=1,
    )
    step_s: WholeSeconds = option(
        "The distance between values.",
        example="5min",
        default=300,
        key="step",
        shown="5min",
        ge=60,
        le=86_400,
    )
    timeout_s: Seconds = option(
        "How long one request may take.",
        example="10s",
        default=10.0,
        key="timeout",
        shown="10s",
        gt=0,
        le=120,
    )


class PueConfig(Section):
    """A number written for itself, or exactly one of these: where the PUE comes from."""

    constant: float | None = option(
        "One number for all time, the same as pue: 1.25.",
        example="1.25",
        default=None,
        ge=1.0,
        le=3.0,
    )
    table: tuple[PueSinceConfig, ...] = option(
        "Numbers with the days from which they hold, in order.",
        example=None,
        default=(),
        min_length=1,
    )
    file: AbsolutePath | None = option(
        "A CSV of start,end,pue in UTC on the daemon's host; read again whenever it changes.",
        example="/srv/building/pue.csv",
        default=None,
    )
    prometheus: PuePrometheusConfig | None = option(
        "A range query at Prometheus.", example=None, default=None
    )
    fallback: float | None = option(
        "Required with file and prometheus: what counts for time of which they tell nothing within"
        " planning.settle_lag. Statements say so.",
        example="1.3",
        default=None,
        ge=1.0,
        le=3.0,
    )

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, value: Any) -> Any:
        """``pue: 1.25`` is the constant; faults then point at it, for it is what is written."""
        return value if isinstance(value, dict | PueConfig) else {"constant": value}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name)]
        if not given:
            raise cross_check(None, "says no PUE; write a number, table, file or prometheus")
        if len(given) > 1:
            words = f"{given[0]} stands beside it and says the PUE as well; leave one"
            raise cross_check(given[1], words)
        needs = given[0] in {"file", "prometheus"}
        if needs and self.fallback is None:
            raise cross_check(
                None,
                f"fallback is required with {given[0]}: the PUE where it tells nothing; add for"
                " instance fallback: 1.3",
            )
        if not needs and self.fallback is not None:
            raise cross_check("fallback", f"{given[0]} always has an answer; leave this out")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for index, (before, after) in enumerate(pairwise(self.table), start=1):
            if after.since <= before.since:
                raise cross_check(
                    f"table.{index}.since",
                    f"{after.since} does not come after {before.since}; put the table in order",
                )
        return self

    @property
    def constant_ppm(self) -> int | None:
        """The one number in whole parts per million."""
        return None if self.constant is None else ppm(self.constant)

    @property
    def fallback_ppm(self) -> int | None:
        """The fallback in whole parts per million."""
        return None if self.fallback is None else ppm(self.fallback)
