"""GB's national intensity by NESO when it is well, in the shapes of its documentation."""

from __future__ import annotations

from datetime import UTC, datetime

HALF = 1800


def written(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


class Neso:
    """The service: past half-hours have an actual value, all have a forecast."""

    def __init__(self, twin, clock):
        self.clock = clock
        twin.serve("/intensity/*", self.answer)

    def answer(self, request):
        _, _, start, end = request.path.split("/")
        start_at = int(datetime.fromisoformat(start).timestamp()) // HALF * HALF
        ahead = end == "fw48h"
        end_at = start_at + 172_800 if ahead else datetime.fromisoformat(end).timestamp()
        return {"data": [self.row(at) for at in range(start_at, int(end_at), HALF)]}

    def row(self, at):
        over = at + HALF <= self.clock.at
        told = {"forecast": 100 + at // HALF % 40, "index": "low"}
        return {
            "from": written(at),
            "to": written(at + HALF),
            "intensity": told | {"actual": 80 + at // HALF % 37 if over else None},
        }
