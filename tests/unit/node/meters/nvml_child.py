"""Runs an NvmlMeter for a test, with the library that the test's environment names.

One JSON object a line: [method, argument ...] in, its answer out.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from carbonsched.errors import MeterError
from carbonsched.node.journal import Journal
from carbonsched.node.meters.nvml import NvmlMeter


class Child:
    def __init__(self):
        self.stream = io.StringIO()
        self.meter = None

    def open(self, path, sysfs="/nowhere"):
        os.environ["NVML_PLANT"] = path
        self.close()
        self.stream = io.StringIO()
        try:
            self.meter = NvmlMeter.find(Journal("agent", self.stream), Path(sysfs))
        except MeterError as error:
            self.stream.write(f"{error}\n")
        return self.meter is not None

    def close(self):
        if self.meter is not None:
            nvml = sys.modules["pynvml"]
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
        self.meter = None

    def said(self):
        return self.stream.getvalue()

    def name(self):
        return self.meter.name

    def longest_gap_ns(self):
        return self.meter.longest_gap_ns

    def errors(self):
        return self.meter.errors

    def look(self):
        self.meter.look()

    def gpus(self):
        return [asdict(gpu) for gpu in self.meter.gpus()]

    def read(self, steady_ns):
        try:
            return self.meter.read(steady_ns)
        except MeterError as error:
            return {"error": str(error)}

    def between(self, before, after, length_ns):
        energies = self.meter.between(before, after, length_ns, 0)
        return {one.device: (one.domain, one.energy_uj, one.quality) for one in energies}

    def imported(self):
        return "pynvml" in sys.modules


def main():
    child = Child()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(child, method)(*arguments)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
