"""Thermal design power (TDP) by name, as the maker, the kernel or the driver writes it."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

MOST_NEAR = 4
_NEAR = 0.6
_MARKS = re.compile(r"\((?:r|tm|c)\)|®|™")  # (R), (TM), (C)
_SPEED = re.compile(r"@.*|\b[0-9.]+ ?ghz\b")
_NOISE = re.compile(
    r"\b(?:intel|amd|nvidia|tesla|geforce|genuine|cpu|processor|apu|gpu|with radeon.*"
    r"|[0-9]+(?:st|nd|rd|th) gen|(?:[0-9]+|dual|quad|six|eight|twelve|sixteen)-core)(?![\w-])"
)
_SIZE = re.compile(r"([0-9]+)gb\b")  # 80GB and 80 GB


@dataclass(frozen=True, slots=True)
class Table:
    """Watts by name. ``what`` is what the table is of, ``source`` where it comes from."""

    what: str
    source: str
    remedy: str
    rows: Mapping[str, tuple[str, float]]

    def find(self, name: str) -> tuple[str, float]:
        """The name as published, and watts.

        Raises:
            ValueError: not in the table; the message names what is near and the way out.
        """
        found = self.rows.get(plain(name))
        if found is None:
            near = self._near(plain(name))
            hint = f"; near: {', '.join(near)}" if near else ""
            raise ValueError(f"the power of {self.what} {name!r} is not known{hint}; {self.remedy}")
        return found

    def _near(self, key: str) -> list[str]:
        """Names with all the words asked for, else with the model's number, else spelt alike."""
        words = set(key.split())
        numbers = {one for one in words if len(one) > 2 and any(c.isdigit() for c in one)}
        keys = (
            [one for one in self.rows if words and words <= set(one.split())]
            or [one for one in self.rows if numbers & set(one.split())]
            or difflib.get_close_matches(key, self.rows, MOST_NEAR, _NEAR)
        )
        return [self.rows[one][0] for one in keys[:MOST_NEAR]]


def plain(name: str) -> str:
    """What is left of a name without case, marks, maker, number of cores and speed."""
    text = _MARKS.sub(" ", name.lower())
    text = _NOISE.sub(" ", _SPEED.sub(" ", text))
    text = _SIZE.sub(r"\1 gb", text)
    return " ".join(re.sub(r"[/_-]", " ", text).split())


@lru_cache(maxsize=1)
def cpus() -> Table:
    """CPUs, by socket."""
    remedy = "declare idle and max in watts instead"
    return Table("CPU", "CodeCarbon", remedy, _read("cpu-tdp.csv"))


@lru_cache(maxsize=1)
def gpus() -> Table:
    """GPUs, by board."""
    remedy = "declare the GPU's idle and max in watts instead"
    return Table("GPU", "ML CO2 Impact", remedy, _read("gpu-tdp.csv"))


def _read(name: str) -> dict[str, tuple[str, float]]:
    """Where a name stands twice with different watts, the larger counts."""
    text = files("carbonsched.power").joinpath("data", name).read_text(encoding="utf-8")
    rows: dict[str, tuple[str, float]] = {}
    for row in csv.DictReader(text.splitlines()):
        key, watts = plain(row["name"]), float(row["tdp_w"])
        if key not in rows or rows[key][1] < watts:
            rows[key] = (row["name"], watts)
    return rows
