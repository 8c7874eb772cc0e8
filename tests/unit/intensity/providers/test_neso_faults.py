from __future__ import annotations

from fault_suite import FaultSuite
from twin.neso import Neso

from carbonsched.intensity.providers.neso import NesoProvider


class TestNeso(FaultSuite):
    def make(self, twin, clock, timeout_s):
        return NesoProvider(zone="GB", clock=clock, base_url=twin.url, timeout_s=timeout_s)

    def serve(self, twin, clock):
        Neso(twin, clock)

    def rows(self, document):
        return document["data"]

    def set_value(self, row, value):
        row["intensity"] |= {"actual": value, "forecast": value}
