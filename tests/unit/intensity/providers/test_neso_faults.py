from __future__ import annotations

from datetime import UTC, datetime

from fault_suite import FaultSuite

from carbonsched.intensity.providers.neso import NesoProvider

HALF = 1800


def written(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


class TestNeso(FaultSuite):
    def make(self, twin, clock, timeout_s):
        return NesoProvider(zone="GB", clock=clock, base_url=twin.url, timeout_s=timeout_s)

    def serve(self, twin, clock):
        def row(at):
            over = at + HALF <= clock.at
            told = {"forecast": 100 + at // HALF % 40, "index": "low"}
            return {
                "from": written(at),
                "to": written(at + HALF),
                "intensity": told | {"actual": 80 + at // HALF % 37 if over else None},
            }

        def respond(request):
            _, _, start, end = request.path.split("/")
            start_at = int(datetime.fromisoformat(start).timestamp()) // HALF * HALF
            known = end == "fw48h"
            end_at = start_at + 172_800 if known else datetime.fromisoformat(end).timestamp()
            return {"data": [row(at) for at in range(start_at, int(end_at), HALF)]}

        twin.serve("/intensity/*", respond)

    def rows(self, document):
        return document["data"]

    def set_value(self, row, value):
        row["intensity"] |= {"actual": value, "forecast": value}
