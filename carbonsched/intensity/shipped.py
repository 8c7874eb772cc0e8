"""The recorded data that comes with the package; its notice lies beside it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ZONE = "DE"


def actual() -> Traversable:
    """Germany 2021, hourly, lifecycle CO2eq, production-based (CarbonCast)."""
    return _file("carboncast-de-2021-actual.csv.gz")


def forecasts() -> Traversable:
    """Its daily 96-hour forecasts from July to December 2021."""
    return _file("carboncast-de-2021-forecasts.csv.gz")


def _file(name: str) -> Traversable:
    return files("carbonsched.intensity") / "data" / name
